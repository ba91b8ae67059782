"""The exact gradient of a large batch in the memory of a small one."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.masking import Tokens
from twinsight.data.loader import HostParams, Loader, ViewBatch
from twinsight.errors import UserError
from twinsight.training.recompute import recomputed


@contextmanager
def in_parts(method: nn.Module, parts: int) -> Generator[None]:
    """Inside, the method's backbones process each batch in `parts` equal parts and keep only the embeddings
    or tokens.

    The backward recomputes each part (Gao et al., 2021, "Scaling Deep Contrastive Learning Batch Size under Memory
    Limited Setup"): first the gradient of the loss with respect to all embeddings, then for each part a second forward,
    with the random state of the first, and its backward. Everything after the backbone, including a projector's batch
    norm, sees the whole batch. The gradient is that of the whole batch, except for batch norm in the backbone, which
    sees one part: for a small ResNet, the first gradients of 128 images in 2 parts have a cosine similarity of 0.83 to
    0.92 with those of the whole batch; in 8 parts, 0.33 to 0.65, no better than with summed gradients.
    """
    backbones = [module for module in method.modules() if isinstance(module, Backbone)] if parts > 1 else []
    for backbone in backbones:
        backbone.forward = partial(_forward, backbone.forward, parts)
        backbone.tokens = partial(_tokens, backbone.tokens, parts)
    try:
        yield
    finally:
        for backbone in backbones:
            del backbone.forward, backbone.tokens


def _forward(forward: Any, parts: int, images: Tensor) -> Tensor:
    # Strided, so that when views are concatenated every part holds the same images.
    embeddings = [recomputed(forward, images[part::parts]) for part in range(parts)]
    return torch.stack(embeddings, dim=1).flatten(0, 1)


def _tokens(
    tokens: Any, parts: int, images: Tensor, keep: Tensor | None = None, mask: Tensor | None = None,
    mask_token: Tensor | None = None,
) -> Tokens:  # fmt: skip
    def part(values: Tensor | None, i: int) -> Tensor | None:
        return None if values is None else values[i::parts]

    found = [recomputed(tokens, images[i::parts], part(keep, i), part(mask, i), mask_token) for i in range(parts)]
    return Tokens(*(torch.stack(each, dim=1).flatten(0, 1) for each in zip(*found)))


class LargeBatches(Loader):
    """Joins every `parts` batches of a loader of `Views` into one, and drops an incomplete one at the end of an epoch.

    Workers make the small batches, so no more images are queued than usual. Raises UserError if an epoch has fewer than
    `parts` batches.
    """

    def __init__(self, loader: Loader, parts: int):
        vars(self).update(vars(loader))
        self.parts = parts
        if not len(self):
            raise UserError(
                f"--accumulate {parts}: an epoch has only {len(loader)} steps of {loader.batch_size} images per "
                "process; give a smaller --accumulate or --batch-size"
            )

    def __len__(self) -> int:
        return super().__len__() // self.parts

    def __iter__(self) -> Iterator[ViewBatch]:
        batches = super().__iter__()
        while len(several := list(islice(batches, self.parts))) == self.parts:
            views, crops, indices, params, labels = zip(*several)
            todo = None if params[0] is None else HostParams([image for each in params for image in each.images])
            joined = [torch.cat(same) for same in zip(*views)]
            if self.pin_memory:
                joined = [view.pin_memory() for view in joined]
            known = None if labels[0] is None else torch.cat(labels)
            yield ViewBatch(joined, torch.cat(crops), torch.cat(indices), todo, known)
