"""What a segmenter predicts for one image, to look at, to compute with and to keep."""

from base64 import b64encode
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from io import BytesIO
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from twinsight.assemble.predicting import write_prediction
from twinsight.errors import UserError
from twinsight.files import as_path
from twinsight.probes.draw import overlay

SHOWN, LEAST = 480, 240
"""Pixels of the longer side of what a notebook shows, and of the width that small images are enlarged to."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The classes that a segmenter sees in one image. In a notebook it shows itself.

    Attributes:
        mask: (H, W) uint8, the index of each pixel's class in `classes`.
        confidence: (H, W) float32 in [0, 1], the probability that the segmenter gives to that class: the softmax of its
            logits, averaged as the prediction is. It says how sure the network is, not how often it is right: most
            networks are too sure of themselves.
        classes: the names of the classes.
        palette: (C, 3) uint8, their colors in RGB.
        image: (H, W, 3) uint8, the image.
        name: the image's name, which `save` writes files by.
    """

    mask: np.ndarray = field(repr=False)
    confidence: np.ndarray = field(repr=False)
    classes: tuple[str, ...]
    palette: np.ndarray = field(repr=False)
    image: np.ndarray = field(repr=False)
    name: str = "image"

    @property
    def overlay(self) -> Image.Image:
        """The classes' colors over the image; a black background leaves it as it is."""
        return Image.fromarray(overlay(self.image, self.mask, self.palette))

    @cached_property
    def shares(self) -> dict[str, float]:
        """The fraction of the image's pixels that each class covers, from the largest, without classes that do not
        occur.
        """
        counts = np.bincount(self.mask.ravel(), minlength=len(self.classes))
        order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
        return {self.classes[i]: float(counts[i] / self.mask.size) for i in order}

    def save(self, folder: "str | PathLike[str]", overwrite: bool = False) -> Path:
        """Write FOLDER/NAME.png, the mask in its palette, and FOLDER/NAME.overlay.jpg, as `twinsight predict` does.

        Args:
            folder: made where it is missing.
            overwrite: replace files that are there already; otherwise that is an error.

        Returns:
            The file of the mask.
        """
        path = as_path("folder", folder)
        if path.is_file():
            raise UserError(f"{folder}: is a file, not a folder; choose another")
        target = path / f"{self.name}.png"
        for file in (target, target.with_name(f"{target.stem}.overlay.jpg")):
            if file.exists() and not overwrite:
                raise UserError(f"{file}: exists; choose another folder or give overwrite=True")
        write_prediction(path, self.name, self.mask, self.palette, self.image)
        return target

    def _repr_html_(self) -> str:
        """The image beside its overlay, and which class covers how much."""
        pictures = "".join(
            f'<img alt="{name}" style="min-width:{LEAST}px;image-rendering:pixelated" '
            f'src="data:image/webp;base64,{b64encode(small(picture)).decode()}">'
            for name, picture in (("image", Image.fromarray(self.image)), ("overlay", self.overlay))
        )
        colors = dict(zip(self.classes, self.palette.tolist()))
        legend = "".join(
            f'<span style="white-space:nowrap"><span style="display:inline-block;width:.9em;height:.9em;'
            f'background:rgb({",".join(map(str, colors[name]))});border:1px solid #888"></span> '
            f"{escape(name)} {share:.1%}</span>"
            for name, share in self.shares.items()
        )
        row = "display:flex;flex-wrap:wrap;gap:.4em 1em;margin:.3em 0"
        return f'<div style="{row}">{pictures}</div><div style="{row}">{legend}</div>'


def small(picture: Image.Image) -> bytes:
    """The picture as WebP, at most `SHOWN` pixels wide and high."""
    picture.thumbnail((SHOWN, SHOWN))
    stream = BytesIO()
    picture.save(stream, format="webp", quality=85)
    return stream.getvalue()
