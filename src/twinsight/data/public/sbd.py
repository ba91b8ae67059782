"""VOC's trainaug: VOC 2012 with the masks of the Semantic Boundaries Dataset, 10582 images to train on.

Hariharan et al., "Semantic Contours from Inverse Detectors", ICCV 2011.
"""

from pathlib import Path

import numpy as np

from twinsight.data.exports.survey import Survey
from twinsight.data.public.published import existing, no_split
from twinsight.data.reading import naming
from twinsight.data.samples import Dataset, Entry
from twinsight.data.voc import CLASSES, find_voc, read_layout
from twinsight.errors import UserError
from twinsight.plain import read_lines


class Sbd(Dataset):
    """train: the images of SBD and of VOC 2012's train, less VOC's val; val: the 1449 of VOC 2012.

    Masks are VOC's own, with their void outlines, where there is one, and SBD's .mat files elsewhere.

    root: SBD's folder (benchmark_RELEASE, or dataset inside it). voc: the folder of VOC 2012; by default looked for in
    root and beside it. split: "train" or "val".
    """

    title = "the Semantic Boundaries Dataset"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        return any(Path(file).match("cls/*.mat") for file in survey.files)

    def __init__(self, root: Path, split: str = "train", voc: Path | None = None):
        if split not in ("train", "val"):
            raise no_split(self.title, split, ("train", "val"))
        found = next((f for place in (voc, root, root.parent) if place and (f := find_voc(place))), None)
        if found is None:
            place = f"in {root} or beside it" if voc is None else f"in {voc}"
            raise UserError(f"--data.voc: there is no PASCAL VOC 2012 {place}; name the folder of VOCdevkit/VOC2012")
        val = read_layout(found, "val")
        if split == "val":
            super().__init__(val, CLASSES)
            return
        folder = existing(root, self.title, "benchmark_RELEASE/dataset/cls", "dataset/cls", "cls").parent
        own = {entry.id: entry for entry in read_layout(found, "train")}
        held_out = {entry.id for entry in val}
        named = sorted({name for each in ("train", "val") for name in read_lines(folder / f"{each}.txt")} | own.keys())
        entries = [
            own.get(name) or Entry(name, folder / "img" / f"{name}.jpg", folder / "cls" / f"{name}.mat")
            for name in named
            if name not in held_out
        ]
        super().__init__(entries, CLASSES)

    def decode_mask(self, entry: Entry) -> np.ndarray:
        if entry.mask is None or entry.mask.suffix != ".mat":
            return super().decode_mask(entry)
        from scipy.io import loadmat  # takes a second, which data sets without it need not wait

        with naming(entry.mask):
            return loadmat(entry.mask)["GTcls"]["Segmentation"][0, 0].astype(np.uint8)
