#!/usr/bin/env bash
# One would guess: a mask that supervision writes as COCO covers the same pixels when pycocotools draws it.
# What happens: the polygon runs through the centers of the outermost pixels, while COCO's coordinates count from the edges of
# pixels, so that an object loses its last row and its last column; an object one pixel wide has an empty segmentation.
# `area` is that of the whole mask. supervision itself draws outlines as part of the object and reads its own files back
# without loss, so that a round trip shows nothing; but polygons from other tools gain a row and a column when it reads them.
# Masks with holes or in parts are written as run lengths, which have no such loss.
# Versions: supervision 0.31.2, pycocotools 2.0.11, NumPy 2.4.6; the first line with OpenCV 4.12.0.88 and NumPy 2.2.6 too. Seen:
#   mask of 30 x 10 pixels: area 300, supervision reads 300, pycocotools 261
#   mask of 8 x 4 pixels: area 32, supervision reads 32, pycocotools 21
#   mask of 8 x 1 pixels: area 8, supervision reads 0, pycocotools 0
#   polygon of 8 x 4 pixels, made for COCO: supervision reads 45, pycocotools 32
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check supervision==0.31.2 pycocotools==2.0.11 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
import supervision as sv
from PIL import Image
from pycocotools import mask as rle

root = Path(sys.argv[1])
picture, file = str(root / "a.png"), root / "a.json"
Image.new("RGB", (60, 40)).save(picture)


def read():
    (shape,) = json.loads(file.read_text())["annotations"]
    ((_, _, found),) = sv.DetectionDataset.from_coco(str(root), str(file), force_masks=True)
    drawn = [rle.frPyObjects([polygon], 40, 60) for polygon in shape["segmentation"]]
    return int(found.mask.sum()), int(sum(rle.area(each).sum() for each in drawn))


def written(width, height):
    mask = np.zeros((1, 40, 60), bool)
    mask[0, 10 : 10 + height, 5 : 5 + width] = True
    found = sv.Detections(xyxy=sv.mask_to_xyxy(mask), mask=mask, class_id=np.array([0]))
    sv.DetectionDataset(["a"], [picture], {picture: found}).as_coco(annotations_path=str(file))
    (shape,) = json.loads(file.read_text())["annotations"]
    seen = int(shape["area"]), *read()
    print(f"mask of {width} x {height} pixels: area {{}}, supervision reads {{}}, pycocotools {{}}".format(*seen))
    return seen


def made_for_coco():
    coco = json.loads(file.read_text())
    coco["annotations"][0] |= {"segmentation": [[5, 10, 13, 10, 13, 14, 5, 14]], "bbox": [5, 10, 8, 4], "area": 32}
    file.write_text(json.dumps(coco))
    seen = read()
    print("polygon of 8 x 4 pixels, made for COCO: supervision reads {}, pycocotools {}".format(*seen))
    return seen


seen = written(30, 10), written(8, 4), written(8, 1), made_for_coco()
sys.exit(seen != ((300, 300, 261), (32, 32, 21), (8, 0, 0), (45, 32)))
PYTHON
