#!/usr/bin/env bash
# One would guess: Label Studio's export of brush labels as COCO ("BRUSH_TO_COCO") covers the pixels that were painted, as its
# exports as NumPy and PNG do; a shape with a hole becomes run lengths.
# What happens: only outer outlines are traced, so that holes are filled: a ring becomes a disc, a window frame a pane. The
# polygon runs through the centers of the outermost pixels, so that COCO's own tools draw a row and a column less as well.
# `area` is that of the filled polygon, so nothing in the file tells.
# Versions: label-studio-sdk 2.1.2, pycocotools 2.0.11, NumPy 2.2.6, OpenCV 4.12.0.88. Seen, for a frame of 30 x 20 pixels with
# a hole of 16 x 10:
#   painted 440 pixels, 0 of them in the hole
#   NumPy export: 440 pixels, 0 of them in the hole
#   COCO export: 551 pixels, 160 of them in the hole; area 551
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  label-studio-sdk==2.1.2 pycocotools==2.0.11 numpy==2.2.6 opencv-python-headless==4.12.0.88
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.brush import mask2rle
from pycocotools import mask as rle

CONFIG = """<View><Image name="image" value="$image"/><BrushLabels name="label" toName="image">
<Label value="frame"/></BrushLabels></View>"""

root = Path(sys.argv[1])
painted, hole = np.zeros((2, 30, 40), bool)
painted[5:25, 5:35] = True
hole[10:20, 12:28] = True
painted &= ~hole
region = {
    "id": "r", "type": "brushlabels", "from_name": "label", "to_name": "image", "image_rotation": 0, "origin": "manual",
    "original_width": 40, "original_height": 30,
    "value": {"format": "rle", "rle": mask2rle(painted.astype(np.uint8) * 255), "brushlabels": ["frame"]},
}
annotation = {"id": 1, "result": [region], "was_cancelled": False, "completed_by": 1}
(root / "tasks.json").write_text(json.dumps([{"id": 1, "data": {"image": "a.png"}, "annotations": [annotation]}]))


def export(form):
    (root / form).mkdir()
    Converter(CONFIG, str(root), download_resources=False).convert(
        str(root / "tasks.json"), str(root / form), form, is_dir=False
    )
    (file,) = (file for file in (root / form).iterdir() if file.is_file())
    return file


def counts(mask):
    return int((mask > 0).sum()), int((mask[hole] > 0).sum())


numpy_export = counts(np.load(export("BRUSH_TO_NUMPY")))
(shape,) = json.loads(export("BRUSH_TO_COCO").read_text())["annotations"]
coco_export = counts(rle.decode(rle.merge(rle.frPyObjects(shape["segmentation"], 30, 40))))
print("painted {} pixels, {} of them in the hole".format(*counts(painted)))
print("NumPy export: {} pixels, {} of them in the hole".format(*numpy_export))
print("COCO export: {} pixels, {} of them in the hole; area {}".format(*coco_export, shape["area"]))
sys.exit((numpy_export, coco_export, shape["area"]) != ((440, 0), (551, 160), 551))
PYTHON
