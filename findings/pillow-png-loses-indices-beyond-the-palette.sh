#!/usr/bin/env bash
# One would guess: a palette image saved as PNG holds the indices that went in, whatever colors its palette lists, and
# saving refuses what it cannot hold.
# What happens: the number of colors in the palette decides the bits per pixel, and larger indices are cut to fit, without
# an error or a warning. A palette of 3 colors makes 2 bits: index 200 becomes 0, and 255, the usual label for "ignore",
# becomes 3. An array given mode "P" and no palette at all makes 1 bit: classes 1 and 2 become one. The same image saved
# as TIFF keeps every index; GIF renumbers them. For label masks: fill the palette up to 256 colors, or save in mode "L".
# Versions: Pillow 13.0.0, numpy 2.4.0. Seen:
#   PNG, palette of 3 colors: [0, 1, 2, 200, 255] -> [0, 1, 2, 0, 3]
#   PNG, no palette: [0, 1, 2] -> [0, 1, 1]
#   TIFF, palette of 3 colors: [0, 1, 2, 200, 255] -> [0, 1, 2, 200, 255]
#   GIF, palette of 3 colors: [0, 5, 200] -> [0, 1, 2]
#   PNG, palette of 256 colors: [0, 1, 2, 200, 255] -> [0, 1, 2, 200, 255]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import numpy as np
from PIL import Image


def read_back(indices, colors, format):
    image = Image.fromarray(np.array([indices], np.uint8), mode="P")
    if colors:
        image.putpalette([value for color in range(colors) for value in (color, color, color)])
    file = io.BytesIO()
    image.save(file, format=format)
    found = np.asarray(Image.open(file))[0].tolist()
    palette = f"palette of {colors} colors" if colors else "no palette"
    print(f"{format}, {palette}: {indices} -> {found}")
    return found


labels = [0, 1, 2, 200, 255]
seen = [
    read_back(labels, 3, "PNG"),
    read_back([0, 1, 2], 0, "PNG"),
    read_back(labels, 3, "TIFF"),
    read_back([0, 5, 200], 3, "GIF"),
    read_back(labels, 256, "PNG"),
]
sys.exit(0 if seen == [[0, 1, 2, 0, 3], [0, 1, 1], labels, [0, 1, 2], labels] else 1)
PYTHON
