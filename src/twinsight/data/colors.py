"""Masks that show each class in a color of its own."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from twinsight.data import tiff
from twinsight.data.decode import decode_image
from twinsight.data.masks import OUTLINE
from twinsight.data.reading import STANDARD, Reading
from twinsight.data.samples import VOID
from twinsight.data.wording import number
from twinsight.errors import UserError

MOST = VOID - 1
"""Classes of a set of colors; the label after the last stands for colors that are none."""

REACH = np.ones((5, 5), np.uint8)
"""How far smoothing carries the colors on both sides of an edge, in pixels."""

LOSSLESS = (b"\x89PNG", b"BM", b"GIF8", *tiff.MAGIC)


class Colors:
    """From colors to labels.

    classes: (classes, 3) uint8 RGB. void: further colors, which count nowhere, as VOC's outline does unless a class
    has its color.
    source: what lists them, and `line` how it would list one more, with NAME and the color in it: for errors.
    edges: colors mixed of two neighboring ones are "refuse"d or "void".

    Raises UserError if two classes share a color.
    """

    def __init__(
        self,
        names: Sequence[str],
        classes: np.ndarray,
        void: Sequence[tuple[int, int, int]],
        source: Path,
        line: str,
        edges: str = "refuse",
    ):
        if not 0 < len(names) <= MOST:
            raise UserError(f"{source}: names {len(names)} classes; give 1 to {MOST}")
        known: dict[tuple[int, ...], str] = {}
        for name, color in zip(names, map(tuple, classes.tolist())):
            if color in known:
                raise UserError(f"{source}: gives {known[color]} and {name} one color, {words(color)}; change one")
            known[color] = name
        self.classes, self.source, self.line, self.edges = classes, source, line, edges
        self.void = [*void, *(() if OUTLINE in known else (OUTLINE,))]

    @cached_property
    def labels(self) -> np.ndarray:
        """(2 ** 24,) uint8: the label of each color, packed as `pack` packs it; 16 MB, filled in 3 ms."""
        table = np.full(1 << 24, len(self.classes), np.uint8)
        table[pack(np.array(self.void, np.uint8).reshape(-1, 1, 3)).ravel()] = VOID
        table[pack(self.classes[:, None]).ravel()] = np.arange(len(self.classes))
        return table

    def __getstate__(self) -> dict[str, object]:
        """A worker that is spawned makes its own table."""
        return {name: value for name, value in self.__dict__.items() if name != "labels"}

    def decode(self, path: Path, reading: Reading = STANDARD) -> np.ndarray:
        """(H, W) uint8 labels of a color or palette image. Raises UserError, naming the file, for a color of none."""
        with_losses(path)
        return self(decode_image(path, reading), path)

    def __call__(self, image: np.ndarray, path: Path) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (H, W) uint8 labels. Raises UserError, naming the file, for a color of none."""
        packed = pack(image)
        labels = self.labels.take(packed)  # a third of the time of indexing
        unknown = labels == len(self.classes)
        if not unknown.any():
            return labels
        mixed = mixtures(image, unknown)
        if self.edges == "void":
            labels[mixed] = VOID
            unknown &= ~mixed
        if unknown.any():
            raise self.strange(image, unknown, mixed, path)
        return labels

    def strange(self, image: np.ndarray, unknown: np.ndarray, mixed: np.ndarray, path: Path) -> UserError:
        """What to say of colors that no class has: of a class that is missing, or of smoothed edges."""
        other = unknown & ~mixed
        # A smoothed corner, where three colors meet, is not a mixture of two; a class has more than a few such pixels.
        if other.sum() <= 0.02 * unknown.sum():
            count = len(np.unique(pack(image)[unknown]))
            return UserError(
                f"{path}: has {number(unknown.sum(), 'pixel')} of mixed colors along edges, {count} colors in all, as "
                "smoothing or resizing leaves them; export the masks again without (nearest neighbor), or count these "
                "pixels as void by --data.edges void"
            )
        colors, counts = np.unique(image[other], axis=0, return_counts=True)
        color, pixels = words(colors[counts.argmax()]), counts.max()
        if pixels < other.sum() / 10:  # thin objects smoothed, where no color of a class is left; not a missing class
            return UserError(
                f"{path}: has {number(other.sum(), 'pixel')} of mixed colors, {len(colors)} in all, none of them "
                "common, as smoothing, resizing or JPEG leaves them; export the masks again without (nearest neighbor)"
            )
        more = f", and of {len(colors) - 1} more" if len(colors) > 1 else ""
        return UserError(
            f"{path}: holds {number(pixels, 'pixel')} of the color {color}{more}, which {self.source} gives to no "
            f"class; add the class ({self.line.format(color=color)}), or correct the mask"
        )


def pack(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> (H, W) uint32, blue highest."""
    # OpenCV adds the fourth byte in a tenth of the time that three shifts take.
    return cv2.cvtColor(image, cv2.COLOR_RGB2RGBA).view("<u4")[..., 0] & 0xFFFFFF


def mixtures(image: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels of no class whose color lies between those of two classes near them, as smoothing leaves."""
    inside = cv2.cvtColor(unknown.view(np.uint8), cv2.COLOR_GRAY2RGB).view(bool)
    high = cv2.dilate(np.where(inside, np.uint8(0), image), REACH)
    low = cv2.erode(np.where(inside, np.uint8(255), image), REACH)
    return unknown & ((low <= image) & (image <= high)).all(axis=2) & (low != high).any(axis=2)


def with_losses(path: Path) -> None:
    """Raises UserError for a format whose compression changes colors; what is missing is left to its reader."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError:
        return
    if not start.startswith(LOSSLESS):
        raise UserError(f"{path}: is not a PNG, BMP, GIF or TIFF, and other formats change colors; save masks as PNG")


def words(color: Sequence[int] | np.ndarray) -> str:
    return ",".join(str(int(value)) for value in color)
