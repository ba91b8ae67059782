"""Label images among photographs, recognized by their names and by their few colors."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinsight.data.decode import decode_image

NAME = re.compile(r"(.+)(?:[ _.-](?i:masks?|labels?|seg|segmentation|gt|annotation|groundtruth)(?:[ _.-]?\d+)?|_L)")
"""The stem of a mask that is called after its image: NAME_mask, NAME-labels, NAME_mask_1; NAME_L is CamVid's."""

IMAGE_NAME = re.compile(r"(.+)[ _.-](?i:images?|img|rgb|sat)")
"""The stem of an image where its mask's says mask: NAME_image, NAME_sat."""

FOLDERS = frozenset({
    "mask", "masks", "label", "labels", "annotation", "annotations", "groundtruth", "ground_truth", "gt",
    "segmentationclass", "segmentationobject", "stuffthingmaps",
})  # fmt: skip
"""Names, in lower case, of folders that hold masks."""

FEW = 32
"""A photograph has more colors than this even in a few thousand pixels."""


def masks_beside(files: Sequence[Path]) -> set[Path]:
    """The files called NAME_mask or the like that have a file called NAME beside them."""
    known = {(file.parent, file.stem) for file in files}
    found = ((file, NAME.fullmatch(file.stem)) for file in files)
    return {file for file, match in found if match and (file.parent, match[1]) in known}


def in_mask_folder(name: str) -> bool:
    """Whether a path, below the folder of a data set, leads through a folder whose name is one for masks."""
    return any(part.lower() in FOLDERS for part in name.split("/")[:-1])


def has_few_colors(image: np.ndarray) -> bool:
    """(H, W, 3) uint8 -> whether it holds 2 to 32 colors, as label images and drawings do and photographs do not."""
    rows, columns = (max(1, side // 96) for side in image.shape[:2])
    some = image[::rows, ::columns].reshape(-1, 3).astype(np.uint32)
    return 1 < len(np.unique(some @ np.array([1 << 16, 1 << 8, 1], np.uint32))) <= FEW and len(some) >= 1024


def looks_labeled(file: Path) -> bool:
    """Whether an image file looks like labels. Not for JPEGs, whose compression blurs labels into many colors."""
    return has_few_colors(decode_image(file))
