#!/usr/bin/env bash
# One would guess: Image.save("mask.png", bits=8) writes a palette image with 8 bits per pixel, so that readers which hand
# out stored bytes, as torchvision.io.decode_image does, return the indices.
# What happens: `bits` is only an upper limit. With 2, 4 or 16 palette entries the file has 1, 2 or 4 bits per pixel all the
# same; a palette filled up to 17 or more entries is what makes it 8.
# Versions: Pillow 13.0.0. Seen:
#   2 colors, bits=8: 1 bits per pixel
#   4 colors, bits=8: 2 bits per pixel
#   16 colors, bits=8: 4 bits per pixel
#   17 colors, bits=8: 8 bits per pixel
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

from PIL import Image

depths = {}
for colors in (2, 4, 16, 17):
    image = Image.new("P", (8, 8))
    image.putpalette([i for color in range(colors) for i in (color, color, color)])
    file = io.BytesIO()
    image.save(file, format="PNG", bits=8)
    depths[colors] = file.getvalue()[24]  # the bit depth in the header
    print(f"{colors} colors, bits=8: {depths[colors]} bits per pixel")
sys.exit(0 if depths == {2: 1, 4: 2, 16: 4, 17: 8} else 1)
PYTHON
