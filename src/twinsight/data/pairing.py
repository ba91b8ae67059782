"""Images and masks paired by their paths, whatever the folders of both are called and wherever their splits stand."""

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from twinsight.data.label_images import IMAGE_NAME, NAME
from twinsight.data.search import find_images
from twinsight.data.splits import ROLES
from twinsight.errors import UserError

MASKS = "masks?|labels?|annotations?|annot|gt|ground_?truths?|segmentationclass|segmentations?"
IMAGES = "images?|imgs?|jpegimages"
SPLIT = "|".join((*ROLES, "default"))

MASK_FOLDER, IMAGE_FOLDER = (
    re.compile(rf"(?:({SPLIT})[ _-]?)?(?:{words})(?:[ _-]?({SPLIT}))?", re.IGNORECASE) for words in (MASKS, IMAGES)
)
"""masks, train_labels, trainannot, masks_val; images, train_images, JPEGImages."""

OBJECTS = "segmentationobject"
"""VOC's folder of instances, which are not classes."""

ARRAYS = frozenset({".npy"})
"""What holds masks beside images."""


class Place(NamedTuple):
    """Where a file lies: its folders without those that only say image or mask, its split first; and what they say."""

    path: str
    image: bool
    mask: bool
    objects: bool


class Paired(NamedTuple):
    """Images and masks by a name that both of a pair have."""

    images: dict[str, Path]
    masks: dict[str, Path]


def pair_up(root: Path, files: list[Path], masks: Path | None = None) -> Paired | None:
    """The images and masks below a folder; None if nothing in it looks like masks.

    files: what lies below root, as `find_images(root, ARRAYS)` finds it.
    masks: where the masks lie; by default in folders called masks, labels, annotations, gt or the like, or else beside
    their images as NAME_mask or the like, if every image has exactly one. Either side may lack some.

    Raises UserError if an image has two masks, or two images share a name.
    """
    if masks is not None:
        elsewhere = [] if masks.is_relative_to(root) else find_images(masks, ARRAYS)
        inside = [file for file in (*files, *elsewhere) if file.is_relative_to(masks)]
        pictures = [file for file in files if file.suffix.lower() not in ARRAYS and masks not in file.parents]
        plain = Paired(named(pictures, root, literal=True), named(inside, masks, literal=True))
        if plain.images.keys() & plain.masks.keys():
            return plain
        pictures = [file for file in pictures if not place(file, root).mask]
        return matched(pictures, inside, root, masks)
    places = {file: place(file, root) for file in files}
    pictures = [
        file
        for file, where in places.items()
        if not where.mask and not where.objects and file.suffix.lower() not in ARRAYS
    ]
    inside = [file for file, where in places.items() if where.mask]
    if inside:
        said = [file for file in pictures if places[file].image]
        found = matched(said or pictures, inside, root, root)
        return found if said or found.images.keys() & found.masks.keys() else None
    return beside(files, root)


def matched(pictures: list[Path], inside: Iterable[Path], root: Path, masks: Path) -> Paired:
    """Pairs each mask with the image of its name, or of its name without what says mask (_mask, -labels)."""
    images = named(pictures, root)
    bare = {bare_name(name, IMAGE_NAME): name for name in images}
    found: dict[str, Path] = {}
    for file in inside:
        name = key(file, masks)
        short = bare_name(name, NAME)
        name = next((each for each in (name, short, bare.get(name), bare.get(short)) if each in images), name)
        if name in found:
            which = f"image {images[name]} has" if name in images else f"{name} stands for"
            raise UserError(
                f"{root}: the {which} two masks, {found[name]} and {file}; choose by --data.masks FOLDER, "
                f"{found[name].parent} or {file.parent}, or take one away"
            )
        found[name] = file
    return Paired(images, found)


def beside(files: list[Path], root: Path) -> Paired | None:
    """Masks in the folders of their images; None if not each image has one, and one only."""
    if not any(NAME.fullmatch(file.stem) for file in files):
        return None
    names = {key(file, root) for file in files if file.suffix.lower() not in ARRAYS}
    bare = {bare_name(name, IMAGE_NAME) for name in names}
    masks = [file for file in files if (short := bare_name(key(file, root), NAME)) != key(file, root) and short in bare]
    known = set(masks)
    pictures = [file for file in files if file not in known and file.suffix.lower() not in ARRAYS]
    if not masks or len(masks) != len(pictures):
        return None
    found = matched(pictures, masks, root, root)
    return found if found.images.keys() == found.masks.keys() else None


def named(files: Iterable[Path], base: Path, literal: bool = False) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        name = file.relative_to(base).with_suffix("").as_posix() if literal else key(file, base)
        if name in found:
            raise UserError(f"{file}: has the same name as {found[name].name}; remove or rename one of them")
        found[name] = file
    return found


def key(file: Path, base: Path) -> str:
    """What an image and its mask have in common: "train/images/a.jpg" and "train/masks/a.png" -> "train/a"."""
    folders = place(file, base).path
    return f"{folders}/{file.stem}" if folders else file.stem


def without_kinds(name: str) -> str:
    """A name without folders that say image or mask, as pairing sees it: "images/train/a" -> "train/a"."""
    *folders, stem = name.split("/")
    folders = [folder for folder in folders if folder.lower() not in (OBJECTS, "", ".", "..")]
    while without(folders, MASK_FOLDER) or without(folders, IMAGE_FOLDER):
        pass
    return "/".join((*folders, stem))


def bare_name(name: str, suffix: re.Pattern[str]) -> str:
    """A name without what it ends in, such as "_mask"."""
    folders, slash, stem = name.rpartition("/")
    match = suffix.fullmatch(stem)
    return folders + slash + match[1] if match else name


def place(file: Path, base: Path) -> Place:
    return read_place(os.path.dirname(file), base)


@lru_cache(maxsize=1 << 16)
def read_place(folder: str, base: Path) -> Place:
    rest = [*Path(folder).relative_to(base).parts]
    objects = any(part.lower() == OBJECTS for part in rest)
    mask = without(rest, MASK_FOLDER)
    image = without(rest, IMAGE_FOLDER)
    split = next((part for part in rest if part.lower() in ROLES), None)
    if split is not None:
        rest.insert(0, rest.pop(rest.index(split)))
    return Place("/".join(rest), image, mask, objects)


def without(parts: list[str], words: re.Pattern[str]) -> bool:
    """Take out of a path the first folder that matches, but for the split it names; whether there is one."""
    for index, part in enumerate(parts):
        if match := words.fullmatch(part):
            split = match[1] or match[2]
            parts[index : index + 1] = [split] if split else []
            return True
    return False
