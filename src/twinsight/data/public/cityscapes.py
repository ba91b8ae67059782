"""Cityscapes: 19 classes of street scenes, by city.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016. Numbers, classes and colors
are those of cityscapesScripts (helpers/labels.py): labelIds in files, trainIds as labels.
"""

from pathlib import Path

from twinsight.data.public.published import Published, existing, files, matched, no_split

CLASSES = {
    "road": (7, (128, 64, 128)), "sidewalk": (8, (244, 35, 232)), "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)), "fence": (13, (190, 153, 153)), "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)), "traffic sign": (20, (220, 220, 0)), "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)), "sky": (23, (70, 130, 180)), "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)), "car": (26, (0, 0, 142)), "truck": (27, (0, 0, 70)), "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)), "motorcycle": (32, (0, 0, 230)), "bicycle": (33, (119, 11, 32)),
}  # fmt: skip
"""The number in labelIds and the color of each class, in the order of its trainId."""

NUMBERS, COLORS = zip(*CLASSES.values())

VOID = range(34)
"""All numbers: those of no class count nowhere."""


class Cityscapes(Published):
    """The 2975 train and 500 val images with fine annotations; the masks of test are not public.

    root: the folder that holds leftImg8bit and gtFine. split: "train", "val", or "all" for both.
    """

    title = "Cityscapes"
    patterns = ("leftImg8bit/*/*/*_leftImg8bit.png", "gtFine/*/*/*_gtFine_labelIds.png")

    def __init__(self, root: Path, split: str = "train"):
        splits = {"train": ("train",), "val": ("val",), "all": ("train", "val")}
        if split not in splits:
            raise no_split(self.title, split, tuple(splits))
        images, masks = (existing(root, self.title, name) for name in ("leftImg8bit", "gtFine"))
        entries = [
            entry
            for name in splits[split]
            for entry in matched(
                {f"{name}/{each}": path for each, path in files(images / name, "_leftImg8bit").items()},
                {f"{name}/{each}": path for each, path in files(masks / name, "_gtFine_labelIds").items()},
                images / name,
            )
        ]
        super().__init__(entries, tuple(CLASSES), NUMBERS, VOID, COLORS)
