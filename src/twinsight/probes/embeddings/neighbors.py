"""Nearest neighbors of embeddings, and classification by them without training."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.samples import VOID
from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import COLORS, PAGE
from twinsight.probes.finding import Finding
from twinsight.probes.fits.votes import Memory, tally, vote
from twinsight.probes.grids import DRAWN, Cell, image_grid, letterbox
from twinsight.probes.images import batches, pixels
from twinsight.probes.probe import Subject, inspecting

SAME, OTHER = COLORS[:2]


class Neighbors:
    """The images nearest to a query, by cosine similarity of the pooled embeddings.

    queries: number of query images, 1 to 12, evenly spaced. k: neighbors of each, 1 to 12, among all other images.
    classes: names of the masks' classes; an image's class is then the one with the most pixels.
    labels: the images' classes by name, if known otherwise.

    Figure: "neighbors". Numbers: "first_similarity", of an image and its nearest, and "mean_similarity", of all pairs,
    means from -1 to 1; if classes are known, "agreement", the fraction of all images' k nearest with the same class,
    and "agreement_chance", that for random images.

    Raises UserError if there are fewer images than queries, or fewer than k others.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["neighbors"]

    def __init__(self, queries: int = 4, k: int = 6, classes: Sequence[str] = (), labels: Sequence[str] | None = None):
        if not 1 <= queries <= DRAWN:
            raise UserError(f"--queries {queries}: is out of range; give 1 to {DRAWN}, the rows of a figure")
        if not 1 <= k <= 12:
            raise UserError(f"--k {k}: is out of range; give 1 to 12")
        self.queries = queries
        self.k = k
        self.classes = classes
        self.labels = labels

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        needed = max(self.queries, self.k + 1)
        if len(images) < needed:
            raise UserError(
                f"--queries {self.queries}, --k {self.k}: need {needed} images, but there are {len(images)}; "
                "give more images or smaller numbers"
            )
        labels = class_names(len(images), masks, self.classes, self.labels)
        similarity = others(embed(model, images))
        order = similarity.argsort(dim=1, descending=True, stable=True)[:, : self.k]
        numbers = {
            "first_similarity": similarity.max(1).values.mean().item(),
            "mean_similarity": similarity[similarity.isfinite()].mean().item(),
        }
        legend = {}
        if labels is not None:
            same = torch.tensor([[a == b for b in labels] for a in labels])
            numbers["agreement"] = same.gather(1, order).double().mean().item()
            numbers["agreement_chance"] = same[similarity.isfinite()].double().mean().item()
            legend = {"same class as the query": SAME, "another class": OTHER}

        aspect = float(np.median([image.shape[1] / image.shape[2] for image in images]))
        letters = int(16 * min(1.5, PAGE / (self.k + 1)))

        def cell(i: int, query: int) -> Cell:
            caption, frame = ["query" if i == query else f"{similarity[query, i]:z.3f}"], None
            if labels is not None:
                caption += textwrap.wrap(labels[i], letters)
                frame = None if i == query else SAME if labels[i] == labels[query] else OTHER
            return Cell(letterbox(pixels(images[i]), aspect), frame=frame, caption="\n".join(caption))

        chosen = np.linspace(0, len(images) - 1, self.queries).round().astype(int).tolist()
        rows = [[cell(i, query) for i in (query, *order[query].tolist())] for query in chosen]
        return Finding({"neighbors": image_grid(rows, legend=legend)}, numbers, names=self.caption.names)


def embed(model: Backbone, images: Iterable[Tensor], batch_size: int = 64) -> Tensor:
    """(3, H, W) images of any sizes, each at its own -> (N, dim) embeddings on the CPU, in eval mode, without gradient.

    Neighbors of one size share a batch, of at most `batch_size`.
    """
    with inspecting(model) as device, torch.no_grad():
        return torch.cat([model(batch).float().cpu() for batch in batches(images, device, batch_size)])


def class_names(
    count: int, masks: Sequence[Tensor] | None, classes: Sequence[str], labels: Sequence[str] | None
) -> list[str] | None:
    """The class name of each of `count` images: its label, or its mask's most frequent class; None if unknown.

    If class 0 is "background", only images with nothing else have that class; unlabeled images are "void".
    Raises UserError unless there is one label per image.
    """
    if labels is not None:
        if len(labels) != count:
            raise UserError(f"--labels: {len(labels)} names for {count} images; give one per image")
        return list(labels)
    if masks is None or not classes:
        return None
    background = 0 if classes[0] == "background" else -1
    return [(*classes, "void")[dominant_class(mask.cpu().numpy(), background)] for mask in masks]


def dominant_class(mask: np.ndarray, background: int = 0) -> int:
    """The most frequent label except void and `background` (-1: none); `background` if there is no other."""
    seen = mask[(mask != background) & (mask != VOID)]
    return int(np.bincount(seen).argmax()) if seen.size else background


def knn_accuracy(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    k: int = 20,
    temperature: float = 0.07,
) -> float:
    """Fraction, 0 to 1, of the (N, D) test embeddings whose label wins the vote of their k nearest training embeddings.

    Cosine similarity; a neighbor's vote weighs exp(similarity / temperature) (Wu et al., 2018; DINO).
    """
    memory = Memory(F.normalize(train.float(), dim=1), train_labels)
    found = vote(F.normalize(test.float(), dim=1), memory, int(train_labels.max()) + 1, k, temperature)
    return (found == test_labels).float().mean().item()


def leave_one_out(embeddings: Tensor, labels: Tensor, k: int = 20, temperature: float = 0.07) -> float:
    """Fraction, 0 to 1, of the (N, D) embeddings whose label wins the vote of their k nearest others."""
    found = votes_of_others(embeddings, labels, (k,), temperature)[0]
    return (found == labels).float().mean().item()


def votes_of_others(embeddings: Tensor, labels: Tensor, ks: Sequence[int], temperature: float = 0.07) -> Tensor:
    """(len(ks), N) int64: the label that the k nearest others of each of the (N, D) embeddings vote for."""
    nearest, index = others(embeddings).topk(min(max(ks), len(embeddings) - 1))
    return tally(nearest, labels[index], int(labels.max()) + 1, ks, temperature)


def others(embeddings: Tensor) -> Tensor:
    """(N, D) -> (N, N) cosine similarities; -inf on the diagonal, so that none is its own neighbor."""
    directions = F.normalize(embeddings.float(), dim=1)
    return (directions @ directions.T).fill_diagonal_(-torch.inf)
