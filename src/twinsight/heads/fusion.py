"""Decoders that use attention beside the features, and the controls that tell what it adds.

Each is SETR-PUP (Zheng et al., CVPR 2021) of equal width, and at most a few percent of parameters more: a weight a head
and step for the gate, 9 x channels a head for concat, a weight a head for affinity. `source` says what they are fed,
with the same parameters and the same forward pass:

- "attention": what the backbone recorded;
- "uniform": the same weight on every patch;
- "shuffled": the recorded maps with their patches permuted, alike for all heads of a block. While training the
  permutation is new at each step, so that nothing can learn to undo it; in eval mode it is drawn from a fixed seed, so
  that results repeat. Only what does not depend on place remains, such as how peaked a map is.

How many heads a backbone's blocks have is known from the first batch on, which therefore makes some of the parameters
(`torch.nn.LazyConv2d`); `SegmentationModel` sees to that.
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


def fed(attention: Sequence[Tensor], source: Source, training: bool) -> list[Tensor]:
    """What a head gets in place of attention (B, heads, h, w), or (B, heads, h*w, h, w), whose queries move with it."""
    if not attention:
        raise UserError("--head.blocks: names no block; give at least one")
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
    """Maps (B, heads, h, w) -> (B, all heads, *size), for convolutions to read.

    The logarithm undoes the softmax, whose few large values would drown the rest; then each map has mean 0 and
    variance 1 over its patches. A uniform map becomes 0. Weights below 1e-8 count as that.
    """
    logits = [a.clamp_min(1e-8).log() for a in attention]
    return torch.cat([resize(F.layer_norm(x, x.shape[-2:]), size) for x in logits], dim=1)


class HeadMix(nn.Module):
    """Sums of attention heads, (B, heads, ...) -> (B, outputs, ...), one weight a head and output, at first 0.

    convex: means instead of sums: the weights pass a softmax over the heads, so that all are equal at first.
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
    """The attention of all heads of `blocks` as channels beside the features, then SETR-PUP's decoder.

    The features are the last level's, layer-normalized; the maps are normalized by `channels_of` and resized to the
    features' grid. They are those of the class token, or the mean over patches where there is none.

    blocks: from 0, negative ones count from the last. source: see above. channels: width of the decoder.
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
        maps = fed(features.attention, self.source, self.training)
        return self.decode(torch.cat([x, channels_of(maps, (x.shape[2], x.shape[3]))], dim=1))


class FusionGate(nn.Module):
    """SETR-PUP whose every step is gated, before it upsamples, by a learned mix of attention heads.

    A gate is 2 sigmoid(w . maps + b), one number a pixel, with weights of its own at each step. All are 0 at first, and
    a gate of zero weights is 1: training starts from SETR-PUP. Maps and arguments as in `FusionConcat`.
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
        maps = fed(features.attention, self.source, self.training)
        gates = self.mix(channels_of(maps, (h, w))) + self.bias[:, None, None]
        for k, step in enumerate(self.steps):
            size = (h * 2**k, w * 2**k)
            x = step(resize(x, size)) * (2 * resize(gates[:, k : k + 1], size).sigmoid())
        return resize(self.classifier(x), (h * 2 ** len(self.steps), w * 2 ** len(self.steps)))


class FusionAffinity(nn.Module):
    """Attention from patch to patch spreads the logits over the image: L <- (1 - b) L + b A^n L.

    L comes from SETR-PUP's convolutions, all at the stride of the last map, and is resized to the attention's grid.
    A (patches, patches) is a convex mix of all heads of `blocks`, its weights learned from their mean on; what goes to
    class and register tokens is left out, and each row sums to 1. It is not made symmetric: a patch takes the mean of
    what it looks at. b is learned, a sigmoid, at first 0.5. Uniform attention mixes in the mean over the image; a
    Swin's stays in its windows. Memory grows with the square of the number of patches.

    blocks: of one grid; from 0, negative ones count from the last. source, channels: as in `FusionConcat`. steps: n, at
    least 1.
    Raises UserError for other steps, and at the first batch if the blocks differ in their grids.
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
            raise UserError(f"--head.steps {steps}: must be at least 1")
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
        maps = fed(features.attention, self.source, self.training)
        grids = {(a.shape[-2], a.shape[-1]) for a in maps}
        if len(grids) > 1:
            sizes = ", ".join(f"{h}x{w}" for h, w in sorted(grids))
            raise UserError(f"--head.blocks: blocks of one stage are needed, not of {sizes} patches; choose others")
        with full_precision(logits.device):
            affinity = self.mix(torch.cat([a.flatten(3) for a in maps], dim=1))[:, 0]
            affinity = affinity / affinity.sum(-1, keepdim=True)
            logits = resize(at_least_float32(logits), grids.pop())
            spread = logits.flatten(2).mT
            for _ in range(self.steps):
                spread = affinity @ spread
            return logits.lerp(spread.mT.view_as(logits), self.blend.sigmoid())
