"""How well the heads of a transformer find the things that masks show, beside what needs no training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from twinsight.backbones.attention import Query, attention_maps
from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.attention import Look, diversity, look_inside, mass_mask, normalized_entropy
from twinsight.probes.attention_table import classes_figure, heads_figure, masses_figure
from twinsight.probes.images import batches
from twinsight.probes.predictions import check
from twinsight.probes.probe import Finding, Subject, inspecting
from twinsight.probes.regions import (
    center_prior,
    class_pixels,
    column,
    information,
    jaccard,
    level_pixels,
    mean,
    means,
    pointing,
    regions,
    shuffled,
)  # fmt: skip

MASSES = tuple(round(0.05 * i, 2) for i in range(2, 20))

BINS = 8


@dataclass
class Scored:
    """The maps of one block, of K heads, scored; NaN where there is nothing to measure.

    jaccard, pointing, entropy, information: (K,), see `AttentionScores`. best, pointed: Jaccard and pointing of each
    image's best head. classes: (C,), `best` for the region of each class. masses: (len(MASSES),), `best` at each mass.
    """

    jaccard: Tensor
    pointing: Tensor
    entropy: Tensor
    information: Tensor
    diversity: float
    best: float
    pointed: float
    classes: Tensor
    masses: Tensor

    def numbers(self) -> dict[str, float]:
        return {
            "best_head_jaccard": self.best,
            "best_head_pointing": self.pointed,
            "jaccard": mean(self.jaccard),
            "information": mean(self.information),
            "entropy": mean(self.entropy),
            "diversity": self.diversity,
        }


def score(maps: Sequence[Tensor], pixels: Sequence[Tensor], background: int | None, mass: float) -> Scored:
    """maps: (K, h, w), not negative, one an image; pixels: (C, h, w), see `class_pixels`; background: a class or None.

    Of several regions in an image (no background) the mean counts.
    """
    wanted = [regions(one, background) for one in pixels]
    labeled = [one.sum(0) for one in pixels]

    def found(share: float) -> list[Tensor]:
        return [jaccard(mass_mask(m, share), w, lab) for m, w, lab in zip(maps, wanted, labeled)]

    def best(share: float) -> Tensor:
        return means([overlap.amax(0).mean() for overlap in found(share)])

    hits = [pointing(*each) for each in zip(maps, wanted, labeled)]
    by_class = [jaccard(mass_mask(m, mass), p, lab).amax(0) for m, p, lab in zip(maps, pixels, labeled)]
    there = [torch.where(one.sum((1, 2)) > 0, overlap, torch.nan) for one, overlap in zip(pixels, by_class)]
    return Scored(
        jaccard=means([overlap.mean(1) for overlap in found(mass)]),
        pointing=means([hit.mean(1) for hit in hits]),
        entropy=means([normalized_entropy(m) for m in maps]),
        information=information(torch.stack([level_pixels(m, p, BINS) for m, p in zip(maps, pixels)]).sum(0)),
        diversity=float(np.mean([diversity(m) for m in maps])),
        best=best(mass).item(),
        pointed=means([hit.nan_to_num(0).amax(0).mean() for hit in hits]).item(),
        classes=means(there),
        masses=torch.stack([best(share) for share in MASSES]),
    )


class AttentionScores:
    """Attention measured against masks, per head and block.

    As DINO has it (Caron et al., 2021, section 4.2.2, and visualize_attention.py): a head's mask is the fewest patches
    that hold `mass` of its attention, upsampled to the image by nearest neighbor; an image counts with its best head.
    The foreground is every labeled pixel that is not "background". Where no class has that name, each class that is in
    an image is a region of its own, and their mean counts. Void counts nowhere.

    classes: names of the masks' classes. blocks: from 0, negative ones count from the last; none: all. query: as for
    `Attention`. mass: above 0 to 1. seed: of chance. untrained: the network to compare with; default a new one of the
    model's name and options.

    Beside the model stand "random", each head's own values in random places (as sharp, as many heads to choose from),
    "center", a Gaussian of a quarter of the image's sides at its center, and "untrained"; all of the last block chosen.

    Numbers of each block ("block12/...") and of the last one with those three ("...", "random/...", "center/...",
    "untrained/..."), means over images and heads, 0 to 1: "best_head_jaccard"; "jaccard", of all heads;
    "best_head_pointing", the chance that a pixel of the patch of the maximum is in the region; "information", mutual
    information of a patch's attention, in 8 levels of equal size by rank within its map, and its pixels' class, over
    all images, divided by the entropy of the class; "entropy" and "diversity" as for `Attention`. Also
    "block12/head3/jaccard", and "class/NAME/best_head_jaccard" for the region of each class.
    Figures "heads", "masses", "classes". Arrays: "heads", (blocks, heads, 4) as `table` has them, and "masses",
    (4, masses), of the model, untrained, random and center.

    Raises UserError without masks or classes, and for a network without attention.
    """

    subject: ClassVar[Subject] = "backbone"
    read: ClassVar[str] = (
        "Overlap (Jaccard, 1 is perfect) of what a head looks at with what the masks show, beside attention in random "
        "places, the image's center and an untrained network: what lies above all three was learned."
    )
    caution: ClassVar[str] = (
        "The best of many heads is chosen with the mask at hand, so chance grows with their number: judge by the "
        "distance from random; and a large foreground favors maps that are merely wide."
    )

    def __init__(
        self,
        classes: Sequence[str],
        blocks: Sequence[int] = (),
        query: Query = "auto",
        mass: float = 0.6,
        seed: int = 0,
        untrained: Backbone | None = None,
    ):
        if not 0 < mass <= 1:
            raise UserError(f"--mass {mass:g}: must lie between 0 and 1, 0 excluded")
        if seed < 0:
            raise UserError(f"--seed {seed}: must be at least 0")
        self.classes, self.blocks = tuple(classes), tuple(blocks)
        self.query: Query = query
        self.mass, self.seed, self.untrained = mass, seed, untrained

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        if masks is None or not self.classes:
            raise UserError("masks: none given, and attention is measured against them; take a data set that has some")
        check(images, masks)
        background = self.classes.index("background") if "background" in self.classes else None

        def pixels(looks: Sequence[Look]) -> list[Tensor]:
            return [class_pixels(mask, len(self.classes), *grid(look)) for mask, look in zip(masks, looks)]

        def scored(looks: Sequence[Look]) -> Scored:
            return score([look.maps.double() for look in looks], pixels(looks), background, self.mass)

        looks = self.look(model, images, self.blocks or None)
        last = list(looks.values())[-1]
        fresh = self.look(self.untrained or untrained_like(model), images, (list(looks)[-1],))
        places = [one._replace(maps=shuffled(one.maps, self.seed + i)) for i, one in enumerate(last)]
        middle = [one._replace(maps=center_prior(*grid(one), one.size)) for one in last]
        blocks = {f"block{block + 1}": scored(some) for block, some in looks.items()}
        rows = {"model": list(blocks.values())[-1], "untrained": scored(*fresh.values())}
        rows |= {"random": scored(places), "center": scored(middle)}
        region = "the classes" if background is None else "the foreground"
        total = torch.stack([one.sum((1, 2)) for one in pixels(last)]).sum(0)
        figures = {
            "heads": heads_figure(blocks, rows, region),
            "masses": masses_figure(rows, MASSES, self.mass),
            "classes": classes_figure(rows, self.classes, total, background, self.mass),
        }
        return Finding(
            figures,
            self.numbers(blocks, rows),
            {"heads": table(blocks), "masses": np.stack([row.masses.numpy() for row in rows.values()])},
        )

    def look(self, model: Backbone, images: Sequence[Tensor], blocks: tuple[int, ...] | None) -> dict[int, list[Look]]:
        """By block, what it looks at in each image."""
        looks: dict[int, list[Look]] = {}
        with inspecting(model) as device:
            for batch in batches(images, device):
                found = attention_maps(model, batch, blocks, self.query)
                size = (batch.shape[2], batch.shape[3])
                for block, maps in zip(found.blocks, found.maps):
                    looks.setdefault(block, []).extend(look_inside(one, found.extent, size) for one in maps.cpu())
        return looks

    def numbers(self, blocks: dict[str, Scored], rows: dict[str, Scored]) -> dict[str, float]:
        found = {}
        for name, row in rows.items():
            prefix = "" if name == "model" else f"{name}/"
            found |= {f"{prefix}{what}": value for what, value in row.numbers().items() if value == value}
        for block, row in blocks.items():
            found |= {f"{block}/{what}": value for what, value in row.numbers().items()}
            found |= {f"{block}/head{i}/jaccard": value for i, value in enumerate(row.jaccard.tolist(), start=1)}
        for name, value in zip(self.classes, rows["model"].classes.tolist()):
            found[f"class/{column(name)}/best_head_jaccard"] = value
        return found


def grid(look: Look) -> tuple[tuple[int, int], tuple[float, float]]:
    """Rows and columns of patches, and the pixels that they cover."""
    return (look.maps.shape[1], look.maps.shape[2]), look.extent


def untrained_like(model: Backbone) -> Backbone:
    """The same network with random weights, always the same ones; the random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # not torch.manual_seed, which would seed a GPU too
        fresh = Backbone(model.name, **model.options)
    return fresh.to(next(model.parameters()).device)


def table(blocks: dict[str, Scored]) -> np.ndarray:
    """(blocks, heads, 4): Jaccard, pointing, information, entropy; NaN where a block has fewer heads."""
    heads = max(len(row.jaccard) for row in blocks.values())
    found = np.full((len(blocks), heads, 4), np.nan, np.float32)
    for i, row in enumerate(blocks.values()):
        found[i, : len(row.jaccard)] = torch.stack([row.jaccard, row.pointing, row.information, row.entropy], 1)
    return found
