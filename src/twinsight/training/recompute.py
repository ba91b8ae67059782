"""Memory for time: what the forward forgets is computed again in the backward."""

from typing import Any

from torch.utils.checkpoint import checkpoint


def recomputed(forward: Any, *args: Any, **kwargs: Any) -> Any:
    """The result of `forward`, which the backward calls again, with the random state of the first time.

    Gradients are the same. So are batch norm's running statistics, if `Recomputing` watches the training.
    """
    # A list may grow once it has been read: DenseNet appends to the one that it passes on.
    kept = [list(arg) if isinstance(arg, list) else arg for arg in args]
    return checkpoint(forward, *kept, use_reentrant=False, **kwargs)
