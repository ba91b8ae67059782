"""The names and colors of a segmenter's classes, kept beside its weights."""

import json
from pathlib import Path

import numpy as np

from twinsight.errors import UserError
from twinsight.files import write_text
from twinsight.plain import read_json


def save_classes(file: Path, classes: tuple[str, ...], palette: np.ndarray) -> None:
    """Save names and colors of the logits' channels next to the weights."""
    write_text(file, json.dumps({"classes": classes, "palette": palette.tolist()}, indent=1) + "\n")


def load_classes(file: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and colors (classes, 3) of the logits' channels. Raises UserError for a damaged file."""
    content = read_json(file, ("classes", "palette"))
    try:
        classes = tuple(map(str, content["classes"]))
        palette = np.array(content["palette"], np.uint8).reshape(-1, 3)
        if not 0 < len(classes) <= len(palette):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{file}: does not list classes with a color for each; restore the file") from error
    return classes, palette
