"""Segmentation by the nearest labeled patches: what a backbone knows about the classes without a decoder."""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import overlay
from twinsight.probes.finding import Finding, Scene
from twinsight.probes.fits.votes import Memory, vote
from twinsight.probes.grids import Cell, image_grid
from twinsight.probes.images import pixels
from twinsight.probes.patches.labeled import labeled_patches, majority, patches, upsampled
from twinsight.probes.probe import Subject, column, inspecting
from twinsight.probes.segmentation.predictions import OPACITY, check, occurring, score
from twinsight.segmentation.metrics import ConfusionMatrix, Scores


class Asked(NamedTuple):
    """An image's truth, the class that its patches voted for, and the most that its grid allows; (H, W) int64 each."""

    truth: Tensor
    predicted: Tensor
    ceiling: Tensor


class PatchScores(NamedTuple):
    """Over all labeled pixels: of the votes, and of the class that most pixels of each patch truly have."""

    found: Scores
    ceiling: Scores


class PatchNeighbors:
    """Patches labeled by their nearest labeled neighbors; see `patch_knn` for whole data sets.

    The first half of the images, rounded up, is the memory; the second half is classified. classes, palette: names,
    and (C, 3) uint8 colors. k: neighbors that vote, at least 1. level: of the backbone's; negative ones count from the
    deepest. memory: maximum patches to compare with, drawn at random by `seed`. shown: images in the figure.

    Figure "patches", the same as `scenes`. Numbers, from 0 to 1 over the labeled pixels of the second half: "mean_iou",
    "pixel_accuracy", "class/NAME/iou", and "ceiling_mean_iou", that of each patch's true most frequent class:
    about what the grid allows.

    Raises UserError for fewer than 2 images, missing masks or classes, and a level that does not exist.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["patches"]

    def __init__(
        self,
        classes: Sequence[str],
        palette: np.ndarray | None,
        k: int = 20,
        level: int = -1,
        memory: int = 20_000,
        shown: int = 4,
        seed: int = 0,
    ):
        for name, value, least in (("k", k, 1), ("memory", memory, 1), ("shown", shown, 1), ("seed", seed, 0)):
            if value < least:
                raise UserError(f"--{name} {value}: is too small; give {least} or more")
        self.classes, self.palette = tuple(classes), palette
        self.k, self.level, self.memory, self.shown, self.seed = k, level, memory, shown, seed

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        if masks is None or self.palette is None or not self.classes:
            raise UserError("masks: none given to label the patches; choose a data set with masks")
        check(images, masks)
        if len(images) < 2:
            raise UserError("images: 1 given; the first half labels the second, so give at least 2")
        half = (len(images) + 1) // 2
        count = len(self.classes)
        memory = remember(model, images[:half], masks[:half], count, self.level, self.memory, self.seed)
        asked = list(ask(model, images[half:], masks[half:], memory, count, self.k, level=self.level))
        found, ceiling = scores(asked, count)
        numbers = {name: found.scalars()[name] for name in ("mean_iou", "pixel_accuracy")}
        numbers["ceiling_mean_iou"] = ceiling.scalars()["mean_iou"]
        numbers |= {f"class/{column(name)}/iou": iou for name, iou in zip(self.classes, found.iou.tolist())}
        scenes = [
            Scene(
                pixels(image),
                {"prediction": one.predicted.byte().numpy(), "truth": one.truth.byte().numpy()},
                self.classes,
            )
            for image, one in zip(images[half:], asked)
        ]
        chosen = np.unique(np.linspace(0, len(scenes) - 1, self.shown).astype(int))
        drawn = [scenes[i] for i in chosen]
        rows = [
            [
                Cell(scene.image),
                Cell(overlay(scene.image, scene.masks["truth"], self.palette, OPACITY)),
                Cell(overlay(scene.image, scene.masks["prediction"], self.palette, OPACITY), caption=score(scene)),
            ]
            for scene in drawn
        ]
        titles = ["image", "truth", "of the nearest patches"]
        plot = image_grid(rows, titles, legend=occurring(drawn, self.palette), side=2.4)
        return Finding({"patches": plot}, numbers, scenes=scenes, names=self.caption.names)


def patch_knn(
    backbone: Backbone,
    train_images: Iterable[Tensor],
    train_masks: Iterable[Tensor],
    val_images: Iterable[Tensor],
    val_masks: Iterable[Tensor],
    classes: int,
    k: int = 20,
    temperature: float = 0.07,
    level: int = -1,
    memory: int = 20_000,
    seed: int = 0,
) -> PatchScores:
    """Scores over the labeled pixels of the validation images, of the class that each patch's k nearest vote for.

    The vote is that of `votes`, among at most `memory` training patches, drawn at random, each with the class of most
    of its pixels that are not void. A patch's class counts for all its pixels. images, masks: (3, H, W) and (H, W), one
    by one, so that lazily read data are never in memory as a whole, only the labeled patches and one batch.
    """
    known = remember(backbone, train_images, train_masks, classes, level, memory, seed)
    return scores(ask(backbone, val_images, val_masks, known, classes, k, temperature, level), classes)


def ask(
    backbone: Backbone,
    images: Iterable[Tensor],
    masks: Iterable[Tensor],
    memory: Memory,
    classes: int,
    k: int,
    temperature: float = 0.07,
    level: int = -1,
) -> Iterator[Asked]:
    with inspecting(backbone):
        for look, truth in zip(patches(backbone, images, level), masks):
            truth = truth.cpu().long()
            predicted = vote(F.normalize(look.maps.flatten(1).T, dim=1), memory, classes, k, temperature)
            best = majority(truth, classes, look).clamp(max=classes - 1)
            yield Asked(truth, upsampled(predicted, look), upsampled(best, look))


def scores(asked: Iterable[Asked], classes: int) -> PatchScores:
    found, ceiling = ConfusionMatrix(classes), ConfusionMatrix(classes)
    for one in asked:
        found.update(one.predicted[None], one.truth[None])
        ceiling.update(one.ceiling[None], one.truth[None])
    return PatchScores(Scores(found.matrix), Scores(ceiling.matrix))  # compute() would wait for other processes


def remember(
    backbone: Backbone,
    images: Iterable[Tensor],
    masks: Iterable[Tensor],
    classes: int,
    level: int,
    size: int,
    seed: int,
) -> Memory:
    """At most `size` patches that are not void, sampled uniformly, with their most frequent class."""
    drawn = labeled_patches(backbone, images, masks, classes, level, size, seed)
    return Memory(F.normalize(drawn.features, dim=1), drawn.counts.argmax(1))
