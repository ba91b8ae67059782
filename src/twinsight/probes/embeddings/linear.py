"""A linear classifier on embeddings: how well a single layer can read an image's class from them."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.embeddings.knn import labeled
from twinsight.probes.embeddings.neighbors import embed
from twinsight.probes.finding import Finding
from twinsight.probes.fits.linear import choose_strength, fit, held_out
from twinsight.probes.probe import Subject, column
from twinsight.probes.segmentation.confusion import confusion_plot
from twinsight.segmentation.metrics import ConfusionMatrix, Scores

DRAWN = 40
"""Maximum classes in a figure."""


class LinearProbe:
    """A linear classifier on frozen embeddings, fitted to every second image and tested on the others, then vice
    versa, so that each image is tested once.

    labels, classes: as for `Knn`. seed: for the fifth of the training images on which the regularization is chosen.

    Figure "confusion", of at most 40 classes. Numbers, from 0 to 1: "accuracy"; "top5_accuracy", of more than 5
    classes; "class/NAME/accuracy"; "majority_share", the accuracy of always naming the most frequent class.
    Raises UserError without labels or masks, and for fewer than 8 images or 2 classes.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["linear"]

    def __init__(self, classes: Sequence[str] = (), labels: Sequence[str] | None = None, seed: int = 0):
        if seed < 0:
            raise UserError(f"--seed {seed}: is negative; give 0 or more")
        self.classes, self.labels, self.seed = classes, labels, seed

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        chosen, labels, names = labeled(len(images), masks, self.classes, self.labels)
        if len(chosen) < 8:
            raise UserError(f"images: only {len(chosen)} with a class; give at least 8, half to fit and half to test")
        vectors = embed(model, [images[i] for i in chosen])
        logits = torch.zeros(len(chosen), len(names))
        for learned, asked in ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2))):
            logits[asked] = linear_logits(vectors[learned], labels[learned], vectors[asked], len(names), self.seed)[0]
        confusion = ConfusionMatrix(len(names))
        confusion.update(logits.argmax(1), labels)
        scores = Scores(confusion.matrix)  # not compute(), which would wait for other processes
        numbers = {"accuracy": top(logits, labels, 1)}
        if len(names) > 5:
            numbers["top5_accuracy"] = top(logits, labels, 5)
        numbers["majority_share"] = labels.bincount().max().item() / len(labels)
        numbers |= {f"class/{column(name)}/accuracy": one for name, one in zip(names, scores.recall.tolist())}
        return Finding(
            {"confusion": confusion_plot(scores, names)} if len(names) <= DRAWN else {},
            numbers,
            names=self.caption.names,
        )


def linear_logits(
    train: Tensor, train_labels: Tensor, test: Tensor, classes: int, seed: int = 0
) -> tuple[Tensor, float]:
    """(M, D) embeddings with (M,) labels, (N, D) -> (N, classes) of a layer fitted to train, and its regularization.

    The strength is chosen on a random fifth of train after fitting to the rest; the layer is then fitted to all of it.
    """
    targets = F.one_hot(train_labels.to(train.device), classes)
    strength = choose_strength(train, targets, held_out(len(train), seed=seed).to(train.device))
    return fit(train, targets, strength)(test), strength


def top(logits: Tensor, labels: Tensor, k: int) -> float:
    """Fraction, 0 to 1, of the rows whose label is among the k largest logits."""
    return (logits.topk(k).indices == labels[:, None]).any(1).double().mean().item()
