"""Writes CVAT's XML by datumaro, and the masks that datumaro draws from what it reads there: truth/IMAGE.npy.

write_cvat.py ROOT
"""

import sys
from pathlib import Path

import numpy as np
from datumaro.components.annotation import Bbox, Mask, Polygon, RotatedBbox
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image
from pycocotools import mask as rle

root = Path(sys.argv[1])
rng = np.random.default_rng(3)
items = []
for number, (width, height) in enumerate([(37, 23), (64, 48), (5, 61), (101, 7), (33, 33), (80, 50)]):
    shapes = []
    for _ in range(12):
        kind, label, z = rng.integers(4), int(rng.integers(3)), int(rng.integers(-1, 3))
        x, y = rng.uniform(-3, (width - 2, height - 2))
        across, down = rng.uniform(1, (width / 2, height / 2))
        if kind == 0:
            points = rng.uniform(-0.1, 1.1, (rng.integers(3, 9), 2)) * (width, height)
            shapes.append(Polygon(points.ravel().tolist(), label=label, z_order=z))
        elif kind == 1:
            shapes.append(Bbox(x, y, across, down, label=label, z_order=z))
        elif kind == 2:
            shapes.append(RotatedBbox(x, y, across, down, float(rng.uniform(0, 360)), label=label, z_order=z))
        else:
            shapes.append(Mask(rng.random((height, width)) < 0.2, label=label, z_order=z))
    picture = Image.from_numpy(rng.integers(0, 255, (height, width, 3), np.uint8), ext=".png")
    split = "train" if number < 4 else "val"
    items.append(DatasetItem(f"street/{number}", subset=split, media=picture, annotations=shapes if number else []))
Dataset.from_iterable(items, categories=["road", "car", "tree"]).export(str(root), "cvat", save_media=True)

(root / "truth").mkdir()
for item in Dataset.import_from(str(root), "cvat"):
    height, width = item.media.size
    labels = np.zeros((height, width), np.uint8)
    for shape in sorted(item.annotations, key=lambda shape: shape.z_order):
        if isinstance(shape, Mask):
            inside = shape.image
        else:
            inside = rle.decode(rle.merge(rle.frPyObjects([np.ravel(shape.as_polygon()).tolist()], height, width)))
        labels[inside == 1] = shape.label + 1
    np.save(root / "truth" / f"{Path(item.id).name}.npy", labels)
