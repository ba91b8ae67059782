"""Segmentation by the nearest labeled patches: what a backbone knows of the classes before any decoder is trained."""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.samples import VOID
from twinsight.errors import UserError
from twinsight.metrics import ConfusionMatrix, Scores
from twinsight.probes.attention import Look, look_inside
from twinsight.probes.draw import Cell, image_grid, overlay
from twinsight.probes.images import batches, pixels
from twinsight.probes.predictions import OPACITY, check, occurring, score
from twinsight.probes.probe import Finding, Scene, Subject, inspecting
from twinsight.probes.regions import class_pixels, column, patch_of_pixel

CHUNK = 1024
"""Patches whose similarities to the memory are held at a time."""


class Memory(NamedTuple):
    """Labeled patches: (M, D) float32 of length 1, (M,) int64 classes."""

    vectors: Tensor
    labels: Tensor


class PatchNeighbors:
    """Patches labeled by their nearest neighbors among labeled ones; see `patch_knn`, which asks about whole data sets.

    The first half of the images, rounded up, is the memory, the second half is asked about. classes, palette: names,
    and (C, 3) uint8 colors. k: neighbors that vote, at least 1. level: of the backbone's; negative ones count from the
    deepest. memory: most patches to compare with, drawn at random by `seed`. shown: images in the figure.

    Figure "patches", the same as `scenes`. Numbers, from 0 to 1 over the labeled pixels of the second half: "mean_iou",
    "pixel_accuracy", "class/NAME/iou", and "ceiling_mean_iou", which the true class of most pixels of each patch would
    get: the grid allows no more.

    Raises UserError for less than 2 images, without masks or classes, and for a level that there is not.
    """

    subject: ClassVar[Subject] = "backbone"
    read: ClassVar[str] = (
        "Each patch has the class that its nearest patches in other images have: no decoder was trained."
    )
    caution: ClassVar[str] = (
        "Coarse patches cannot follow borders: compare with the ceiling, and only backbones of one patch size with "
        "one another; few images make a poor memory."
    )

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
                raise UserError(f"--{name} {value}: must be at least {least}")
        self.classes, self.palette = tuple(classes), palette
        self.k, self.level, self.memory, self.shown, self.seed = k, level, memory, shown, seed

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        if masks is None or self.palette is None or not self.classes:
            raise UserError("masks: none given, and patches take their labels from them; take a data set that has some")
        check(images, masks)
        if len(images) < 2:
            raise UserError("images: 1 given; the first half is the memory of the second, so give at least 2")
        half = (len(images) + 1) // 2
        count = len(self.classes)
        memory = remember(model, images[:half], masks[:half], count, self.level, self.memory, self.seed)
        scenes = []
        found, ceiling = ConfusionMatrix(count), ConfusionMatrix(count)
        with inspecting(model):
            for image, truth, look in zip(images[half:], masks[half:], patches(model, images[half:], self.level)):
                truth = truth.cpu()
                predicted = upsampled(vote(vectors(look), memory, count, self.k), look)
                found.update(predicted[None], truth[None])
                ceiling.update(upsampled(majority(truth, count, look).clamp(max=count - 1), look)[None], truth[None])
                seen = {"prediction": predicted.byte().numpy(), "truth": truth.byte().numpy()}
                scenes.append(Scene(pixels(image), seen, self.classes))
        scores = Scores(found.matrix)  # not compute(), which would wait for other processes
        numbers = {name: scores.scalars()[name] for name in ("mean_iou", "pixel_accuracy")}
        numbers["ceiling_mean_iou"] = Scores(ceiling.matrix).scalars()["mean_iou"]
        numbers |= {f"class/{column(name)}/iou": iou for name, iou in zip(self.classes, scores.iou.tolist())}
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
        return Finding({"patches": plot}, numbers, scenes=scenes)


