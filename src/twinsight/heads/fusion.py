"""Decoders that use attention beside the features, with controls that show what attention adds.

Each is SETR-PUP (Zheng et al., CVPR 2021) of equal width plus at most a few percent of parameters: one weight per
attention head and step for the gate, 9 x channels per head for concat, one weight per head for affinity. `source` sets
their input, with the same parameters and forward pass:

- "attention": the recorded maps;
- "uniform": equal weight on every patch;
- "shuffled": the recorded maps with patches permuted, in the same way for all heads of a block. In training the
  permutation changes at each step, so that nothing can learn to undo it; in eval mode its seed is fixed, so that
  results repeat. Only properties that do not depend on position remain, such as how peaked a map is.

The number of attention heads is known only at the first batch, which creates some of the parameters
(`torch.nn.LazyConv2d`); `SegmentationModel` runs one.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from twinsight.backbones.backbone import Features
from twinsight.backbones.light_timm import LayerNorm2d
from twinsight.errors import UserError
from twinsight.heads.maps import conv_bn_relu, doublings, resize
from twinsight.layers import at_least_float32, full_precision

Source = Literal["attention", "uniform", "shuffled"]


def input_maps(attention: Sequence[Tensor], source: Source, training: bool) -> list[Tensor]:
    """The maps that `source` selects; attention (B, heads, h, w), or (B, heads, h*w, h, w) with queries moved too."""
    if not attention:
        raise UserError("--head.blocks: none given; give at least one, such as -1 for the last")
    generator = None if training else torch.Generator().manual_seed(0)
    maps: list[Tensor] = []
    for a in attention:
        h, w = a.shape[-2:]
        if source == "uniform":
            a = torch.full_like(a, 1 / (h * w))
        elif source == "shuffled":
            order = torch.randperm(h * w, generator=generator).to(a.device)
            by_patch = a.ndim == 5
            a = a.flatten(-2)[..., order].unflatten(-1, (h, w))
            a = a[:, :, order] if by_patch else a
        maps.append(a)
    return maps


def channels_of(attention: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Maps (B, heads, h, w) -> (B, all heads, *size), as input for convolutions.

    The logarithm undoes the softmax, whose few large values would swamp the rest; then each map is normalized to mean 0
    and variance 1 over its patches. A uniform map becomes 0. Weights are clamped to at least 1e-8.
    """
    logits = [a.clamp_min(1e-8).log() for a in attention]
    return torch.cat([resize(F.layer_norm(x, x.shape[-2:]), size) for x in logits], dim=1)


class HeadMix(nn.Module):
    """Weighted sums over attention heads, (B, heads, ...) -> (B, outputs, ...), with weights initialized to 0.

    convex: weighted means instead: weights pass a softmax over the heads, so they start out equal.
    """

    def __init__(self, outputs: int, convex: bool = False):
        super().__init__()
        self.outputs = outputs
        self.convex = convex
        self.weight: Any = UninitializedParameter()

    def forward(self, maps: Tensor) -> Tensor:
        if isinstance(self.weight, UninitializedParameter):
            self.weight.materialize((self.outputs, maps.shape[1]))
            nn.init.zeros_(self.weight)
        weight = self.weight.softmax(1) if self.convex else self.weight
        return torch.einsum("oh,bh...->bo...", weight, maps)


class FusionConcat(nn.Module):
    """Concatenates the attention of all heads of `blocks` with the features, then decodes as SETR-PUP.

    The features are those of the last level, layer-normalized; the maps are normalized by `channels_of` and resized to
    the features' grid. They are those of the class token, or the mean over patches if there is none.

    blocks: from 0; negative numbers count from the last. source: see the module. channels: width of the decoder.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        blocks: tuple[int, ...] = (-1,),
        source: Source = "attention",
        channels: int = 256,
    ):
        super().__init__()
        self.levels = (len(dims) - 1,)
        self.attention = (blocks, "auto")
        self.source: Source = source
        self.norm = LayerNorm2d(dims[-1])
        first = nn.LazyConv2d(channels, 3, padding=1, bias=False)
        layers: list[nn.Module] = [nn.Sequential(first, nn.BatchNorm2d(channels), nn.ReLU())]
        for _ in range(doublings(strides[-1]) - 1):
            layers += [nn.Upsample(scale_factor=2, mode="bilinear"), conv_bn_relu(channels, channels, 3)]
        layers += [nn.Conv2d(channels, num_classes, 1), nn.Upsample(scale_factor=2, mode="bilinear")]
        self.decode = nn.Sequential(*layers)

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, 2**steps h, 2**steps w) logits for a last map of h x w."""
        x = self.norm(features.maps[0])
        maps = input_maps(features.attention, self.source, self.training)
        return self.decode(torch.cat([x, channels_of(maps, (x.shape[2], x.shape[3]))], dim=1))


