"""ISPRS Potsdam: aerial images of a town at 5 cm a pixel, 6 classes in colors.

ISPRS 2D Semantic Labeling Contest; train and val are its 24 training and 14 test tiles.
"""

from pathlib import Path

import numpy as np

from twinsight.data.colors import Colors
from twinsight.data.exports.survey import Survey
from twinsight.data.public.published import existing, files, no_split
from twinsight.data.samples import Dataset, Entry
from twinsight.errors import UserError

CLASSES = ("impervious surface", "building", "low vegetation", "tree", "car", "clutter")
COLORS = ((255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0))

VAL = frozenset(
    f"top_potsdam_{tile}"
    for tile in (
        "2_13",
        "2_14",
        "3_13",
        "3_14",
        "4_13",
        "4_14",
        "4_15",
        "5_13",
        "5_14",
        "5_15",
        "6_13",
        "6_14",
        "6_15",
        "7_13",
    )
)


class Potsdam(Dataset):
    """38 tiles of 6000 x 6000 pixels.

    root: the folder that holds the unpacked 2_Ortho_RGB and 5_Labels_all. split: "train", "val", or "all" for both.

    Raises UserError for a color of no class, which some tiles of the first release hold.
    """

    title = "ISPRS Potsdam"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        return any(Path(file).match("top_potsdam_*_label.tif") for file in survey.files)

    def __init__(self, root: Path, split: str = "train"):
        if split not in ("train", "val", "all"):
            raise no_split(self.title, split, ("train", "val", "all"))
        images = files(existing(root, self.title, "2_Ortho_RGB"), "_RGB")
        masks = files(existing(root, self.title, "5_Labels_all", "5_Labels_for_participants"), "_label")
        missing = sorted(masks.keys() - images.keys())
        if missing:
            raise UserError(f"{masks[missing[0]]}: has no image in 2_Ortho_RGB; unpack that archive again")
        entries = [Entry(name, images[name], mask) for name, mask in masks.items()]
        self.relatives = [entry.image for entry in entries]
        chosen = [entry for entry in entries if split == "all" or (entry.id in VAL) == (split == "val")]
        super().__init__(chosen, CLASSES, np.array(COLORS, np.uint8))
        self.colors = Colors(CLASSES, self.palette, (), root, "NAME")

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        return self.colors.decode(entry.mask, self.reading)