def patch_knn(
    backbone: Backbone,
    train_images: Sequence[Tensor],
    train_masks: Iterable[Tensor],
    val_images: Sequence[Tensor],
    val_masks: Iterable[Tensor],
    classes: int,
    k: int = 20,
    temperature: float = 0.07,
    level: int = -1,
    memory: int = 20_000,
    seed: int = 0,
) -> Scores:
    """Scores over the labeled pixels of the validation images, of the class that each patch's k nearest vote for.

    Cosine similarity to at most `memory` training patches, drawn at random, each with the class of most of its pixels
    that are not void; a vote weighs exp(similarity / temperature), as in `knn_accuracy`. A patch's class counts for
    all its pixels. images, masks: (3, H, W) and (H, W), one after another, so that what reads them late is never held
    as a whole; the patches in memory and one batch are.
    """
    known = remember(backbone, train_images, train_masks, classes, level, memory, seed)
    confusion = ConfusionMatrix(classes)
    with inspecting(backbone):
        for look, truth in zip(patches(backbone, val_images, level), val_masks):
            predicted = upsampled(vote(vectors(look), known, classes, k, temperature), look)
            confusion.update(predicted[None], truth.cpu()[None])
    return Scores(confusion.matrix)  # not compute(), which would wait for other processes


def patches(backbone: Backbone, images: Sequence[Tensor], level: int) -> Iterator[Look]:
    """The patch features of each image, (D, h, w), without those that lie in padding."""
    levels = len(backbone.dims)
    if not -levels <= level < levels:
        raise UserError(f"--level {level}: {backbone.name} has {levels} levels, 0 to {levels - 1} or negative ones")
    for batch in batches(images, next(backbone.parameters()).device):
        with torch.inference_mode():
            features = backbone.features(batch, [level])
        for one in features.maps[0].float():
            yield look_inside(one, features.extent, (batch.shape[2], batch.shape[3]))


def vectors(look: Look) -> Tensor:
    """(h * w, D), of length 1."""
    return F.normalize(look.maps.flatten(1).T, dim=1)


def majority(mask: Tensor, classes: int, look: Look) -> Tensor:
    """(h * w,) int64: the class of most labeled pixels of each patch, of equals the first; 255 where all is void."""
    counts = class_pixels(mask, classes, (look.maps.shape[1], look.maps.shape[2]), look.extent).flatten(1)
    return torch.where(counts.sum(0) > 0, counts.argmax(0), VOID)


def upsampled(labels: Tensor, look: Look) -> Tensor:
    """(h * w,) -> (H, W), each pixel its patch's."""
    return labels[patch_of_pixel((look.maps.shape[1], look.maps.shape[2]), look.extent, look.size)]


def remember(
    backbone: Backbone,
    images: Sequence[Tensor],
    masks: Iterable[Tensor],
    classes: int,
    level: int,
    size: int,
    seed: int,
) -> Memory:
    """At most `size` of the patches that are not void, each as likely as any other."""
    generator = torch.Generator().manual_seed(seed)
    kept, labels, keys = [], [], []
    with inspecting(backbone):
        for look, mask in zip(patches(backbone, images, level), masks):
            label = majority(mask, classes, look)
            there = label != VOID
            kept.append(vectors(look)[there.to(look.maps.device)])
            labels.append(label[there])
            keys.append(torch.rand(len(labels[-1]), generator=generator, dtype=torch.float64))
            if sum(map(len, keys)) > size:  # the least keys of all so far are a random draw of all so far
                least = torch.cat(keys).argsort()[:size]
                kept, labels, keys = ([torch.cat(some)[least.to(some[0].device)]] for some in (kept, labels, keys))
    if not sum(map(len, labels)):
        raise UserError("masks: no patch of the memory is labeled, all is void; take other images")
    return Memory(torch.cat(kept), torch.cat(labels))


def vote(queries: Tensor, memory: Memory, classes: int, k: int, temperature: float = 0.07) -> Tensor:
    """(N, D) of length 1 -> (N,) int64 on the CPU: the class that the k nearest in memory vote for."""
    k = min(k, len(memory.labels))
    found = []
    for chunk in queries.split(CHUNK):
        nearest, index = (chunk @ memory.vectors.T).topk(k)
        votes = torch.zeros(len(chunk), classes)
        found.append(votes.scatter_add_(1, memory.labels[index.cpu()], (nearest.cpu() / temperature).exp()).argmax(1))
    return torch.cat(found)
