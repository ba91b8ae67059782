"""Attention maps scored against masks image by image, without keeping any map."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from twinsight.probes.attention.maps import diversity, mass_mask, normalized_entropy
from twinsight.probes.attention.regions import information, jaccard, level_pixels, mean, means, pointing, regions

MASSES = tuple(round(0.05 * i, 2) for i in range(2, 20))

BINS = 8


@dataclass
class Scored:
    """Scores of one block with K heads; NaN where there is nothing to measure.

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


class ScoreTally:
    """Scores the maps of one block, image by image.

    background: a class or None. apart: each class is a region of its own, rather than the whole foreground one; always
    so without a background. Several regions of an image are averaged.
    """

    def __init__(self, background: int | None, mass: float, apart: bool = False):
        self.background, self.mass, self.apart = background, mass, apart
        self.images: list[dict[str, Tensor]] = []
        self.joint = torch.zeros(())

    def add(self, maps: Tensor, pixels: Tensor, counted: Tensor | None = None) -> None:
        """maps: (K, h, w) float64, not negative. pixels: (C, h, w), see `class_pixels`. counted: (h, w), the pixels of
        each patch that count; by default those with a class.
        """
        wanted = regions(pixels, self.background, self.apart)
        labeled = pixels.sum(0) if counted is None else counted

        def best(share: float) -> Tensor:
            return jaccard(mass_mask(maps, share), wanted, labeled).amax(0).mean()

        held, hits = mass_mask(maps, self.mass), pointing(maps, wanted, labeled)
        there, by_class = pixels.sum((1, 2)) > 0, jaccard(held, pixels, labeled).amax(0)
        self.joint = self.joint + level_pixels(maps, pixels, BINS)
        self.images.append({
            "jaccard": jaccard(held, wanted, labeled).mean(1),
            "pointing": hits.mean(1),
            "entropy": normalized_entropy(maps),
            "diversity": torch.tensor(diversity(maps)),
            "best": best(self.mass),
            "pointed": hits.nan_to_num(0).amax(0).mean(),
            "classes": torch.where(there, by_class, torch.nan),
            "masses": torch.stack([best(share) for share in MASSES]),
        })  # fmt: skip

    def scored(self) -> Scored:
        found: dict[str, Any] = {name: means([image[name] for image in self.images]) for name in self.images[0]}
        found |= {name: found[name].item() for name in ("diversity", "best", "pointed")}
        return Scored(information=information(self.joint), **found)


def score(maps: Sequence[Tensor], pixels: Sequence[Tensor], background: int | None, mass: float) -> Scored:
    """As `ScoreTally`, for maps that are all in memory."""
    tally = ScoreTally(background, mass)
    for each in zip(maps, pixels):
        tally.add(*each)
    return tally.scored()
