"""What lies in a folder given to --data: which data set reads it."""

from pathlib import Path

from twinsight.data.exports.survey import Survey
from twinsight.errors import UserError
from twinsight.options.build import target_of
from twinsight.options.choices import table
from twinsight.options.data import ClassFolderOptions
from twinsight.options.exports import Exports
from twinsight.options.public import Public

PLACES = ("root", "masks", "classes")
"""Options of data that say where they lie."""

ANNOTATIONS = (".json", ".xml", "_classes.csv")
"""How the names of files end that say what is in images."""

SPLITS = Path("ImageSets", "Segmentation")


def detect(folder: Path, flag: str = "--data", classes: bool = False) -> str:
    """The name of the data set in a folder.

    classes: whether images alone are wanted with the folders that they are in as classes.

    Raises UserError if it is not a folder, if two readings are possible, or for images alone with an empty file of
    annotations, whose tool nothing tells.
    """
    if not folder.is_dir():
        missing = "there is no such folder; check the path"
        what = "is a file; name the folder that holds the images" if folder.exists() else missing
        raise UserError(f"{flag} {folder}: {what}")
    survey = Survey(folder)
    found = readings(survey)
    if len(found) > 1:
        either = " or ".join(f"{flag.partition('.')[0]} {name} --data.root {folder}" for name in found)
        raise UserError(
            f"{flag} {folder}: can be read in {len(found)} ways, as {' and '.join(found.values())}; choose by {either}"
        )
    if not found and (empty := survey.empty(*ANNOTATIONS)):
        raise UserError(
            f"{empty}: is empty; export it again, or read the images without it by {flag.partition('.')[0]} folder "
            f"--data.root {folder}"
        )
    if classes and not found:
        return "class-folder" if target_of(ClassFolderOptions).recognizes(survey) else "folder"
    return next(iter(found), "folder")


def readings(survey: Survey) -> dict[str, str]:
    """The data sets that could be meant, by name, each with what it would be read as; none for images alone."""
    folder = survey.root
    known = {name: target_of(options) for name, options in table(Exports | Public).items()}
    found = {
        **({"voc": "PASCAL VOC 2012"} if is_voc(folder) else {}),
        **({"coco-stuff": "COCO-Stuff"} if is_coco_stuff(folder) else {}),
        **{name: cls.title for name, cls in known.items() if hasattr(cls, "recognizes") and cls.recognizes(survey)},
    }
    if found and (folder / "classes.txt").is_file():
        found["folder"] = "images and masks with a classes.txt"
    return found


def is_voc(folder: Path) -> bool:
    """Whether PASCAL VOC 2012 lies there, as its archive unpacks."""
    inside = (folder / "VOCdevkit" / "VOC2012", folder / "VOC2012")
    return any((there / SPLITS).is_dir() for there in inside) or (
        folder.resolve().name == "VOC2012"
        and (folder / SPLITS).is_dir()
        and not (folder / "labelmap.txt").is_file()  # exports have one, the release does not
    )


def is_coco_stuff(folder: Path) -> bool:
    """Whether COCO-Stuff's 164k release lies there, as its archives unpack."""
    images = any((folder / parent / "train2017").is_dir() for parent in ("images", "."))
    return images and any((folder / parent / "train2017").is_dir() for parent in ("stuffthingmaps", "annotations"))
