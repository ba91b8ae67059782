"""The effective receptive field: the pixels that a layer's central unit depends on in practice."""

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.finding import Finding
from twinsight.probes.images import batches, common_crop
from twinsight.probes.network.field_figures import field_strip, profiles
from twinsight.probes.network.field_shape import Shape
from twinsight.probes.network.silent_branches import branches_on
from twinsight.probes.network.units import central_units, find, short_names, units
from twinsight.probes.probe import Subject, inspecting

BATCH = 4
"""Images whose graph is in memory at a time."""


class ReceptiveField:
    """Understanding the Effective Receptive Field in Deep Convolutional Neural Networks (Luo et al., NeurIPS 2016).

    A layer's field is the gradient of its central unit, summed over channels, with respect to the input: absolute
    values, summed over RGB, averaged over the images; images of different sizes are cropped to a common one. The sum
    over channels of a layer norm's output hardly varies: choose the layer before it. (In an untrained Swin or ConvNeXt
    the stem ends in such a norm, so that the first stage's blocks show little but their branches.)

    layers: names as in `named_modules()`, optionally without a backbone's "network."; if empty, `count` of them (1 or
    more), evenly spaced in order of execution from the first to the last: whole blocks, and the convolutions and
    linear layers around them. threshold: 0 to 1, the fraction of the maximum above which a pixel counts for the area;
    1 - 95.45 % in the paper.

    Initializations that start residual branches at zero (the last batch norm of each branch in timm's ResNets, layer
    scale) would reduce an untrained network almost to its shortcuts. Such branches are measured switched on, and a
    remark, also above the figure, gives their number; see `branches_on`.

    Numbers of each layer, by "layer/number"; NaN where no pixel moves its central unit:
    area: pixels above `threshold` times the maximum.
    radius50, radius95: radii of the circles around the centroid with half and 95 % of the mass, in pixels.
    entropy: of the field as a distribution, in nats: equal to that of exp(entropy) uniform pixels.
    asymmetry: half the L1 distance between that distribution and itself rotated by 180 degrees about its centroid,
    rounded to half pixels: 0 (symmetric) to 1.

    Arrays: the fields (H, W), by layer.
    Raises UserError for a layer that does not exist or whose output is not a map of the image.
    """

    subject: ClassVar[Subject] = "network"
    caption: ClassVar = CAPTIONS["erf"]

    def __init__(self, layers: Sequence[str] = (), count: int = 8, threshold: float = 0.0455):
        if count < 1:
            raise UserError(f"--count {count}: is too few; give 1 or more")
        if not 0 < threshold < 1:
            raise UserError(f"--threshold {threshold}: is out of range; give a fraction above 0 and below 1")
        self.layers, self.count, self.threshold = tuple(layers), count, threshold

    def __call__(self, model: nn.Module, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        crops = common_crop(images)
        fields: dict[str, Any] = {}
        # Leave inference mode, in which Lightning validates: it allows no graph.
        with (
            inspecting(model) as device,
            no_parameter_gradients(model),
            torch.inference_mode(False),
            branches_on(model) as silent,
        ):
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
        remark = f"{silent} residual branches start at zero, as in an untrained network; measured with them switched on"
        figures = {"strip": field_strip(fields, shapes, remark if silent else ""), "profiles": profiles(fields, shapes)}
        return Finding(figures, numbers, fields, remarks=(remark,) if silent else (), names=self.caption.names)

    def summed_fields(self, model: nn.Module, batch: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Layers and their fields (H, W), summed over the batch: one forward pass, then one backward pass per layer."""
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
                raise UserError(
                    f"--layers {given}: does not output a map of the image; choose another layer, such as a block"
                )
        if not found:
            raise UserError(f"--layers: {type(model).__name__} has no layer that outputs a map; name layers that do")
        spread = np.linspace(len(found) - 1, 0, self.count).round()[::-1]
        for name in asked or dict.fromkeys(list(found)[int(i)] for i in spread):
            (gradient,) = torch.autograd.grad(found[name], pixels, retain_graph=True)
            yield name, gradient.abs().sum((0, 1))


@contextmanager
def no_parameter_gradients(model: nn.Module) -> Generator[None]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad = False
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad = True
