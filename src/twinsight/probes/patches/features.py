"""The first three principal components of patch features, seen as colors."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import Plot
from twinsight.probes.finding import Finding
from twinsight.probes.fits.pca import principal_axes, project
from twinsight.probes.grids import image_grid, letterbox, pick
from twinsight.probes.images import batches, over_image, pixels
from twinsight.probes.probe import Subject, effective_rank, inspecting

RANK_PATCHES = 4096
CHANNELS = 4
"""Images whose components are also shown separately."""


class PatchFeatures:
    """Patch features as colors: red, green and blue are their first three principal components, as DINOv2 shows them.

    One PCA over all patches of all images, so that a color means the same throughout the figure; patches entirely in
    padding are left out. Each component is scaled from its 1st to its 99th percentile. The maps of all
    images are kept in memory.

    level: index of the backbone's level; negative ones count from the deepest.
    shown: images to draw, evenly spaced; the PCA uses all.

    Figures: "components", and "channels", each component in gray for the first images. Numbers: "explained1" to
    "explained3", fractions of the variance, 0 to 1; "effective_rank" of at most 4096 patches (see `effective_rank`).

    Raises UserError if the backbone has no such level.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["features"]

    def __init__(self, level: int = -1, shown: int = 12):
        if shown < 1:
            raise UserError(f"--shown {shown}: is too few; give 1 or more")
        self.level = level
        self.shown = shown

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        levels = len(model.dims)
        if not -levels <= self.level < levels:
            raise UserError(
                f"--level {self.level}: no such level in {model.name}; give 0 to {levels - 1}, or -1 to -{levels}"
            )
        maps: list[Tensor] = []
        extents: list[tuple[int, int]] = []
        with inspecting(model) as device, torch.inference_mode():
            for batch in batches(images, device):
                features = model.features(batch, [self.level])
                maps += features.maps[0].float().cpu()
                extents += [features.extent] * len(batch)
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        patches = [unpadded(*each).flatten(1).T for each in zip(maps, extents, sizes)]
        mean, axes, shares = principal_axes(patches, 3)
        low, span = color_range(torch.cat([project(x, mean, axes) for x in patches]))

        chosen = pick(len(images), self.shown)
        colors: list[np.ndarray] = []
        for i in chosen:
            scores = project(maps[i].flatten(1).T, mean, axes)
            scaled = ((scores - low) / span).T.reshape(3, *maps[i].shape[1:])
            colors.append(pixels(over_image(scaled, extents[i], sizes[i], "nearest")))
        originals = [pixels(images[i]) for i in chosen]
        explained = {f"explained{i}": share for i, share in enumerate(shares.tolist(), 1)}
        names = [f"component {i} ({100 * share:.0f}%)" for i, share in enumerate(shares.tolist(), 1)]
        height, width = maps[chosen[0]].shape[1:]
        note = f"{height} x {width} patches, each a square"
        figures = {
            "components": pairs(originals, colors, names, note),
            "channels": channels(originals, colors, names, note),
        }
        return Finding(
            figures, {**explained, "effective_rank": effective_rank(some(torch.cat(patches)))}, names=self.caption.names
        )


def unpadded(features: Tensor, extent: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """(C, h, w) that covers `extent` pixels -> the part that overlaps an image of `size` at its top left."""
    height, width = (math.ceil(n * s / e) for n, s, e in zip(features.shape[1:], size, extent))
    return features[:, :height, :width]


def color_range(scores: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3) -> the value shown as black and its distance to white, (3) each.

    A component with little variance compared to the first is noise and shown as mid-gray.
    """
    low, high = np.quantile(scores.numpy(), [0.01, 0.99], axis=0)
    span = np.maximum(high - low, max(1e-4 * (high - low).max(), 1e-12))
    return torch.from_numpy((low + high - span) / 2), torch.from_numpy(span)


def some(vectors: Tensor) -> Tensor:
    """At most 4096 of the (N, D) vectors, always the same."""
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))
    return vectors[order[:RANK_PATCHES]]


def pairs(images: Sequence[np.ndarray], colors: Sequence[np.ndarray], names: Sequence[str], note: str) -> Plot:
    """Each image with its components beside it, up to three pairs a row."""
    aspect = float(np.median([image.shape[0] / image.shape[1] for image in images]))
    cells = [letterbox(image, aspect, 480) for pair in zip(images, colors) for image in pair]
    columns = 2 * min(3, math.ceil(len(images) / 2))
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    legend = dict(zip(names, ("#ff0000", "#00ff00", "#0000ff")))
    return image_grid(rows, ["image", "components"] * (columns // 2), legend=legend, side=1.8, note=note)


def channels(images: Sequence[np.ndarray], colors: Sequence[np.ndarray], names: Sequence[str], note: str) -> Plot:
    """The first images, and each of their components in gray."""
    first = list(zip(images, colors))[:CHANNELS]
    rows = [[image, *(color[..., [i, i, i]] for i in range(3))] for image, color in first]
    return image_grid(rows, ["image", *names], side=1.8, note=note)
