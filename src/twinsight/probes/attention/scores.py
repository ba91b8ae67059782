"""How well the heads of a transformer find the objects in masks, compared with untrained baselines."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from twinsight.backbones.attention import Query
from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.attention.figures import classes_figure, heads_figure, masses_figure
from twinsight.probes.attention.maps import Look, look_inside
from twinsight.probes.attention.regions import center_prior, class_pixels, shuffled
from twinsight.probes.attention.tally import MASSES, Scored, ScoreTally
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.finding import Finding
from twinsight.probes.images import batches
from twinsight.probes.probe import Subject, column, inspecting
from twinsight.probes.segmentation.predictions import check

Protocol = Literal["foreground", "public"]
"""See `AttentionScores`."""


class Measured(NamedTuple):
    """blocks: by name ("block12"). rows: the last block ("model"), "untrained", "random" and "center". pixels:
    (C,), pixels of each class over all images.
    """

    blocks: Mapping[str, Scored]
    rows: Mapping[str, Scored]
    pixels: Tensor


class AttentionScores:
    """Attention measured against masks, per head and block.

    After DINO (Caron et al., 2021, section 4.2.2, and visualize_attention.py): a head's mask is the fewest patches that
    hold `mass` of its attention, upsampled to the image by nearest neighbor; each image is scored by its best head.
    The paper does not define regions, so there are two protocols, whose numbers cannot be compared:

    "foreground": every labeled pixel that is not "background" is one region. If no class has that name, each class in
    an image is a region of its own, and scores are averaged over them. Void is ignored.
    "public": the script with which DINO's Jaccard on VOC is usually reproduced (Naseer et al., "Intriguing Properties
    of Vision Transformers", NeurIPS 2021, evaluate_segmentation.py). Each class in an image but the background is a
    region with a best head of its own; images are cropped to whole patches instead of padded; a void pixel under a
    head's mask counts as a mistake. The script also squashes images to 480 x 480 pixels, which is left to the caller.

    classes: names of the masks' classes. blocks: from 0, negative ones count from the last; none: all. query: as for
    `Attention`. mass: above 0 to 1. seed: for the random baseline. untrained: the network to compare with; by default a
    new one with the model's name and options. protocol: as above.

    Baselines, all for the last block: "random", each head's values shuffled (as sharp, as many heads to choose from);
    "center", a Gaussian at the image's center with a standard deviation of a quarter of its sides; and "untrained".

    Numbers of each block ("block12/...") and of the last one with those three ("...", "random/...", "center/...",
    "untrained/..."), means over images and heads, 0 to 1: "best_head_jaccard"; "jaccard", of all heads;
    "best_head_pointing", the chance that a pixel of the maximal patch is in the region; "information", mutual
    information of a patch's attention, in 8 levels of equal size by rank within its map, and its pixels' class, over
    all images, divided by the entropy of the class; "entropy" and "diversity" as for `Attention`. Also
    "block12/head3/jaccard", and "class/NAME/best_head_jaccard" for the region of each class.
    Figures "heads", "masses", "classes". Arrays: "heads", (blocks, heads, 4) as `table` has them, and "masses",
    (4, masses), of the model, untrained, random and center.

    Raises UserError without masks or classes, or for a network without attention.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["scores"]

    def __init__(
        self,
        classes: Sequence[str],
        blocks: Sequence[int] = (),
        query: Query = "auto",
        mass: float = 0.6,
        seed: int = 0,
        untrained: Backbone | None = None,
        protocol: Protocol = "foreground",
    ):
        if protocol not in ("foreground", "public"):
            raise UserError(f"--protocol {protocol}: no such protocol; give foreground or public")
        if not 0 < mass <= 1:
            raise UserError(f"--mass {mass:g}: is out of range; give a fraction above 0, up to 1")
        if seed < 0:
            raise UserError(f"--seed {seed}: is negative; give 0 or more")
        self.classes, self.blocks = tuple(classes), tuple(blocks)
        self.query: Query = query
        self.mass, self.seed, self.untrained = mass, seed, untrained
        self.protocol: Protocol = protocol

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        if masks is None or not self.classes:
            raise UserError("masks: none given to measure attention against; choose a data set with masks")
        check(images, masks)
        blocks, rows, pixels = measured = self.measure(model, images, masks)
        background = self.background()
        figures = {
            "heads": heads_figure(blocks, rows, self.region()),
            "masses": masses_figure(rows, MASSES, self.mass),
            "classes": classes_figure(rows, self.classes, pixels, background, self.mass),
        }
        return Finding(
            figures,
            self.numbers(measured),
            {"heads": table(blocks), "masses": np.stack([row.masses.numpy() for row in rows.values()])},
            names=self.caption.names,
        )

    def background(self) -> int | None:
        return self.classes.index("background") if "background" in self.classes else None

    def region(self) -> str:
        """What heads are compared with, as text."""
        if self.protocol == "public":
            return "each class (public protocol)"
        return "each class" if self.background() is None else "the foreground"

    def measure(self, model: Backbone, images: Iterable[Tensor], masks: Iterable[Tensor]) -> Measured:
        """Measure images and masks one by one; only one batch and its maps are in memory."""
        fresh = self.untrained or untrained_like(model)
        blocks: dict[str, ScoreTally] = {}
        rows = {name: self.tally() for name in ("untrained", "random", "center")}
        total, count = torch.zeros(len(self.classes)), 0
        size = model.multiple if self.protocol == "public" else 1
        masks = (whole_patches(mask, size) for mask in masks)
        for batch in batches((whole_patches(image, size) for image in images), next(model.parameters()).device):
            seen = self.look(model, batch, self.blocks or None)
            last = list(seen)[-1]
            beside = self.look(fresh, batch, (last,))[last]
            for i, mask in enumerate(islice(masks, len(batch))):
                for block, looks in seen.items():
                    tally = blocks.setdefault(f"block{block + 1}", self.tally())
                    tally.add(looks[i].maps.double(), *self.truth(mask, looks[i]))
                look = seen[last][i]
                truth = pixels, _ = self.truth(mask, look)
                rows["untrained"].add(beside[i].maps.double(), *truth)
                rows["random"].add(shuffled(look.maps, self.seed + count).double(), *truth)
                rows["center"].add(center_prior(*grid(look), look.size).double(), *truth)
                total += pixels.sum((1, 2))
                count += 1
        scored, others = ({name: tally.scored() for name, tally in some.items()} for some in (blocks, rows))
        return Measured(scored, {"model": list(scored.values())[-1]} | others, total)

    def tally(self) -> ScoreTally:
        return ScoreTally(self.background(), self.mass, apart=self.protocol == "public")

    def truth(self, mask: Tensor, look: Look) -> tuple[Tensor, Tensor | None]:
        """The pixels of each class by patch, and the pixels that count, if others; see `ScoreTally.add`."""
        pixels = class_pixels(mask, len(self.classes), *grid(look))
        if self.protocol == "foreground":
            return pixels, None
        return pixels, torch.full_like(pixels[0], mask.numel() / pixels[0].numel())

    def look(self, model: Backbone, batch: Tensor, blocks: tuple[int, ...] | None) -> dict[int, list[Look]]:
        """Each block's attention on each image."""
        with inspecting(model):
            found = attention_maps(model, batch, blocks, self.query)
        size = (batch.shape[2], batch.shape[3])
        return {
            block: [look_inside(one, found.extent, size) for one in maps.cpu()]
            for block, maps in zip(found.blocks, found.maps)
        }

    def numbers(self, measured: Measured) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, row in measured.rows.items():
            prefix = "" if name == "model" else f"{name}/"
            found |= {f"{prefix}{what}": value for what, value in row.numbers().items() if value == value}
        for block, row in measured.blocks.items():
            found |= {f"{block}/{what}": value for what, value in row.numbers().items()}
            found |= {f"{block}/head{i}/jaccard": value for i, value in enumerate(row.jaccard.tolist(), start=1)}
        for name, value in zip(self.classes, measured.rows["model"].classes.tolist()):
            found[f"class/{column(name)}/best_head_jaccard"] = value
        return found


