"""Classes of tools that list objects only: class 0 is what no object covers."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from twinsight.data.exports.export import BACKGROUND


def with_background(names: Sequence[str]) -> list[str]:
    """Background first, which may be one of the names."""
    return [BACKGROUND, *(name for name in names if name.lower() != BACKGROUND)]


def labels_of(names: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """The label of each name that a tool uses."""
    return {name: 0 if name.lower() == BACKGROUND else classes.index(name) for name in names}


def palette(classes: Sequence[str], colors: Mapping[str, str]) -> np.ndarray | None:
    """(classes, 3) uint8 from "#rrggbb", background black; None if a class has no color."""
    texts = [colors.get(name, "#000000" if name == BACKGROUND else "") for name in classes]
    if not all(re.fullmatch("#[0-9a-fA-F]{6}", text) for text in texts):
        return None
    return np.array([list(bytes.fromhex(text[1:])) for text in texts], np.uint8)
