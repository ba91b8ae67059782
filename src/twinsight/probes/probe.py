"""A probe: a question to a model, answered with figures and numbers."""

import math
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from twinsight.probes.captions import Caption
from twinsight.probes.finding import Finding

Subject = Literal["backbone", "network", "method", "segmenter"]
"""What a probe examines: a `Backbone`; any network from images to anything; a self-supervised method, or a backbone in
its place; a `SegmentationModel`."""


class Probe(Protocol):
    """A configured question.

    subject: what `model` is. caption: how to read the figures, how they can mislead, what the numbers are called.

    Called with images, (3, H, W) RGB each, uint8 or float in [0, 1], of any sizes (a (B, 3, H, W) tensor is such a
    sequence), and masks, (H, W) class indices each, 255 = void. It leaves the model's mode, parameters, hooks and
    gradients unchanged. Raises UserError, with a remedy, for a model or images that it cannot use.
    """

    subject: ClassVar[Subject]
    caption: ClassVar[Caption]

    def __call__(self, model: Any, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding: ...


@contextmanager
def inspecting(model: nn.Module) -> Generator[torch.device]:
    """The model in eval mode; each module's own mode is restored. Yields the model's device."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield next(model.parameters(), torch.empty(0)).device
    finally:
        for module, mode in modes:
            module.training = mode  # not .train(mode), which would set the children too


def effective_rank(vectors: Tensor) -> float:
    """(N, D) -> exp(entropy of the normalized singular values), from 1 to min(N, D) (RankMe, Garrido et al., 2023)."""
    singular = torch.linalg.svdvals(vectors.double())
    total = singular.sum().item()
    return torch.special.entr(singular / total).sum().exp().item() if total > 0 else math.nan


def column(name: str) -> str:
    """A class's name in characters allowed in a column name."""
    return re.sub("[^a-z0-9_.-]", "_", name.lower())
