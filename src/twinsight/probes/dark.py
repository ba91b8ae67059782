"""Figures for dark pages: black and white are swapped, and pictures within the figure stay as they are."""

import json
import re
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.offsetbox import OffsetImage
from matplotlib.transforms import Bbox
from PIL import Image

GROUND = (22, 25, 29)
"""Background of a dark page, which replaces white."""

SHADES = [np.linspace(ground, 255, 256).round().astype(np.uint8) for ground in GROUND]

KEPT, INK = "kept", "ink"
"""gid of an artist that keeps its colors, such as a legend of pictures; and of an image that changes like text."""

NOTE = "twinsight-pictures"
"""Key of a PNG's text: where its pictures are, as JSON: [left, top, right, bottom] in pixels each."""

Boxes = Sequence[tuple[int, int, int, int]]


def picture_boxes(figure: Figure, renderer: RendererBase) -> Boxes:
    """Boxes in pixels of the photographs, heat maps and color scales in a drawn figure."""
    height = figure.bbox.height
    boxes: list[tuple[int, int, int, int]] = []
    for artist in figure.findobj(lambda artist: is_picture(artist)):
        box = extent(artist, renderer)
        if box is not None and artist.get_visible():
            left, right = int(box.x0), int(np.ceil(box.x1))
            boxes.append((left, int(height - box.y1), right, int(np.ceil(height - box.y0))))
    return boxes


def is_picture(artist: Artist) -> bool:
    if artist.get_gid() in (KEPT, INK):
        return artist.get_gid() == KEPT
    return isinstance(artist, AxesImage | OffsetImage | QuadMesh)  # a mesh is a color scale


def extent(artist: Artist, renderer: RendererBase) -> Bbox | None:
    if isinstance(artist, QuadMesh) and artist.axes is not None:
        return artist.axes.bbox.frozen()
    box = artist.get_window_extent(renderer)
    return box if artist.axes is None else Bbox.intersection(box, artist.axes.bbox)


def dark_image(image: Image.Image) -> Image.Image | None:
    """A figure's PNG for a dark page; None if it does not record where its pictures are."""
    note = image.info.get(NOTE)
    if note is None:
        return None
    light = np.asarray(image.convert("RGB"))
    dark = inverted(light)
    for left, top, right, bottom in json.loads(note):
        dark[top:bottom, left:right] = light[top:bottom, left:right]
    return Image.fromarray(dark)


def dark_svg(text: str) -> str:
    """An SVG of lines and text for a dark page."""

    def change(found: re.Match[str]) -> str:
        color = np.array([[[int(found[1][i : i + 2], 16) for i in (0, 2, 4)]]], np.uint8)
        return "#{:02x}{:02x}{:02x}".format(*inverted(color)[0, 0])

    ink = "#{:02x}{:02x}{:02x}".format(*inverted(np.zeros((1, 1, 3), np.uint8))[0, 0])
    text = re.sub(r"#([0-9a-fA-F]{6})\b", change, text)
    return text.replace("<defs>", f"<style>text {{ fill: {ink} }}</style>\n <defs>", 1)


def inverted(colors: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> the same hues with inverted lightness; white becomes the color of the page."""
    red, green, blue = np.moveaxis(colors, -1, 0)
    least = np.minimum(np.minimum(red, green), blue)
    most = np.maximum(np.maximum(red, green), blue)
    turn = (255 - most) - least  # wraps around, and back in the sum below
    channels = [SHADES[i][channel + turn] for i, channel in enumerate((red, green, blue))]
    return np.stack(channels, -1)
