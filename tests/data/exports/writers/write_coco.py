"""Writes COCO's JSON by datumaro, supervision or by hand, and the masks that it means: truth/IMAGE.npy.

What supervision writes, and what we write, is drawn by pycocotools.
write_coco.py ROOT instances|stuff|panoptic|supervision|overlapping
"""

import json
import sys
from pathlib import Path

import numpy as np
from datumaro.components.annotation import Mask
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image
from PIL import Image as Pillow
from pycocotools import mask as rle
from pycocotools.coco import COCO

SIZES = [(37, 23), (64, 48), (5, 61), (101, 7), (33, 33), (1, 1), (80, 50), (17, 90)]
NAMES = ["road", "car", "tree"]


def blobs(rng, width, height):
    """Labels 0 (none) to 3 with holes, single pixels and parts at the borders."""
    coarse = rng.integers(0, 4, (height // 6 + 1, width // 6 + 1))
    labels = np.kron(coarse, np.ones((6, 6), int))[:height, :width]
    return np.where(rng.random(labels.shape) < 0.03, rng.integers(0, 4, labels.shape), labels)


def by_datumaro(root, kind):
    rng = np.random.default_rng(1)
    items = []
    for number, (width, height) in enumerate(SIZES):
        labels = blobs(rng, width, height)
        if number in (2, 5):
            labels[:] = number == 5
        masks = [Mask(labels == k + 1, label=k, id=k + 1, group=k + 1) for k in range(3) if (labels == k + 1).any()]
        picture = Image.from_numpy(rng.integers(0, 255, (height, width, 3), np.uint8), ext=".png")
        split = "train" if number < 6 else "val"
        items.append(DatasetItem(f"street/{number}", subset=split, media=picture, annotations=masks))
        save(root, f"{number}", np.where(labels == 0, 255, labels - 1) if kind == "panoptic" else labels)
    Dataset.from_iterable(items, categories=NAMES).export(str(root), f"coco_{kind}", save_media=True)


def by_hand(root):
    """Polygons of several parts, runs packed and not, crowds; ids from 0 with gaps; as pycocotools draws each."""
    rng = np.random.default_rng(2)
    images, annotations = [], []
    for number, (width, height) in enumerate(SIZES):
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        Pillow.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(root / f"{number}.png")
        for _ in range(9):
            form = rng.integers(3)
            if form == 0:
                parts = [rng.uniform(-0.3, 1.3, (rng.integers(3, 9), 2)) * (width, height) for _ in range(2)]
                shape = [np.round(part, 2).ravel().tolist() for part in parts]
            else:
                packed = rle.encode(np.asfortranarray(blobs(rng, width, height) == 1, np.uint8))
                shape = {"size": [height, width], "counts": packed["counts"].decode()}
                if form == 1:
                    inside = rle.decode(packed).ravel(order="F")
                    ends = np.flatnonzero(np.diff(inside, prepend=0, append=2))
                    shape["counts"] = np.diff(ends, prepend=0).tolist()
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": int(rng.choice([0, 7, 90])),
                "segmentation": shape, "iscrowd": int(form == 1), "area": 1, "bbox": [0, 0, 1, 1],
            })  # fmt: skip
    categories = [{"id": id, "name": name, "supercategory": "thing"} for id, name in zip([90, 0, 7], NAMES)]
    content = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    (root / "result.json").write_text(json.dumps(content))
    draw(root, {0: 1, 7: 2, 90: 3})


def by_supervision(root):
    """Rectangles become polygons, masks with holes runs."""
    import supervision  # takes seconds

    rng = np.random.default_rng(5)
    pictures, found = [], {}
    for number, (width, height) in enumerate(SIZES):
        pictures.append(str(root / f"{number}.png"))
        Pillow.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(pictures[-1])
        labels = blobs(rng, width, height)
        labels[height // 4 : height // 2, width // 4 : width // 2] = 0
        masks, classes = (
            [labels == k + 1 for k in range(3) if (labels == k + 1).any()],
            np.unique(labels[labels > 0]) - 1,
        )
        box = np.zeros((height, width), bool)
        box[height // 4 : height // 2, width // 4 : width // 2] = True
        if box.any():
            masks, classes = [*masks, box], np.append(classes, 1)
        masks = np.array(masks).reshape(-1, height, width)
        found[pictures[-1]] = supervision.Detections(supervision.mask_to_xyxy(masks), masks, class_id=classes)
    supervision.DetectionDataset(NAMES, pictures, found).as_coco(annotations_path=str(root / "result.json"))
    draw(root, {1: 1, 2: 2, 3: 3})


def draw(root, label_of):
    coco = COCO(str(root / "result.json"))
    for image in coco.imgs.values():
        for order in ("order", "area"):
            shapes = [each for each in coco.imgToAnns[image["id"]] if each["segmentation"]]
            drawn = [(coco.annToMask(each), label_of[each["category_id"]]) for each in shapes]
            if order == "area":
                drawn.sort(key=lambda each: each[0].sum(dtype=int), reverse=True)
            labels = np.zeros((image["height"], image["width"]), int)
            for mask, label in drawn:
                labels[mask == 1] = label
            save(root, f"{order}-{Path(image['file_name']).stem}", labels)


def save(root, name, labels):
    (root / "truth").mkdir(parents=True, exist_ok=True)
    np.save(root / "truth" / f"{name}.npy", labels.astype(np.uint8))


root = Path(sys.argv[1])
root.mkdir(parents=True, exist_ok=True)
if sys.argv[2] in ("overlapping", "supervision"):
    (by_hand if sys.argv[2] == "overlapping" else by_supervision)(root)
else:
    by_datumaro(root, sys.argv[2])
