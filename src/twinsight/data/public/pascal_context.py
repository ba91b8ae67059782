"""PASCAL-Context: the images of VOC 2010, every pixel labeled; its 59 most frequent classes.

Mottaghi et al., "The Role of Context for Object Detection and Semantic Segmentation in the Wild", CVPR 2014.
"""

from pathlib import Path

import numpy as np

from twinsight.data.public.published import Published, existing, files, no_split
from twinsight.data.reading import naming
from twinsight.data.samples import VOID, Entry
from twinsight.errors import UserError
from twinsight.plain import read_lines

CLASSES = {
    "aeroplane": 2, "bag": 9, "bed": 18, "bedclothes": 19, "bench": 22, "bicycle": 23, "bird": 25, "boat": 31,
    "book": 33, "bottle": 34, "building": 44, "bus": 45, "cabinet": 46, "car": 59, "cat": 65, "ceiling": 68,
    "chair": 72, "cloth": 80, "computer": 85, "cow": 98, "cup": 104, "curtain": 105, "dog": 113, "door": 115,
    "fence": 144, "floor": 158, "flower": 159, "food": 162, "grass": 187, "ground": 189, "horse": 207, "keyboard": 220,
    "light": 232, "motorbike": 258, "mountain": 259, "mouse": 260, "person": 284, "plate": 295, "platform": 296,
    "pottedplant": 308, "road": 324, "rock": 326, "sheep": 347, "shelves": 349, "sidewalk": 354, "sign": 355,
    "sky": 360, "snow": 366, "sofa": 368, "table": 397, "track": 415, "train": 416, "tree": 420, "truck": 424,
    "tvmonitor": 427, "wall": 440, "water": 445, "window": 454, "wood": 458,
}  # fmt: skip
"""The 59 classes in alphabetical order, and their numbers among the 459 of labels.txt."""


class PascalContext(Published):
    """4998 train and 5105 val images. Pixels of the other 400 classes are void.

    root: VOCdevkit, or VOCdevkit/VOC2010 itself, with the masks beside JPEGImages: the .mat files of the release in
    `trainval`, or PNGs in `SegmentationClassContext`, in which the usual conversion numbers the 59 classes from 1, in
    alphabetical order.
    split: "train" or "val", by ImageSets/SegmentationContext or else VOC 2010's ImageSets/Main, for images with a mask.
    """

    title = "PASCAL-Context"
    patterns = ("VOC2010/SegmentationClassContext/*.png", "VOC2010/trainval/*.mat")

    def __init__(self, root: Path, split: str = "train"):
        if split not in ("train", "val"):
            raise no_split(self.title, split, ("train", "val"))
        folder = existing(root, self.title, "VOC2010/JPEGImages", "JPEGImages").parent
        images, masks = files(folder / "JPEGImages"), mask_files(folder)
        lists = [folder / "ImageSets" / kind / f"{split}.txt" for kind in ("SegmentationContext", "Main")]
        file = next((file for file in lists if file.is_file()), None)
        if file is None:
            raise UserError(f"{lists[1]}: is missing, and lists the images of {split}; unpack VOC 2010 there")
        named = [line.split()[0] for line in read_lines(file)]
        entries = [Entry(name, images[name], masks[name]) for name in named if name in masks and name in images]
        if not entries:
            raise UserError(f"{file}: names no image that has a mask; unpack the annotations into {folder}")
        super().__init__(entries, tuple(CLASSES), range(1, 60))
        self.label_of_number = np.full(512, VOID, np.uint8)
        self.label_of_number[[*CLASSES.values()]] = np.arange(59)

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        if entry.mask.suffix != ".mat":
            return super().decode_mask(entry)
        from scipy.io import loadmat  # takes a second, which data sets without it need not wait

        with naming(entry.mask):
            return self.label_of_number[loadmat(entry.mask)["LabelMap"]]


def mask_files(folder: Path) -> dict[str, Path]:
    if (folder / "SegmentationClassContext").is_dir():
        return files(folder / "SegmentationClassContext")
    return {path.stem: path for path in existing(folder, PascalContext.title, "trainval").glob("*.mat")}