class FusionGate(nn.Module):
    """SETR-PUP with each step gated, before upsampling, by a learned mix of attention heads.

    A gate is 2 sigmoid(w . maps + b), one number per pixel, with its own weights at each step. Weights start at 0, so
    the gate at 1: training starts from SETR-PUP. Maps and arguments as in `FusionConcat`.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        blocks: tuple[int, ...] = (-1,),
        source: Source = "attention",
        channels: int = 256,
    ):
        super().__init__()
        self.levels = (len(dims) - 1,)
        self.attention = (blocks, "auto")
        self.source: Source = source
        steps = doublings(strides[-1])
        self.norm = LayerNorm2d(dims[-1])
        self.steps = nn.ModuleList(conv_bn_relu(dim, channels, 3) for dim in [dims[-1]] + [channels] * (steps - 1))
        self.mix = HeadMix(steps)
        self.bias = nn.Parameter(torch.zeros(steps))
        self.classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, 2**steps h, 2**steps w) logits for a last map of h x w."""
        x = self.norm(features.maps[0])
        h, w = x.shape[-2:]
        maps = input_maps(features.attention, self.source, self.training)
        gates = self.mix(channels_of(maps, (h, w))) + self.bias[:, None, None]
        for k, step in enumerate(self.steps):
            size = (h * 2**k, w * 2**k)
            x = step(resize(x, size)) * (2 * resize(gates[:, k : k + 1], size).sigmoid())
        return resize(self.classifier(x), (h * 2 ** len(self.steps), w * 2 ** len(self.steps)))


class FusionAffinity(nn.Module):
    """Propagates logits along the attention between patches: L <- (1 - b) L + b A^n L.

    L comes from SETR-PUP's convolutions, all at the stride of the last map, resized to the attention's grid.
    A (patches, patches) is a learned convex mix of all heads of `blocks`, initially their mean, without class and
    register tokens, and each row sums to 1. It is not made symmetric: each patch averages over the patches it looks at.
    b is learned, a sigmoid, initially 0.5. Uniform attention mixes in the mean over the image; a Swin's attention stays
    within its windows. Memory grows with the square of the number of patches.

    blocks: all with the same grid; from 0; negative numbers count from the last. source, channels: as in
    `FusionConcat`. steps: n, at least 1.
    Raises UserError for fewer steps, and at the first batch if the grids of the blocks differ.
    """

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        blocks: tuple[int, ...] = (-1,),
        source: Source = "attention",
        channels: int = 256,
        steps: int = 1,
    ):
        super().__init__()
        if steps < 1:
            raise UserError(f"--head.steps {steps}: must be at least 1; give 1 or more")
        self.levels = (len(dims) - 1,)
        self.attention = (blocks, "patches")
        self.source: Source = source
        self.steps = steps
        widths = [dims[-1]] + [channels] * doublings(strides[-1])
        layers = [conv_bn_relu(dim, channels, 3) for dim in widths[:-1]]
        self.classify = nn.Sequential(LayerNorm2d(dims[-1]), *layers, nn.Conv2d(channels, num_classes, 1))
        self.mix = HeadMix(1, convex=True)
        self.blend = nn.Parameter(torch.zeros(1))

    def forward(self, features: Features) -> Tensor:
        """(B, num_classes, h, w) logits for attention between h x w patches."""
        logits = self.classify(features.maps[0])
        maps = input_maps(features.attention, self.source, self.training)
        grids = {(a.shape[-2], a.shape[-1]) for a in maps}
        if len(grids) > 1:
            sizes = ", ".join(f"{h}x{w}" for h, w in sorted(grids))
            raise UserError(f"--head.blocks: the blocks have grids of {sizes} patches; choose blocks of one stage")
        with full_precision(logits.device):
            affinity = self.mix(torch.cat([a.flatten(3) for a in maps], dim=1))[:, 0]
            affinity = affinity / affinity.sum(-1, keepdim=True)
            logits = resize(at_least_float32(logits), grids.pop())
            spread = logits.flatten(2).mT
            for _ in range(self.steps):
                spread = affinity @ spread
            return logits.lerp(spread.mT.view_as(logits), self.blend.sigmoid())
