"""Segmentation by one linear layer on frozen features, fitted to convergence."""

from collections.abc import Iterable

import torch
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.probes.fits.linear import choose_strength, fit, held_out
from twinsight.probes.images import over_image
from twinsight.probes.patches.labeled import labeled_patches, patches
from twinsight.probes.probe import inspecting
from twinsight.segmentation.metrics import ConfusionMatrix, Scores


def patch_linear(
    backbone: Backbone,
    train_images: Iterable[Tensor],
    train_masks: Iterable[Tensor],
    val_images: Iterable[Tensor],
    val_masks: Iterable[Tensor],
    classes: int,
    level: int = -1,
    memory: int = 100_000,
    seed: int = 0,
) -> tuple[Scores, float]:
    """Scores over the labeled pixels of the validation images, and the regularization strength.

    The backbone is frozen and sees each image once, unaugmented; at most `memory` training patches, drawn at random,
    are used. A batch norm without affine and a 1x1 convolution, as in `heads.linear`, learn how many
    pixels of each class a patch holds: the cross-entropy over pixels of logits that are equal within a patch, which is
    convex. Its regularization is chosen on the patches of a fifth of the training images, then all are learned. In
    validation the logits are resized to the image bilinearly. images, masks: one after another, as for `patch_knn`.
    """
    drawn = labeled_patches(backbone, train_images, train_masks, classes, level, memory, seed)
    numbers, image = drawn.image.unique(return_inverse=True)
    features, device = drawn.features, drawn.features.device
    counts, held = drawn.counts.to(device), held_out(len(numbers), seed=seed)[image].to(device)
    strength = choose_strength(features, counts, held)
    learned = fit(features, counts, strength)
    confusion = ConfusionMatrix(classes)
    with inspecting(backbone), torch.no_grad():
        for look, truth in zip(patches(backbone, val_images, level), val_masks):
            logits = learned(look.maps.flatten(1).T).T.unflatten(1, look.maps.shape[1:])
            extent = (round(look.extent[0]), round(look.extent[1]))
            large = over_image(logits, extent, look.size)
            confusion.update(large.argmax(0).cpu()[None], truth.cpu()[None])
    return Scores(confusion.matrix), strength
