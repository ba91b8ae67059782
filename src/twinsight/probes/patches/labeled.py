"""The patches of a backbone's map with labels from masks."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.samples import VOID
from twinsight.errors import UserError
from twinsight.probes.attention.maps import Look, look_inside
from twinsight.probes.attention.regions import class_pixels, patch_of_pixel
from twinsight.probes.images import batches
from twinsight.probes.probe import inspecting


def patches(backbone: Backbone, images: Iterable[Tensor], level: int) -> Iterator[Look]:
    """The patch features of each image, (D, h, w), without those in padding."""
    levels = len(backbone.dims)
    if not -levels <= level < levels:
        raise UserError(
            f"--level {level}: no such level in {backbone.name}; give 0 to {levels - 1}, or -1 to -{levels}"
        )
    for batch in batches(images, next(backbone.parameters()).device):
        with torch.inference_mode():
            features = backbone.features(batch, [level])
        for one in features.maps[0].float():
            yield look_inside(one, features.extent, (batch.shape[2], batch.shape[3]))


def patch_pixels(mask: Tensor, classes: int, look: Look) -> Tensor:
    """(h * w, classes) float32: pixels of each class in each patch; void is ignored."""
    counts = class_pixels(mask, classes, (look.maps.shape[1], look.maps.shape[2]), look.extent)
    return counts.flatten(1).T.float()


def majority(mask: Tensor, classes: int, look: Look) -> Tensor:
    """(h * w,) int64: each patch's most frequent class, the first of ties; 255 if all is void."""
    counts = patch_pixels(mask, classes, look)
    return torch.where(counts.sum(1) > 0, counts.argmax(1), VOID)


def upsampled(labels: Tensor, look: Look) -> Tensor:
    """(h * w,) -> (H, W), each pixel its patch's."""
    return labels[patch_of_pixel((look.maps.shape[1], look.maps.shape[2]), look.extent, look.size)]


class LabeledPatches(NamedTuple):
    """M patches: (M, D) float32 features, (M, classes) float32 pixels of each class, (M,) int64 numbers of images."""

    features: Tensor
    counts: Tensor
    image: Tensor


def labeled_patches(
    backbone: Backbone,
    images: Iterable[Tensor],
    masks: Iterable[Tensor],
    classes: int,
    level: int,
    size: int,
    seed: int,
) -> LabeledPatches:
    """At most `size` patches that are not void, sampled uniformly: those with the smallest random keys."""
    generator = torch.Generator().manual_seed(seed)
    kept: list[tuple[Tensor, ...]] = []
    held, greatest = 0, 1.0
    with inspecting(backbone):
        for i, (look, mask) in enumerate(zip(patches(backbone, images, level), masks)):
            counts = patch_pixels(mask, classes, look)
            labeled = counts.sum(1).nonzero().flatten()
            keys = torch.rand(len(labeled), generator=generator, dtype=torch.float64)
            chosen, keys = labeled[keys < greatest], keys[keys < greatest]
            features = look.maps.flatten(1).T[chosen.to(look.maps.device)]
            kept.append((features, counts[chosen], keys, torch.full_like(chosen, i)))
            held += len(keys)
            if held > size + size // 4:
                kept = [least(kept, size)]
                held, greatest = size, kept[0][2].max().item()
    if not held:
        raise UserError("masks: all patches to compare with are void; choose other images")
    features, counts, _, numbers = least(kept, size)
    return LabeledPatches(features, counts, numbers)


def least(kept: list[tuple[Tensor, ...]], size: int) -> tuple[Tensor, ...]:
    """All concatenated; if more than `size`, only those with the smallest keys (the third tensor)."""
    features, counts, keys, numbers = map(torch.cat, zip(*kept))
    if len(keys) > size:
        chosen = keys.argsort()[:size]
        return features[chosen.to(features.device)], counts[chosen], keys[chosen], numbers[chosen]
    return features, counts, keys, numbers
