"""Images in one folder per class."""

from pathlib import Path

from twinsight.data.decode import EXTENSIONS
from twinsight.data.exports.survey import Survey
from twinsight.data.pairing import pair_up
from twinsight.data.samples import Dataset, Entry
from twinsight.data.search import find_images, no_images
from twinsight.data.splits import choose, divide, folder_of, group_of, refuse_torn
from twinsight.data.voc import is_layout
from twinsight.errors import UserError


class ClassFolder(Dataset):
    """Images without masks, whose class is the folder they are in.

    root: contains a folder per split, with a folder per class in each (root/train/cat/1.jpg); or a folder per class
    (root/cat/1.jpg), and a stable hash of the path then holds out `val_fraction`, as in `Folder`. Subfolders belong
    to the class.
    split: the name of a split's folder, where "val" also matches valid and validation; without such folders "train",
    "val" or "all".

    names: the categories in train, sorted, for every split. targets: each image's index into `names`. `classes` is
    empty: those are the classes of masks.

    Raises UserError if a folder is missing, an image is outside every class folder, a class is missing from train, or
    there are fewer than 2 classes.
    """

    def __init__(self, root: Path, split: str = "train", val_fraction: float = 0.2, group: str | None = None):
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; check the path")
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
            raise UserError(f"split {split}: no such split; choose train, val or all")
        self.names = tuple(sorted({category(entry) for entry in known}))
        if len(self.names) < 2:
            raise UserError(f"{root}: has images of {' '.join(self.names)} only; give at least 2 classes")
        strange = next((entry for entry in entries if category(entry) not in self.names), None)
        if strange is not None:
            raise UserError(
                f"{strange.image}: its class {category(strange)} is not in {root / 'train'}; rename its folder"
            )
        self.relatives = [entry.image for entry in known]
        super().__init__(entries)

    @staticmethod
    def recognizes(survey: Survey) -> bool:
        """Whether images lie in folders of the folder, and are no pairs of images and masks."""
        images = [survey.root / file for file in survey.files if Path(file).suffix.lower() in EXTENSIONS]
        inside = any(image.parent != survey.root for image in images)
        return inside and not is_layout(survey.root) and pair_up(survey.root, images) is None

    @property
    def targets(self) -> tuple[int, ...]:
        """The category of each image, as its place in `names`."""
        places = {name: place for place, name in enumerate(self.names)}
        return tuple(places[category(entry)] for entry in self.entries)


def category(entry: Entry) -> str:
    return entry.id.partition("/")[0]


def read(folder: Path) -> list[Entry]:
    """The images below a folder, each in a class folder; ids are relative paths."""
    if not folder.is_dir():
        there = ", ".join(sorted(child.name for child in folder.parent.iterdir() if child.is_dir()))
        raise UserError(f"{folder}: no such split; choose a folder of {folder.parent} with --data.val: {there}")
    entries = [Entry(path.relative_to(folder).as_posix(), path) for path in find_images(folder)]
    if not entries:
        raise no_images(folder)
    alone = next((entry for entry in entries if "/" not in entry.id), None)
    if alone is not None:
        raise UserError(
            f"{alone.image}: is in no class folder; move it to {folder}/CLASS, or read all images without classes by "
            "--data folder"
        )
    return entries
