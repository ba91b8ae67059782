"""Images in a folder for each class."""

from pathlib import Path

from twinsight.data.samples import Dataset, Entry
from twinsight.data.search import find_images, no_images
from twinsight.data.splits import choose, divide, folder_of, group_of, refuse_torn
from twinsight.errors import UserError


class ClassFolder(Dataset):
    """Images whose class is the folder that they lie in, without masks.

    root: holds a folder for each split, and these one for each class (root/train/cat/1.jpg); or one for each class
    (root/cat/1.jpg), and a stable hash of each path then holds `val_fraction` out, as in `Folder`. Folders below those
    belong to the class.
    split: the name of a split's folder, where "val" also means valid or validation; without such folders "train",
    "val" or "all".

    names: of the categories, in the order of the alphabet, those of train for every split. labels: the index into them
    of each image. `classes`, which are those of masks, is empty.

    Raises UserError for a folder that is missing, an image outside every class, a class that train lacks, and fewer
    than 2 classes.
    """

    def __init__(self, root: Path, split: str = "train", val_fraction: float = 0.2, group: str | None = None):
        if not root.is_dir():
            raise UserError(f"{root}: there is no such folder; check the path")
        train = folder_of(root, "train")
        if train is not None and any(child.is_dir() for child in train.iterdir()):
            known, entries = read(train), read(folder_of(root, split) or root / split)
            others = {name: folder for name in ("val", "test") if (folder := folder_of(root, name)) is not None}
            sizes = {"train": len(known)} | {name: len(find_images(folder)) for name, folder in others.items()}
            self.split_note = ", ".join(f"{size} {name}" for name, size in sizes.items()) + ", as the folders say"
            if group is not None:
                every = {"train": known} | {name: read(folder) for name, folder in others.items()}
                torn = [(group_of(entry, group), role) for role, inside in every.items() for entry in inside]
                refuse_torn(torn, group)
        elif split in ("train", "val", "all"):
            known = read(root)
            roles, self.split_note = divide(known, val_fraction, group)
            entries = choose(known, roles, split)
        else:
            raise UserError(f"split {split}: there is no such split; choose train, val or all")
        self.names: tuple[str, ...] = tuple(sorted({category(entry) for entry in known}))
        if len(self.names) < 2:
            raise UserError(f"{root}: has images of {' '.join(self.names)} only; give 2 classes or more")
        strange = next((entry for entry in entries if category(entry) not in self.names), None)
        if strange is not None:
            raise UserError(
                f"{strange.image}: is of class {category(strange)}, which {root / 'train'} lacks; rename its folder"
            )
        self.relatives = [entry.image for entry in known]
        super().__init__(entries)

    @property
    def labels(self) -> tuple[int, ...]:
        """The category of each image, as its place in `names`."""
        return tuple(self.names.index(category(entry)) for entry in self.entries)


def category(entry: Entry) -> str:
    return entry.id.partition("/")[0]


def read(folder: Path) -> list[Entry]:
    """The images below a folder, by their path in it, each in the folder of a class."""
    if not folder.is_dir():
        there = ", ".join(sorted(child.name for child in folder.parent.iterdir() if child.is_dir()))
        raise UserError(f"{folder}: there is no such split; {folder.parent} has {there}, to be chosen by --data.val")
    entries = [Entry(path.relative_to(folder).as_posix(), path) for path in find_images(folder)]
    if not entries:
        raise no_images(folder)
    alone = next((entry for entry in entries if "/" not in entry.id), None)
    if alone is not None:
        raise UserError(f"{alone.image}: lies in no class's folder; move it to {folder}/CLASS, or take --data folder")
    return entries
