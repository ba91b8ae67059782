#!/usr/bin/env bash
# One would guess: pixels without an annotation stay apart from every class, whatever form datumaro writes semantic masks in,
# and label_colors.txt beside the masks says which value or color is which class.
# What happens: it depends on the form, if the classes include no "background".
# KITTI counts classes from 0 and fills the rest with 0, so that everything unlabeled becomes the first class; read back, road
# has twice its pixels. Cityscapes and CamVid put a background at 0 in front and count from 1, but leave it out of
# label_colors.txt: a reader that takes the line as the index is off by one class. If the source gives no colors, neither does
# the file, although CamVid's masks hold nothing else. With "background" as the first class all three put unlabeled pixels
# there, and the file lists it.
# Versions: datumaro 1.13.12, NumPy 2.4.6, Pillow 12.3.0. Seen, for the pixels unlabeled, road, car, tree:
#   kitti_segmentation: file lists road, car, tree; masks hold 0, 0, 1, 2; road has 2 pixels, read back 4
#   cityscapes: file lists road, car, tree; masks hold 0, 1, 2, 3; road has 2 pixels, read back 2
#   camvid: file lists road, car, tree; masks hold (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0); road has 2 pixels, read back 2
#   kitti_segmentation: file lists background, road, car, tree; masks hold 0, 1, 2, 3; road has 2 pixels, read back 2
#   cityscapes: file lists background, road, car, tree; masks hold 0, 1, 2, 3; road has 2 pixels, read back 2
#   camvid: file lists background, road, car, tree; masks hold the same four colors; road has 2 pixels, read back 2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datumaro==1.13.12 numpy==2.4.6 pillow==12.3.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import PIL.Image
from datumaro.components.annotation import AnnotationType, Mask
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image

CLASSES = ["road", "car", "tree"]
FILES = {
    "kitti_segmentation": "train/semantic/a.png",
    "cityscapes": "gtFine/train/a_gtFine_labelIds.png",
    "camvid": "trainannot/a.png",
}
columns = np.array([[0, 0, 1, 1, 2, 2, 3, 3]])  # unlabeled, road, car, tree


def exported(form, names):
    masks = [Mask(columns == number, label=names.index(name)) for number, name in enumerate(CLASSES, start=1)]
    picture = Image.from_numpy(np.zeros((1, 8, 3), np.uint8), ext=".png")
    item = DatasetItem(id="a", subset="train", media=picture, annotations=masks)
    root = Path(sys.argv[1], f"{form}-{len(names)}")
    Dataset.from_iterable([item], categories=names).export(str(root), form, save_media=True)

    listed = (root / "label_colors.txt").read_text().split()
    values = np.asarray(PIL.Image.open(root / FILES[form]))[0, ::2].tolist()
    back = Dataset.import_from(str(root), form)
    (found,) = back
    road = back.categories()[AnnotationType.label].find("road")[0]
    pixels = int(sum(mask.image for mask in found.annotations if mask.label == road).sum())
    shown = ", ".join(str(tuple(value) if isinstance(value, list) else value) for value in values)
    print(f"{form}: file lists {', '.join(listed)}; masks hold {shown}; road has 2 pixels, read back {pixels}")
    return listed, values, pixels


WITH = ["background", *CLASSES]
COLORS = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
seen = [exported(form, names) for names in (CLASSES, WITH) for form in FILES]
expected = [
    (CLASSES, [0, 0, 1, 2], 4),
    (CLASSES, [0, 1, 2, 3], 2),
    (CLASSES, COLORS, 2),
    (WITH, [0, 1, 2, 3], 2),
    (WITH, [0, 1, 2, 3], 2),
    (WITH, COLORS, 2),
]
sys.exit(seen != expected)
PYTHON
