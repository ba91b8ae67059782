"""The effective receptive field: the pixels that a layer's central unit really depends on."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import FigureBase
from matplotlib.patches import Circle
from torch import Tensor, nn

from twinsight.errors import UserError
from twinsight.probes.draw import PAGE, Plot
from twinsight.probes.images import batches, common_crop
from twinsight.probes.probe import Finding, Subject, inspecting
from twinsight.probes.units import central_units, find, short_names, units

BATCH = 4
"""Images whose graph is kept at a time."""

GAMMA = 0.25
"""Of the colors: under a square root, a transformer's wide and thin tails would still be black."""


class ReceptiveField:
    """Understanding the Effective Receptive Field in Deep Convolutional Neural Networks (Luo et al., NeurIPS 2016).

    A layer's field is the gradient of its central unit, summed over channels, with respect to the input: absolute
    values, summed over RGB, averaged over the images; images of several sizes are cut to the common one. The sum over
    channels of a layer norm's output hardly varies: ask for the layer before it. (In an untrained Swin or ConvNeXt the
    stem ends in such a norm, so that the first stage's blocks show little but their branches.)

    layers: names as in `named_modules()`, a backbone's also without "network."; empty takes `count` of them (1 or
    more), evenly spaced in order of execution from the first to the last: whole blocks, and the convolutions and
    linear layers around them. threshold: 0 to 1, the share of the maximum above which a pixel counts for the area;
    the paper's is 1 - 95.45 %.

    Numbers of each layer, by "layer/number"; NaN where no pixel moves its central unit:
    area: pixels above `threshold` times the maximum.
    radius50, radius95: of the circles about the centroid that hold half and 95 % of the mass, in pixels.
    entropy: of the field as a distribution, in nats: that of exp(entropy) pixels which all count alike.
    asymmetry: half the L1 distance between that distribution and itself turned by 180 degrees about its centroid,
    rounded to half pixels: 0 (symmetric) to 1.

    Arrays: the fields (H, W), by layer.
    Raises UserError for a layer that is not there or whose output is no map of the image.
    """

    subject: ClassVar[Subject] = "network"
    read: ClassVar[str] = (
        "How strongly each pixel moves a layer's central unit, each map on its own scale; circles hold half (solid) "
        "and 95 % (dashed) of the whole, insets enlarge small fields."
    )
    caution: ClassVar[str] = (
        "Gradients tell what small changes of a pixel do on these images, not whether the pixel is of use; "
        "circles assume round fields."
    )

    def __init__(self, layers: Sequence[str] = (), count: int = 8, threshold: float = 0.0455):
        if count < 1:
            raise UserError(f"--count {count}: must be at least 1")
        if not 0 < threshold < 1:
            raise UserError(f"--threshold {threshold}: must lie between 0 and 1")
        self.layers, self.count, self.threshold = tuple(layers), count, threshold

    def __call__(self, model: nn.Module, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        crops = common_crop(images)
        fields: dict[str, Any] = {}
        # Not in inference mode, which Lightning validates in, for no graph can be made there.
        with inspecting(model) as device, no_parameter_gradients(model), torch.inference_mode(False):
            for batch in batches(list(crops), device, BATCH):
                for name, field in self.summed_fields(model, batch):
                    fields[name] = fields.get(name, 0) + field / len(crops)
        fields = {name: field.cpu().numpy() for name, field in fields.items()}
        shapes = {name: Shape.of(field) for name, field in fields.items()}
        numbers = {}
        for name, field in fields.items():
            area = float((field > self.threshold * field.max()).sum()) if field.any() else math.nan
            measured = {"area": area} | shapes[name]._asdict()
            numbers |= {f"{name.lower()}/{key}": measured[key] for key in measured if key != "center"}
        return Finding({"strip": strip(fields, shapes), "profiles": profiles(fields, shapes)}, numbers, fields)

    def summed_fields(self, model: nn.Module, batch: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Layers and their fields (H, W), summed over the batch: one run forward, then one backward a layer."""
        names = short_names(model)
        modules = {names[name]: module for name, module in model.named_modules() if name}
        asked = [find(name, names, model) for name in self.layers]
        known = set(units(model))
        watched = {name: modules[name] for name in asked or modules if asked or modules[name] in known}
        pixels = batch.float() / 255 if batch.dtype == torch.uint8 else batch.clone()
        with torch.enable_grad(), central_units(model, watched, batch.shape) as found:
            model(pixels.requires_grad_())
        for name, given in zip(asked, self.layers):
            if name not in found:
                raise UserError(f"--layers {given}: puts out no map of the image; choose another, such as a block")
        if not found:
            raise UserError(f"--layers: {type(model).__name__} has no layer that puts out a map; name others")
        spread = np.linspace(len(found) - 1, 0, self.count).round()[::-1]
        for name in asked or dict.fromkeys(list(found)[int(i)] for i in spread):
            (gradient,) = torch.autograd.grad(found[name], pixels, retain_graph=True)
            yield name, gradient.abs().sum((0, 1))


@contextmanager
def no_parameter_gradients(model: nn.Module) -> Iterator[None]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad = False
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad = True


class Shape(NamedTuple):
    """Of a field, in pixels and nats; see `ReceptiveField`. center: the centroid, (row, column)."""

    center: tuple[float, float]
    radius50: float
    radius95: float
    entropy: float
    asymmetry: float

    @classmethod
    def of(cls, field: np.ndarray) -> "Shape":
        total = field.sum(dtype=np.float64)
        if not total > 0:
            return cls((math.nan, math.nan), *[math.nan] * 4)
        mass = field / total
        rows, columns = np.indices(field.shape)
        center = float((mass * rows).sum()), float((mass * columns).sum())
        radii, within = mass_within(field, center)
        half, most = (float(radii[np.searchsorted(within, share - 1e-9)]) for share in (0.5, 0.95))
        entropy = -float((mass[mass > 0] * np.log(mass[mass > 0])).sum())
        mirrored_rows, mirrored_columns = round(2 * center[0]) - rows, round(2 * center[1]) - columns
        inside = (mirrored_rows >= 0) & (mirrored_rows < field.shape[0])
        inside &= (mirrored_columns >= 0) & (mirrored_columns < field.shape[1])
        turned = np.where(inside, mass[mirrored_rows * inside, mirrored_columns * inside], 0)
        asymmetry = float(np.abs(mass - turned).sum() + 1 - turned.sum()) / 2  # the rest was turned out of the image
        return cls(center, half, most, entropy, asymmetry)


def mass_within(field: np.ndarray, center: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the center, ascending, and the share of the mass up to there."""
    rows, columns = np.indices(field.shape)
    distances = np.hypot(rows - center[0], columns - center[1]).ravel()
    order = distances.argsort()
    within = field.ravel()[order].cumsum(dtype=np.float64)
    return distances[order], within / (within[-1] or 1)


def strip(fields: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]) -> Plot:
    """The fields side by side, 8 in a row."""
    columns = min(8, len(fields))
    rows = -(-len(fields) // columns)
    side = min(1.6, PAGE / columns)
    height, width = next(iter(fields.values())).shape
    titles = {name: broken(name, int(side * 72 / 4.2)) for name in fields}  # 4.2 points a letter of size 7
    lines = max(title.count("\n") + 1 for title in titles.values())

    def draw(figure: FigureBase) -> None:
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, (name, field) in zip(axes.flat, fields.items()):
            axis.set_axis_on()
            axis.set_title(titles[name], fontsize=7, pad=3)
            half, most = shapes[name].radius50, shapes[name].radius95
            axis.set_xlabel(f"50 %: {half:.0f} px\n95 %: {most:.0f} px", fontsize=7, labelpad=2)
            if most < min(height, width) / 14:
                show(axis, field)
                share = 0.42 * min(height, width)
                lens = axis.inset_axes((1 - share / width, 0, share / width, share / height))
                show(lens, field, shapes[name])
                (y, x), reach = shapes[name].center, max(2, 1.2 * most)
                lens.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach))
                lens.spines[:].set(visible=True, color="white", linewidth=0.6)
            else:
                show(axis, field, shapes[name])
        scale = ScalarMappable(PowerNorm(GAMMA, 0, 1), "magma")
        bar: Any = figure.colorbar(scale, ax=axes, location="bottom", fraction=0.03, aspect=40, shrink=0.42, pad=0.02)
        bar.set_ticks([0, 0.01, 0.1, 1], labels=["0", "0.01", "0.1", "1"], fontsize=7)
        bar.set_label("gradient / its maximum (fourth-root scale)", fontsize=8)
        bar.outline.set_visible(False)

    return Plot(columns * side, rows * (side * height / width + 0.3 + 0.12 * lines) + 0.45, draw)


