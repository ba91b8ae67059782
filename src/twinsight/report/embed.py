"""Figures embedded in a page as data: URIs, small enough to mail."""

import base64
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from twinsight.errors import UserError
from twinsight.probes.dark import dark_image, dark_svg

LIMIT = 20_000_000
"""Maximum characters of a page's figures: mail rejects more, and phones open it slowly."""

KINDS = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml",
}  # fmt: skip


class Embedded(NamedTuple):
    """A figure in the page: URIs of the figure, its dark version and an animation's last frame, empty if there is none.
    width, height: in CSS pixels, 0 for an SVG, which has its own size.
    """

    uri: str
    dark: str = ""
    still: str = ""
    width: int = 0
    height: int = 0


def embed(files: Iterable[Path]) -> tuple[dict[Path, Embedded], str]:
    """Figures by file, and a sentence on what was lost, or an empty string.

    Above LIMIT characters all PNGs become lossy WebP; figures that still do not fit, in the order given, are left out.
    Raises UserError for a file that is not a figure.
    """
    files = list(dict.fromkeys(files))
    lossy = sum(file.stat().st_size for file in files) * 4 / 3 > LIMIT
    figures: dict[Path, Embedded] = {}
    left_out: list[Path] = []
    room = LIMIT
    for file in files:
        figure = embedded(file, lossy)
        size = len(figure.uri) + len(figure.dark) + len(figure.still)
        if size > room:
            left_out.append(file)
        else:
            figures[file] = figure
            room -= size
    lost = ["the figures are stored with a slight loss (WebP)"] if lossy else []
    if left_out:
        lost.append(f"{len(left_out)} that did not fit are left out and named in their places")
    said = f"To keep this page small, {' and '.join(lost)}; the originals are in the run directory."
    return figures, said if lost else ""


def embedded(file: Path, lossy: bool) -> Embedded:
    """A figure at 1.25 times its printed size, so that small print is legible."""
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise UserError(f"{file}: unknown figure format; use a name ending in {', '.join(KINDS)}")
    if kind == KINDS[".svg"]:
        text = file.read_text(encoding="utf-8")
        return Embedded(uri(kind, text.encode()), uri(kind, dark_svg(text).encode()))
    try:
        with Image.open(file) as image:
            scale = 120 / (image.info.get("dpi", (120,))[0] or 120)
            width, height = (max(1, round(side * scale)) for side in image.size)
            dark, still = "", ""
            if (turned := dark_image(image)) is not None:
                dark = webp(turned)
            if (frames := getattr(image, "n_frames", 1)) > 1:
                image.seek(frames - 1)
                still = webp(image)
            elif lossy and kind == KINDS[".png"]:
                return Embedded(webp(image), dark, "", width, height)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as an image; delete it and write the report again") from error
    return Embedded(uri(kind, file.read_bytes()), dark, still, width, height)


def webp(image: Image.Image) -> str:
    stream = BytesIO()
    image.convert("RGB").save(stream, "webp", quality=85, method=1)  # a few percent larger, three times as fast
    return uri("image/webp", stream.getvalue())


def uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
