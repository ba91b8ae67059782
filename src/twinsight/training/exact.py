"""The exact gradient of a large batch in the memory of a small one."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.loader import HostParams, Loader, ViewBatch
from twinsight.errors import UserError
from twinsight.training.recompute import recomputed


@contextmanager
def in_parts(method: nn.Module, parts: int) -> Generator[None]:
    """Inside, the method's backbones take each batch in `parts` equal parts and keep only the embeddings.

    The backward computes each part again (Gao et al., 2021, "Scaling Deep Contrastive Learning Batch Size under Memory
    Limited Setup"): first comes the gradient of the loss with respect to all embeddings, then part by part a second
    forward, with the random state of the first, and its backward. Everything after the backbone, including a
    projector's batch norm, sees the whole batch at once. The gradient is that of the whole batch, except for batch norm
    within the backbone, which sees one part: for a small ResNet, the first gradients of 128 images in 2 parts have a
    cosine of 0.83 to 0.92 with those of the whole batch, and in 8 parts of 0.33 to 0.65, no better than summed ones.
    """
    backbones = [module for module in method.modules() if isinstance(module, Backbone)] if parts > 1 else []
    for backbone in backbones:
        backbone.forward = partial(_forward, backbone.forward, parts)
    try:
        yield
    finally:
        for backbone in backbones:
            del backbone.forward


def _forward(forward: Any, parts: int, images: Tensor) -> Tensor:
    # Strided, so that when views are concatenated every part holds the same images.
    embeddings = [recomputed(forward, images[part::parts]) for part in range(parts)]
    return torch.stack(embeddings, dim=1).flatten(0, 1)


class LargeBatches(Loader):
    """Joins every `parts` batches of a loader of `Views` into one; those left over at the end of an epoch are dropped.

    Workers make the small batches, so no more images wait than usual. Raises UserError if not even one batch is full.
    """

    def __init__(self, loader: Loader, parts: int):
        vars(self).update(vars(loader))
        self.parts = parts
        if not len(self):
            raise UserError(
                f"--accumulate {parts}: an epoch has only {len(loader)} steps of {loader.batch_size} images a process; "
                "give a smaller one, or a smaller --batch-size"
            )

    def __len__(self) -> int:
        return super().__len__() // self.parts

    def __iter__(self) -> Iterator[ViewBatch]:
        batches = super().__iter__()
        while len(several := list(islice(batches, self.parts))) == self.parts:
            views, crops, indices, params = zip(*several)
            todo = None if params[0] is None else HostParams([image for each in params for image in each.images])
            joined = [torch.cat(same) for same in zip(*views)]
            if self.pin_memory:
                joined = [view.pin_memory() for view in joined]
            yield ViewBatch(joined, torch.cat(crops), torch.cat(indices), todo)
