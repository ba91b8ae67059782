"""Reads what `twinsight data convert` wrote, by datumaro (voc) or pycocotools (coco): OUT/SPLIT/NAME.npy, classes.txt.

read_converted.py ROOT OUT voc|coco
"""

import sys
from pathlib import Path

import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset
from pycocotools.coco import COCO


def save(out, split, name, labels):
    file = out / split / f"{name}.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, labels.astype(np.uint8))


def by_datumaro(root, out):
    dataset = Dataset.import_from(str(root), "voc_segmentation")
    names = [label.name for label in dataset.categories()[AnnotationType.label]]
    for item in dataset:
        height, width = item.media.data.shape[:2]
        labels = np.full((height, width), 254)
        for each in item.annotations:
            labels[each.image] = 255 if names[each.label] == "ignored" else each.label
        save(out, item.subset, item.id, labels)
    return names


def by_pycocotools(root, out):
    for file in sorted((root / "annotations").glob("*.json")):
        coco = COCO(str(file))
        split = file.stem.removeprefix("instances_")
        for image in coco.imgs.values():
            labels = np.zeros((image["height"], image["width"]))
            for each in coco.imgToAnns[image["id"]]:
                mask = coco.annToMask(each)
                rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
                box = [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
                assert (each["bbox"], each["area"]) == (box, mask.sum(dtype=int))
                labels[mask == 1] = each["category_id"]
            assert (root / split / image["file_name"]).is_file()
            save(out, split, Path(image["file_name"]).with_suffix("").as_posix(), labels)
    assert 0 not in {*coco.imgs, *coco.anns, *coco.cats}
    return [coco.cats[id]["name"] for id in sorted(coco.cats)]


root, out = Path(sys.argv[1]), Path(sys.argv[2])
names = (by_datumaro if sys.argv[3] == "voc" else by_pycocotools)(root, out)
(out / "classes.txt").write_text("\n".join(names) + "\n")
