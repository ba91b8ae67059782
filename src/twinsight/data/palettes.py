"""The class colors stored in palette masks."""

from pathlib import Path

import numpy as np
from PIL import Image


def read_palette(mask: Path) -> np.ndarray | None:
    """(N, 3) uint8, N at most 256: the colors of a palette image; None for other images."""
    try:
        with Image.open(mask) as file:
            if file.mode != "P" or file.palette is None:
                return None
            order, stored = file.palette.getdata()  # getpalette() would decode the whole image
            colors = list(stored) if order == "RGB" else file.getpalette()
    except (OSError, ValueError, SyntaxError):  # reading the sample reports the broken file
        return None
    return None if colors is None else np.array(colors, np.uint8).reshape(-1, 3)


def class_colors(mask: Path | None, values: tuple[int, ...]) -> np.ndarray | None:
    """(classes, 3) uint8: the colors of the classes' values; None if some are missing or equal."""
    palette = None if mask is None else read_palette(mask)
    if palette is None or len(palette) <= max(values):
        return None
    colors = palette[list(values)]
    return colors if len(np.unique(colors, axis=0)) == len(values) else None


class Palettes:
    """Finds two masks that give the same color to different values, as per-file palettes do."""

    def __init__(self) -> None:
        self.conflict: str | None = None
        self._known: dict[tuple[int, ...], dict[int, tuple[int, bytes, Path]]] = {}
        self._done: set[tuple[bytes, int]] = set()

    def add(self, file: Path, palette: np.ndarray, used: list[int]) -> None:
        """used: the values in this mask, without void."""
        stored = palette.tobytes()
        for value in used:
            if self.conflict is not None or value >= len(palette) or (stored, value) in self._done:
                continue
            self._done.add((stored, value))
            color = tuple(palette[value].tolist())
            others = self._known.setdefault(color, {})
            for other, theirs, where in others.values():
                # Not if either palette gives both values this color, as black padding does.
                if other != value and color_at(theirs, value) != color and color_at(stored, other) != color:
                    self.conflict = f"{where} and {file}: the color {color} is {other} in one and {value} in the other"
            others.setdefault(value, (value, stored, file))


def color_at(palette: bytes, value: int) -> tuple[int, ...]:
    return tuple(palette[3 * value : 3 * value + 3])
