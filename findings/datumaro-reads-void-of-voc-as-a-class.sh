#!/usr/bin/env bash
# One would guess: 255 in the masks of PASCAL VOC, the outline that counts in no score, stays void when datumaro reads VOC
# and writes another form, or is left out.
# What happens: it is read as a mask of a 22nd class, "ignored", with index 21, and treated like any other: COCO gets a
# category 22 and an annotation of it, written as the person's is (both with iscrowd 1), Cityscapes the value 21. Whoever
# trains on the result trains on outlines, and has one class too many.
# Versions: datumaro 1.13.12, NumPy 2.4.6, Pillow 12.3.0. Seen, for an image with 4 pixels of a person and 12 of void:
#   read: person 4, ignored 12
#   COCO: 22 categories; category 16, area 4, iscrowd 1; category 22, area 12, iscrowd 1
#   Cityscapes: values 0, 15, 21
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6 pillow==12.3.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
from PIL import Image

root, coco, cityscapes = (Path(sys.argv[1], name) for name in ("voc", "coco", "cityscapes"))
classes = np.zeros((6, 6), np.uint8)
classes[1:5, 1:5] = 255
classes[2:4, 2:4] = 15  # person
objects = np.where(classes == 15, 1, classes)
palette = [
    sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3))
    for index in range(256)
    for channel in range(3)
]
for name, mask in (("SegmentationClass", classes), ("SegmentationObject", objects)):
    image = Image.fromarray(mask)
    image.putpalette(palette)
    (root / name).mkdir(parents=True)
    image.save(root / name / "a.png")
(root / "JPEGImages").mkdir()
Image.new("RGB", (6, 6)).save(root / "JPEGImages/a.jpg")
(root / "ImageSets/Segmentation").mkdir(parents=True)
(root / "ImageSets/Segmentation/train.txt").write_text("a\n")

found = Dataset.import_from(str(root), "voc_segmentation")
(item,) = found
names = [label.name for label in found.categories()[AnnotationType.label]]
read = {names[mask.label]: int(mask.image.sum()) for mask in item.annotations}
print("read: " + ", ".join(f"{name} {area}" for name, area in read.items()))

found.export(str(coco), "coco_instances")
written = json.loads((coco / "annotations/instances_train.json").read_text())
shapes = [(shape["category_id"], int(shape["area"]), shape["iscrowd"]) for shape in written["annotations"]]
shown = "; ".join("category {}, area {}, iscrowd {}".format(*shape) for shape in shapes)
print(f"COCO: {len(written['categories'])} categories; {shown}")

found.export(str(cityscapes), "cityscapes")
values = np.unique(np.asarray(Image.open(cityscapes / "gtFine/train/a_gtFine_labelIds.png"))).tolist()
print("Cityscapes: values " + ", ".join(map(str, values)))
as_expected = (
    read == {"person": 4, "ignored": 12}
    and len(written["categories"]) == 22
    and shapes == [(16, 4, 1), (22, 12, 1)]
    and values == [0, 15, 21]
)
sys.exit(not as_expected)
PYTHON
