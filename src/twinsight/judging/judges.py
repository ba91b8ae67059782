"""Judges of a backbone alone, each compared with the same network untrained: tables to print and numbers."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import tee
from typing import Any, NamedTuple

import torch
from torch import Tensor

from twinsight.assemble.open import Opened
from twinsight.assemble.opening import announce, data_set, place, splits, weights_of
from twinsight.backbones.backbone import Backbone
from twinsight.console import tracked
from twinsight.data.class_folder import ClassFolder
from twinsight.data.loader import Pairs, eval_loader
from twinsight.data.samples import Dataset
from twinsight.data.workers import choose_workers
from twinsight.judging.request import judges_of
from twinsight.judging.tables import by_class, classified, explain, percent, segmented, table
from twinsight.options.commands import Evaluate
from twinsight.probes.attention.scores import AttentionScores, Protocol, untrained_like
from twinsight.probes.embeddings.knn import KS, knn_predictions
from twinsight.probes.embeddings.linear import linear_logits, top
from twinsight.probes.embeddings.neighbors import embed
from twinsight.probes.images import mask_to_tensor, to_tensor
from twinsight.probes.patches.linear import patch_linear
from twinsight.probes.patches.neighbors import patch_knn

MEMORY = 100_000
"""Maximum training patches to compare with or learn from, drawn at random."""

Numbers = dict[str, Any]
Pair = tuple[Iterator[Tensor], Iterator[Tensor]]


class Judged(NamedTuple):
    """numbers: of each judge by its name. measured: what was measured on what and how."""

    numbers: dict[str, Numbers]
    measured: Numbers


def judge(options: Evaluate, opened: Opened, train: Dataset, val: Dataset) -> Judged:
    """What each judge that --probe names found. train, val: as `judged_on` returns them."""
    model: Any = opened.subjects["backbone"]
    announce(
        "evaluate", f"backbone of {weights_of(str(options.run))}", data_set(options.data, splits(train, val), train),
        f"fp32 on {model.mean.device.type}",
    )  # fmt: skip
    workers = choose_workers(options.workers)
    bench = Bench(opened.name, model, train, val, options.size, workers, options.protocol)
    measured = {
        "data": place(options.data, val),
        "train": {"split": options.data.train, "images": len(train)},
        "val": {"split": options.data.val, "images": len(val)},
        "precision": "fp32",
    }
    judges = ON_CLASSES if isinstance(val, ClassFolder) else ON_MASKS
    return Judged({name: judges[name](bench) for name in dict.fromkeys(judges_of(options))}, measured)


class Bench:
    """A backbone ("model") and the same network untrained, with their data; titles: their names in tables."""

    def __init__(
        self, name: str, model: Backbone, train: Any, val: Any, size: int | None, workers: int, protocol: Protocol
    ):
        self.models = {"model": model, "untrained": untrained_like(model)}
        self.titles = {"model": name}
        self.train, self.val, self.size, self.workers = train, val, size, workers
        self.protocol: Protocol = protocol

    def samples(self, dataset: Dataset, size: int, title: str) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Images and masks one by one, shrunk to `size`."""
        loader = eval_loader(Pairs(dataset), 1, self.workers)
        for images, masks, *_ in tracked(loader, title, len(loader)):
            image = to_tensor(images[0].permute(1, 2, 0).numpy(), size)
            yield image, None if masks is None else mask_to_tensor(masks[0].numpy(), image)

    def pairs(self, dataset: Dataset, title: str) -> Pair:
        """Images and masks, to be read in step: whatever one is ahead of the other stays in memory."""
        images, masks = tee(self.samples(dataset, self.size or 480, title))
        return (image for image, _ in images), (mask for _, mask in masks if mask is not None)

    def both(self, title: str) -> tuple[Pair, Pair]:
        return self.pairs(self.train, f"{title}, train"), self.pairs(self.val, f"{title}, val")

    @cached_property
    def embeddings(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Embeddings of train and val, (N, D) each, by model."""

        def squares(dataset: Dataset, title: str) -> Iterator[Tensor]:
            for image, _ in self.samples(dataset, self.size or 224, title):
                side = min(image.shape[1:])
                top, left = (image.shape[1] - side) // 2, (image.shape[2] - side) // 2
                yield image[:, top : top + side, left : left + side]

        return {
            name: (embed(model, squares(self.train, f"{name}, train")), embed(model, squares(self.val, f"{name}, val")))
            for name, model in self.models.items()
        }


def attention(bench: Bench) -> Numbers:
    classes = bench.val.classes
    probe = AttentionScores(classes, untrained=bench.models["untrained"], protocol=bench.protocol)
    found = probe.measure(bench.models["model"], *bench.pairs(bench.val, "attention"))
    explain(
        "attention",
        f"{len(bench.val)} images of val, in percent. A head's mask is the fewest patches that hold 60 % of its "
        f"attention. Jaccard: its overlap with {probe.region()}; pointing: the chance that its maximum lies inside; "
        "best: of the best head of each image. NMI: information on the class; entropy: 100 is uniform; diversity: 0 if "
        "all heads are alike.",
    )
    columns = ("best Jaccard", "mean Jaccard", "best pointing", "NMI", "entropy", "diversity")
    values = ("best_head_jaccard", "jaccard", "best_head_pointing", "information", "entropy", "diversity")
    titles = {"random": "random places", "center": "center prior"} | bench.titles
    last = list(found.blocks)[-1].replace("block", "block ")
    rows = [[titles.get(name, name), *(row.numbers()[v] for v in values)] for name, row in found.rows.items()]
    table([last, *columns], rows)
    table(
        ["", "best Jaccard", "Jaccard of head 1, 2, ...", "NMI", "entropy"],
        [
            [name.replace("block", "block "), row.best, "  ".join(map(percent, row.jaccard.tolist())),
             *(row.numbers()[value] for value in ("information", "entropy"))]
            for name, row in found.blocks.items()
        ],
    )  # fmt: skip
    share = found.pixels / found.pixels.sum()
    there = zip(classes, *(row.classes.tolist() for row in found.rows.values()), share.tolist())
    listed = [dict(zip(("class", *found.rows, "pixels"), row)) for row in there]
    by_class("best Jaccard with", listed, titles)
    return probe.numbers(found) | {"classes": listed}


def patches(bench: Bench) -> Numbers:
    count = len(bench.val.classes)
    found = {}
    for name, model in bench.models.items():
        train, val = bench.both(f"patches, {name}")
        found[name] = patch_knn(model, *train, *val, classes=count, memory=MEMORY)
    explain(
        "patches",
        f"IoU in percent over {len(bench.val)} images of val. Each patch has the class that its 20 nearest "
        f"patches of train ({MEMORY:,} at most, drawn at random) vote for. Ceiling: each patch has its true class.",
    )
    scores = {name: one.found for name, one in found.items()} | {"ceiling": found["model"].ceiling}
    return segmented(scores, bench.val.classes, bench.titles)


def linear_patches(bench: Bench) -> Numbers:
    count = len(bench.val.classes)
    scores, strengths = {}, {}
    for name, model in bench.models.items():
        train, val = bench.both(f"linear, {name}")
        scores[name], strengths[name] = patch_linear(model, *train, *val, classes=count, memory=MEMORY)
    explain(
        "linear",
        f"IoU in percent over {len(bench.val)} images of val, of one linear layer on frozen patch features, fitted "
        f"to train ({MEMORY:,} patches at most, drawn at random). Its regularization is chosen on a fifth of train.",
    )
    return segmented(scores, bench.val.classes, bench.titles) | {"strength": strengths}


def knn(bench: Bench) -> Numbers:
    labels, known = torch.tensor(bench.val.targets), torch.tensor(bench.train.targets)
    ks = [k for k in KS if k <= len(known)] or [len(known)]
    shown = 20 if 20 in ks else ks[-1]
    right = {
        name: knn_predictions(train, known.to(train.device), val, len(bench.val.names), ks) == labels
        for name, (train, val) in bench.embeddings.items()
    }
    explain(
        "knn",
        f"Accuracy in percent over {len(labels)} images of val. Each has the class that its k nearest of the "
        f"{len(known)} images of train vote for.",
    )
    numbers = {name: dict(zip([f"k{k}" for k in ks], one.double().mean(1).tolist())) for name, one in right.items()}
    rows = [[bench.titles.get(name, name), *one.values()] for name, one in numbers.items()]
    share = majority(known, labels)
    table(["", *(f"k = {k}" for k in ks)], [*rows, ["most frequent class", *[share] * len(ks)]])
    at = ks.index(shown)
    listed = classified({name: one[at] for name, one in right.items()}, labels, bench.val.names)
    by_class(f"k = {shown}, accuracy of", listed, bench.titles)
    return numbers | {"majority_share": share, "classes": listed}


def linear_classes(bench: Bench) -> Numbers:
    labels, known, names = torch.tensor(bench.val.targets), torch.tensor(bench.train.targets), bench.val.names
    numbers, right = {}, {}
    for name, (train, val) in bench.embeddings.items():
        logits, strength = linear_logits(train, known, val, len(names))
        numbers[name] = {"top1": top(logits, labels, 1), "top5": top(logits, labels, min(5, len(names)))}
        numbers[name]["strength"] = strength
        right[name] = logits.argmax(1) == labels
    explain(
        "linear",
        f"Accuracy in percent over {len(labels)} images of val, of one linear layer on the frozen embeddings of the "
        f"{len(known)} images of train. Its regularization is chosen on a fifth of train. Top 5: the class is among "
        "the five likeliest.",
    )
    share = majority(known, labels)
    rows: list[list[Any]] = [[bench.titles.get(name, name), one["top1"], one["top5"]] for name, one in numbers.items()]
    table(["", "top 1", "top 5"], [*rows, ["most frequent class", share, ""]])
    listed = classified(right, labels, names)
    by_class("accuracy of", listed, bench.titles)
    return numbers | {"majority_share": share, "classes": listed}


def majority(known: Tensor, labels: Tensor) -> float:
    """The fraction of the labels equal to the most frequent of the known ones."""
    return (labels == known.bincount().argmax()).double().mean().item()


ON_MASKS: Mapping[str, Callable[[Bench], Numbers]] = {
    "attention": attention,
    "patches": patches,
    "linear": linear_patches,
}
ON_CLASSES: Mapping[str, Callable[[Bench], Numbers]] = {"knn": knn, "linear": linear_classes}
