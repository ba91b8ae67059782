"""k-NN: how well the nearest embeddings predict an image's class."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.samples import VOID
from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import curves
from twinsight.probes.embeddings.neighbors import class_names, embed, votes_of_others
from twinsight.probes.finding import Finding
from twinsight.probes.fits.votes import Memory, votes
from twinsight.probes.probe import Subject

KS = (10, 20, 100, 200)
"""The values of k in DINO's evaluation."""


class Knn:
    """Each image is classified by the vote of its nearest others (see `votes`).

    ks: numbers of neighbors, at least 1; those not below the number of images are left out, except the smallest,
    which then uses all others. temperature: above 0, of a vote's weight exp(cosine similarity / temperature).
    labels: the images' classes by name. classes: names of the masks' classes, used without labels: an image's class
    is then the one with the most pixels; void images are left out.

    Figure "accuracy" over k. Numbers, from 0 to 1: "k20/accuracy" for each k; "majority_share", the accuracy of
    always naming the most frequent class. Raises UserError without labels or masks, and for fewer than 2 images or
    classes.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["knn"]

    def __init__(
        self,
        classes: Sequence[str] = (),
        labels: Sequence[str] | None = None,
        ks: Sequence[int] = KS,
        temperature: float = 0.07,
    ):
        if not ks or min(ks) < 1:
            raise UserError(
                f"--ks {' '.join(map(str, ks))}: is not a list of counts; give one number or more, each at least 1"
            )
        if temperature <= 0:
            raise UserError(f"--temperature {temperature:g}: is too low; give a number above 0")
        self.classes, self.labels, self.ks, self.temperature = classes, labels, tuple(ks), temperature

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        chosen, labels, _ = labeled(len(images), masks, self.classes, self.labels)
        count = len(chosen)
        ks = [k for k in self.ks if k < count] or [min(self.ks)]
        voted = votes_of_others(embed(model, [images[i] for i in chosen]), labels, ks, self.temperature)
        accuracies = [(row == labels).double().mean().item() for row in voted]
        numbers = {f"k{k}/accuracy": accuracy for k, accuracy in zip(ks, accuracies)}
        share = labels.bincount().max().item() / count
        lines = {"k-NN": (ks, [100 * one for one in accuracies]), "most frequent class": (ks, [100 * share] * len(ks))}
        return Finding(
            {"accuracy": curves(lines, "k", "accuracy, %")},
            numbers | {"majority_share": share},
            names=self.caption.names,
        )


def labeled(
    count: int, masks: Sequence[Tensor] | None, classes: Sequence[str], labels: Sequence[str] | None
) -> tuple[list[int], Tensor, list[str]]:
    """Indices of images, below `count`, with a class; their classes, (N,) int64; and the names of these classes.

    Raises UserError if it is unknown, or there are fewer than 2 images or classes.
    """
    names = class_names(count, masks, classes, labels)
    if names is None:
        raise UserError(
            "--data: has neither image classes nor masks; choose --data class-folder or a data set with masks"
        )
    chosen = [i for i in range(count) if labels is not None or masks is None or (masks[i] != VOID).any()]
    known = sorted({names[i] for i in chosen})
    if len(known) < 2:
        seen = f"all of class {known[0]}" if known else "all void"
        raise UserError(f"--data: the {len(chosen)} images used are {seen}; use more images or other data")
    return chosen, torch.tensor([known.index(names[i]) for i in chosen]), known


def knn_predictions(
    train: Tensor, train_labels: Tensor, test: Tensor, classes: int, ks: Sequence[int], temperature: float = 0.07
) -> Tensor:
    """(M, D) embeddings with (M,) labels, (N, D) -> (len(ks), N) int64: the vote of the k nearest of train."""
    memory = Memory(F.normalize(train.float(), dim=1), train_labels)
    return votes(F.normalize(test.float(), dim=1), memory, classes, ks, temperature)
