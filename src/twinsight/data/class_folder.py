"""Images in a folder for each class."""

from pathlib import Path

from twinsight.data.folder import hold_out
from twinsight.data.samples import Dataset, Entry
from twinsight.data.search import find_images
from twinsight.errors import UserError


class ClassFolder(Dataset):
    """Images whose class is the folder that they lie in, without masks.

    root: holds a folder a split, and these one a class (root/train/cat/1.jpg); or one a class (root/cat/1.jpg), and a
    stable hash of each path then holds `val_fraction` out, as in `Folder`. Deeper folders belong to the class.
    split: the name of a split's folder; without such "train", "val" or "all".

    names: of the categories, in the order of the alphabet, those of train for every split. labels: the index into them
    of each image. `classes`, which are those of masks, is empty.

    Raises UserError for a folder that is missing, an image outside every class, a class that train has not, and less
    than 2 classes.
    """

    def __init__(self, root: Path, split: str = "train", val_fraction: float = 0.2):
        if not root.is_dir():
            raise UserError(f"{root}: there is no such folder; check the path")
        if any(child.is_dir() for child in root.glob("train/*")):
            known, entries = read(root / "train"), read(root / split)
        elif split in ("train", "val", "all"):
            known = read(root)
            entries = hold_out(known, split, val_fraction)
        else:
            raise UserError(f"split {split}: there is no such split; choose train, val or all")
        self.names: tuple[str, ...] = tuple(sorted({category(entry) for entry in known}))
        if len(self.names) < 2:
            raise UserError(f"{root}: has images of {' '.join(self.names)} only; give 2 classes or more")
        strange = next((entry for entry in entries if category(entry) not in self.names), None)
        if strange is not None:
            raise UserError(f"{strange.image}: is of class {category(strange)}, which {root / 'train'} lacks")
        self.labels = tuple(self.names.index(category(entry)) for entry in entries)
        super().__init__(entries)


def category(entry: Entry) -> str:
    return entry.id.partition("/")[0]


def read(folder: Path) -> list[Entry]:
    """The images below a folder, by their path in it, each in the folder of a class."""
    if not folder.is_dir():
        there = ", ".join(sorted(child.name for child in folder.parent.iterdir() if child.is_dir()))
        raise UserError(f"{folder}: there is no such split; {folder.parent} has {there}")
    entries = [Entry(path.relative_to(folder).as_posix(), path) for path in find_images(folder)]
    if not entries:
        raise UserError(f"{folder}: holds no image (JPEG, PNG, WebP, BMP or TIFF); check the path")
    alone = next((entry for entry in entries if "/" not in entry.id), None)
    if alone is not None:
        raise UserError(f"{alone.image}: lies in no class's folder; move it to {folder}/CLASS, or take --data folder")
    return entries
