"""A probe: a question put to a model, answered with figures and numbers."""

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from twinsight.probes.draw import Plot

Subject = Literal["backbone", "network", "method", "segmenter"]
"""What a probe asks: a `Backbone`; any network from images to anything; a self-supervised method, or a backbone in its
place; a `SegmentationModel`."""


class Scene(NamedTuple):
    """An image with what a segmenter sees in it, for trackers that lay masks over images themselves.

    image: (H, W, 3) uint8. masks: name ("prediction", "truth") -> (H, W) uint8 class indices, 255 = void.
    classes: their names.
    """

    image: np.ndarray
    masks: Mapping[str, np.ndarray]
    classes: Sequence[str]


@dataclass(frozen=True)
class Finding:
    """What a probe has found.

    figures: by a name fit for a file ("block12"). numbers: by a name fit for a column ("block12/entropy"); NaN where
    there is nothing to measure. arrays: what the figures show. history: what a training keeps of every look, to be
    drawn over time. scenes: see `Scene`. remarks: what a reader must know about how it was measured, a sentence each.
    """

    figures: Mapping[str, Plot]
    numbers: Mapping[str, float]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    scenes: Sequence[Scene] = ()
    remarks: Sequence[str] = ()

    def _repr_html_(self) -> str:
        """In a notebook: the figures, then remarks and numbers."""
        images = "".join(
            f'<img alt="{escape(name)}" src="data:image/png;base64,{base64.b64encode(plot._repr_png_()).decode()}">'
            for name, plot in self.figures.items()
        )
        cells = "".join(f"<tr><td>{escape(name)}</td><td>{value:.4g}</td></tr>" for name, value in self.numbers.items())
        remarks = "".join(f"<p>{escape(remark)}</p>" for remark in self.remarks)
        return f"{images}{remarks}<table>{cells}</table>"


class Probe(Protocol):
    """A configured question.

    subject: what `model` is. read: one line on how to read the figures. caution: one on how they can mislead; both go
    under every figure of a report.

    Called with images, (3, H, W) RGB each, uint8 or float in [0, 1], of any sizes (a (B, 3, H, W) tensor is such a
    sequence), and masks, (H, W) class indices each, 255 = void. It leaves the model as it was: its mode and parameters,
    no hook behind, no gradient. Raises UserError for a model or images that it cannot ask, and names what can be done.
    """

    subject: ClassVar[Subject]
    read: ClassVar[str]
    caution: ClassVar[str]

    def __call__(self, model: Any, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding: ...


@contextmanager
def inspecting(model: nn.Module) -> Iterator[torch.device]:
    """The model in eval mode; each module's own mode is restored. Gives the device that the model is on."""
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
    """A class's name in the letters of a column."""
    return re.sub("[^a-z0-9_.-]", "_", name.lower())
