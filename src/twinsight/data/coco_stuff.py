"""COCO-Stuff: 80 thing and 91 stuff classes on COCO's photographs, in its two releases.

Caesar, Uijlings, Ferrari, "COCO-Stuff: Thing and Stuff Classes in Context", CVPR 2018.
"""

from pathlib import Path

import numpy as np

from twinsight.data.masks import decode_mask
from twinsight.data.reading import unreadable
from twinsight.data.samples import VOID, Dataset, Entry
from twinsight.data.search import find_by_name
from twinsight.errors import UserError
from twinsight.plain import read_lines

# The official labels 1 to 182; label 0, unlabeled, is void.
NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, street
sign, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
hat, backpack, umbrella, shoe, eye glasses, handbag, tie, suitcase, frisbee, skis, snowboard, sports
ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, plate, wine
glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza,
donut, cake, chair, couch, potted plant, bed, mirror, dining table, window, desk, toilet, door, tv,
laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, blender, book,
clock, vase, scissors, teddy bear, hair drier, toothbrush, hair brush, banner, blanket, branch, bridge,
building-other, bush, cabinet, cage, cardboard, carpet, ceiling-other, ceiling-tile, cloth, clothes,
clouds, counter, cupboard, curtain, desk-stuff, dirt, door-stuff, fence, floor-marble, floor-other,
floor-stone, floor-tile, floor-wood, flower, fog, food-other, fruit, furniture-other, grass, gravel,
ground-other, hill, house, leaves, light, mat, metal, mirror-stuff, moss, mountain, mud, napkin, net,
paper, pavement, pillow, plant-other, plastic, platform, playingfield, railing, railroad, river, road,
rock, roof, rug, salad, sand, sea, shelf, sky-other, skyscraper, snow, solid-other, stairs, stone, straw,
structural-other, table, tent, textile-other, towel, tree, vegetable, wall-brick, wall-concrete,
wall-other, wall-panel, wall-stone, wall-tile, wall-wood, water-other, waterdrops, window-blind,
window-other, wood
"""
LABELS: tuple[str, ...] = tuple(NAMES.replace("\n", " ").strip().split(", "))
# COCO named these classes but never segmented them.
REMOVED = {
    "street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door", "blender",
    "hair brush",
}  # fmt: skip
CLASSES = tuple(label for label in LABELS if label not in REMOVED)
# Stored value (label - 1, or 255 for void) -> class; -1 for values that never occur.
CLASS_OF = np.full(256, -1)
CLASS_OF[[LABELS.index(name) for name in CLASSES]] = np.arange(len(CLASSES))
CLASS_OF[VOID] = VOID


class CocoStuff(Dataset):
    """COCO-Stuff with 171 contiguous classes, without the 11 that have no pixels.

    root: for 164k, the folder with images in images/train2017 or train2017 (val2017), and masks in
        stuffthingmaps/train2017, annotations/train2017 or train2017; for 10k, the folder with images,
        annotations and imageLists.
    split: "train" (118287 images; 10k: 9000) or "val" (5000; 10k: the 1000 of its test list).
    version: "164k" or "10k".

    Raises UserError if one of these is missing, an image has no mask, or a mask no image.
    """

    def __init__(self, root: Path, split: str = "train", version: str = "164k"):
        if split not in ("train", "val"):
            raise UserError(f"split {split}: COCO-Stuff has no such split; choose train or val")
        if version not in ("164k", "10k"):
            raise UserError(f"version {version}: COCO-Stuff has no such version; choose 164k or 10k")
        super().__init__(entries_164k(root, split) if version == "164k" else entries_10k(root, split), CLASSES)

    def decode_mask(self, entry: Entry) -> np.ndarray:
        path = entry.mask
        assert path is not None
        values = decode_mat(path) if path.suffix == ".mat" else decode_mask(path, self.reading)
        classes = CLASS_OF[values]
        if (classes < 0).any():
            raise UserError(f"{path}: holds {values[classes < 0][0]}, not a COCO-Stuff label; download it again")
        return classes.astype(np.uint8)


def entries_164k(root: Path, split: str) -> list[Entry]:
    images, masks = (
        {path.stem: path for path in sorted(first_folder(root, parents, split, extension).glob(f"*.{extension}"))}
        for parents, extension in ((("images", "."), "jpg"), (("stuffthingmaps", "annotations", "."), "png"))
    )
    alone = sorted(images.keys() ^ masks.keys())
    if alone:
        path, lacks = (images[alone[0]], "mask") if alone[0] in images else (masks[alone[0]], "image")
        raise UserError(f"{path}: has no {lacks} ({len(alone)} unmatched in {split}2017); unpack the archives again")
    return [Entry(name, image, masks[name]) for name, image in images.items()]


def first_folder(root: Path, parents: tuple[str, ...], split: str, extension: str) -> Path:
    """The first of root/<parent>/<split>2017 that contains a file with this extension."""
    folders = [root / parent / f"{split}2017" for parent in parents]
    for folder in folders:
        if next(folder.glob(f"*.{extension}"), None):
            return folder
    archive = f"{split}2017.zip" if extension == "jpg" else "stuffthingmaps_trainval2017.zip"
    raise UserError(f"{folders[0]}: holds no .{extension} file; unpack {archive} of COCO-Stuff there")


def entries_10k(root: Path, split: str) -> list[Entry]:
    file = root / "imageLists" / ("train.txt" if split == "train" else "test.txt")
    if not file.is_file():
        raise UserError(f"{file}: no such file; unpack cocostuff-10k-v1.1.zip into {root}")
    names = read_lines(file)
    images = find_by_name(root / "images")
    masks = {path.stem: path for path in (root / "annotations").glob("*.mat")}
    for name in names:
        if name not in images or name not in masks:
            lacks = root / ("annotations" if name in images else "images") / name
            raise UserError(f"{file}: names {name}, but {lacks}.* is missing; unpack the archive again")
    return [Entry(name, images[name], masks[name]) for name in names]


def decode_mat(path: Path) -> np.ndarray:
    """(H, W) uint8 values of a 10k annotation, coded like the PNGs of 164k: label - 1, or 255 for unlabeled."""
    from scipy.io import loadmat  # takes a second; only the 10k release needs it

    try:
        labels = np.asarray(loadmat(path, variable_names=["S"])["S"])
    except Exception as error:  # On a broken file scipy raises nearly anything.
        raise unreadable(path, error) from error
    if labels.ndim != 2 or labels.max() > len(LABELS):
        raise UserError(f"{path}: its field S is not a map of labels 0 to {len(LABELS)}; download it again")
    return (labels.astype(np.int16) - 1).astype(np.uint8)  # 0 wraps to 255