def whole_patches(image: Tensor, size: int) -> Tensor:
    """(..., H, W) cropped at the right and the bottom to multiples of `size`."""
    height, width = (side // size * size for side in image.shape[-2:])
    if not height * width:
        raise UserError(
            f"an image of {image.shape[-1]} x {image.shape[-2]} pixels: smaller than a patch, but --protocol public "
            "crops to whole patches; give --protocol foreground or larger images"
        )
    return image[..., :height, :width]


def grid(look: Look) -> tuple[tuple[int, int], tuple[float, float]]:
    """Rows and columns of patches, and the pixels they cover."""
    return (look.maps.shape[1], look.maps.shape[2]), look.extent


def untrained_like(model: Backbone) -> Backbone:
    """The same network with fixed random weights; leaves the random state unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # not torch.manual_seed, which would seed a GPU too
        options: Any = model.options
        fresh = Backbone(model.name, **options)
    return fresh.to(next(model.parameters()).device)


def table(blocks: Mapping[str, Scored]) -> np.ndarray:
    """(blocks, heads, 4): Jaccard, pointing, information, entropy; NaN where a block has fewer heads."""
    heads = max(len(row.jaccard) for row in blocks.values())
    found = np.full((len(blocks), heads, 4), np.nan, np.float32)
    for i, row in enumerate(blocks.values()):
        found[i, : len(row.jaccard)] = torch.stack([row.jaccard, row.pointing, row.information, row.entropy], 1)
    return found