def show(axis: Axes, field: np.ndarray, shape: Shape | None = None) -> None:
    """A field, with its circles if its shape is given."""
    axis.imshow(field, "magma", norm=PowerNorm(GAMMA, 0, field.max() or 1))
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    if shape is not None:
        for radius, line in ((shape.radius50, "-"), (shape.radius95, (0, (3, 2)))):
            axis.add_patch(
                Circle((shape.center[1], shape.center[0]), radius, fill=False, color="#56B4E9", lw=0.8, ls=line)
            )


def profiles(fields: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]) -> Plot:
    """How much of each field lies within a radius, the first layer darkest."""

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        for i, (name, field) in enumerate(fields.items()):
            radii, within = mass_within(field, shapes[name].center)
            color = colormaps["viridis"](0.92 * i / max(1, len(fields) - 1))
            grid = np.geomspace(0.5, radii[-1], 200)
            reached = np.searchsorted(radii, grid, side="right")
            axis.plot(grid, np.append(0, within)[reached] * 100, color=color, label=broken(name, 40))
        for share in (50, 95):
            axis.axhline(share, color="0.6", linewidth=0.8, linestyle=":", zorder=1)
        axis.set(xscale="log", xlabel="distance from the centroid in pixels", ylabel="mass within in %", ylim=(0, 101))
        axis.xaxis.set_major_formatter("{x:g}")
        figure.legend(loc="outside right upper", fontsize=7)

    return Plot(PAGE, max(2.6, 0.4 + 0.16 * len(fields)), draw)


def broken(name: str, width: int) -> str:
    """A name in as few and as even lines of at most `width` letters as can be, broken after dots.

    A longer part loses its middle.
    """
    parts = re.findall(r"[^.]+\.?", name)
    parts = [p if len(p) <= width else f"{p[: (width - 1) // 2]}…{p[-(width // 2) :]}" for p in parts]

    def fill(width: int) -> list[str]:
        lines = [parts[0]]
        for part in parts[1:]:
            if len(lines[-1] + part) > width:
                lines.append("")
            lines[-1] += part
        return lines

    return "\n".join(min(map(fill, range(width, 0, -1)), key=lambda lines: (len(lines), max(map(len, lines)))))
