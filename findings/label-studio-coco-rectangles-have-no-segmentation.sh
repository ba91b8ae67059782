#!/usr/bin/env bash
# One would guess: in a Label Studio project that mixes polygons and rectangles, the COCO export gives both a segmentation;
# four corners say all there is to say about a rectangle.
# What happens: a rectangle gets its box and its area, and an empty list as segmentation. Code that loops
# over the polygons, as here, leaves it out in silence; pycocotools' annToMask raises an IndexError. A polygon with the same four corners is complete.
# Versions: label-studio-sdk 2.1.2, pycocotools 2.0.11, NumPy 2.2.6. Seen, of pixels in the segmentation and in `area`:
#   polygon: 300 pixels, area 300
#   rectangle: 0 pixels, area 300
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  label-studio-sdk==2.1.2 pycocotools==2.0.11 numpy==2.2.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

from label_studio_sdk.converter import Converter
from PIL import Image
from pycocotools import mask as rle

CONFIG = """<View><Image name="image" value="$image"/>
<PolygonLabels name="polygon" toName="image"><Label value="car"/></PolygonLabels>
<RectangleLabels name="rectangle" toName="image"><Label value="car"/></RectangleLabels></View>"""
SHAPES = {
    "polygon": {"points": [[10, 10], [60, 10], [60, 60], [10, 60]], "closed": True},  # in percent
    "rectangle": {"x": 10, "y": 10, "width": 50, "height": 50, "rotation": 0},
}

root = Path(sys.argv[1])
(root / "out").mkdir()
Image.new("RGB", (40, 30)).save(root / "a.png")
regions = [
    {
        "id": kind, "type": f"{kind}labels", "from_name": kind, "to_name": "image", "image_rotation": 0,
        "origin": "manual", "original_width": 40, "original_height": 30, "value": {**value, f"{kind}labels": ["car"]},
    }
    for kind, value in SHAPES.items()
]
annotation = {"id": 1, "result": regions, "was_cancelled": False, "completed_by": 1}
(root / "tasks.json").write_text(json.dumps([{"id": 1, "data": {"image": "a.png"}, "annotations": [annotation]}]))
Converter(CONFIG, str(root), download_resources=False).convert(
    str(root / "tasks.json"), str(root / "out"), "COCO", is_dir=False
)
seen = {}
for kind, shape in zip(SHAPES, json.loads((root / "out/result.json").read_text())["annotations"], strict=True):
    drawn = [rle.frPyObjects([polygon], 30, 40) for polygon in shape["segmentation"]]
    seen[kind] = int(sum(rle.area(each).sum() for each in drawn)), round(shape["area"])
    print("{}: {} pixels, area {}".format(kind, *seen[kind]))
sys.exit(seen != {"polygon": (300, 300), "rectangle": (0, 300)})
PYTHON
