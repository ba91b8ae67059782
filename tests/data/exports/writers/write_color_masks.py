"""Writes one set of masks in each form that datumaro gives color masks: truth/NAME.npy, and a folder for each form.

write_color_masks.py ROOT
"""

import sys
from pathlib import Path

import numpy as np
from datumaro.components.annotation import AnnotationType, LabelCategories, Mask, MaskCategories
from datumaro.components.dataset import Dataset
from datumaro.components.dataset_base import DatasetItem
from datumaro.components.media import Image

NAMES = ["background", "road", "car", "tree"]
COLORS = [(0, 0, 0), (128, 64, 128), (0, 0, 142), (107, 142, 35)]
VOID = (224, 224, 192)


def masks():
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate([(20, 30), (31, 17), (48, 64), (1, 1), (23, 5), (40, 40)]):
        blocks = rng.integers(0, 4, (height // 4 + 1, width // 4 + 1))
        yield (
            f"{'val' if number % 3 == 2 else 'train'}-{number}",
            np.kron(blocks, np.ones((4, 4), int))[:height, :width],
        )


def dataset(names, colors=None, first=0, void=False):
    items = []
    for name, labels in masks():
        shapes = [Mask(labels == value, label=value - first) for value in range(1, 4)]
        if void:
            shapes.append(Mask(border(labels), label=len(names) - 1, z_order=1))
        pixels = np.zeros((*labels.shape, 3), np.uint8)
        subset = name.partition("-")[0]
        items.append(
            DatasetItem(id=name, subset=subset, media=Image.from_numpy(pixels, ext=".png"), annotations=shapes)
        )
    categories = {AnnotationType.label: LabelCategories.from_iterable(names)}
    if colors is not None:
        categories[AnnotationType.mask] = MaskCategories(dict(enumerate(colors)))
    return Dataset.from_iterable(items, categories=categories)


def border(labels):
    """The first row, which is void where a set has void."""
    found = np.zeros(labels.shape, bool)
    found[0] = True
    return found


def main(root):
    (root / "truth").mkdir(parents=True)
    for name, labels in masks():
        np.save(root / "truth" / f"{name}.npy", labels.astype(np.uint8))
    plain, colored = dataset(NAMES), dataset(NAMES, COLORS)
    void = dataset([*NAMES, "ignored"], [*COLORS, VOID], void=True)
    bare = dataset(NAMES[1:], first=1)
    for folder, what, form, options in (
        ("voc", plain, "voc_segmentation", {}),
        ("voc-colors", colored, "voc_segmentation", {}),
        ("voc-indices", colored, "voc_segmentation", {"apply_colormap": False}),
        ("voc-void", void, "voc_segmentation", {}),
        ("voc-meta", colored, "voc_segmentation", {"save_dataset_meta": True}),
        ("camvid", plain, "camvid", {}),
        ("camvid-colors", colored, "camvid", {}),
        ("camvid-bare", bare, "camvid", {}),
        ("camvid-void", void, "camvid", {}),
    ):
        what.export(str(root / folder), form, save_media=True, **options)


main(Path(sys.argv[1]))
