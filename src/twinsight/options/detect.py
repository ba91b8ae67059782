"""What lies in a folder given to --data: which data set reads it. Names of files only; nothing is opened."""

from pathlib import Path

from twinsight.errors import UserError

PLACES = ("root", "masks", "classes")
"""Options of data that say where they lie."""

SPLITS = Path("ImageSets", "Segmentation")


def detect(folder: Path, flag: str = "--data") -> str:
    """The name of the data set in a folder. Raises UserError if it is no folder, or if two readings are possible."""
    if not folder.is_dir():
        missing = "there is no such folder; check the path"
        what = "is a file; name the folder that holds the images" if folder.exists() else missing
        raise UserError(f"{flag} {folder}: {what}")
    found = [name for name, there in (("voc", is_voc(folder)), ("coco-stuff", is_coco_stuff(folder))) if there]
    if not found:
        return "folder"
    if (folder / "classes.txt").is_file():
        raise UserError(
            f"{flag} {folder}: has the layout of {found[0]}, and a classes.txt as your own images with masks have; "
            f"choose by --data {found[0]} --data.root {folder} or --data folder --data.root {folder}"
        )
    return found[0]


def is_voc(folder: Path) -> bool:
    """Whether PASCAL VOC 2012 lies there, as its archive unpacks."""
    inside = (folder / "VOCdevkit" / "VOC2012", folder / "VOC2012")
    return any((there / SPLITS).is_dir() for there in inside) or (
        folder.resolve().name == "VOC2012" and (folder / SPLITS).is_dir()
    )


def is_coco_stuff(folder: Path) -> bool:
    """Whether COCO-Stuff's 164k release lies there, as its archives unpack."""
    images = any((folder / parent / "train2017").is_dir() for parent in ("images", "."))
    return images and any((folder / parent / "train2017").is_dir() for parent in ("stuffthingmaps", "annotations"))
