"""Activation checkpointing: saves memory by recomputing activations in the backward."""

from typing import Any

from torch.utils.checkpoint import checkpoint


def recomputed(forward: Any, *args: Any, **kwargs: Any) -> Any:
    """The result of `forward`, which the backward runs again with the same random state.

    Gradients are unchanged; so are batch norm's running statistics, if the training has the callback `Recomputing`.
    """
    # Copied, since a list may grow later: DenseNet appends to the list that it passes on.
    kept = [list(arg) if isinstance(arg, list) else arg for arg in args]
    return checkpoint(forward, *kept, use_reentrant=False, **kwargs)
