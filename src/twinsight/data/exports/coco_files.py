"""COCO's JSON files below a folder, with the images that they speak of."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from twinsight.data.exports.export import Images
from twinsight.data.splits import ROLES
from twinsight.errors import UserError
from twinsight.plain import load_json

NAME = re.compile(r"(?:(?P<kind>instances|stuff|panoptic|captions|person_keypoints|labels|image_info)_)?(?P<split>.*)")
KINDS = ("instances", "stuff", "panoptic")

MOST = 1 << 32
"""Bytes of a file that is read at once: COCO's instances_train2017.json has half a billion."""


@dataclass
class Annotated:
    """One JSON file. content: what it holds. split: what its name says ("train2017"), or else the folder it is in.

    named: whether it is the name that says it.
    """

    file: Path
    root: Path
    content: dict[str, Any]
    split: str
    named: bool

    @cached_property
    def images(self) -> Images:
        return Images(self.root)

    @property
    def role(self) -> str | None:
        return ROLES.get(self.split.rstrip("0123456789_-").lower())

    def image(self, called: str) -> Path:
        """The image in the usual places, else wherever it is."""
        folders = self.root, self.root / "images"
        for folder in (self.file.parent, *(base / self.split for base in folders), *folders):
            if (folder / called).is_file():
                return folder / called
        return self.images.find(called, self.file)

    def segments(self, called: str) -> Path:
        """The panoptic PNG of an image: in a folder beside the JSON file that has its name, or beside it."""
        named = self.file.with_suffix("").name
        for folder in (named, f"{named}_images", "."):
            if (file := self.file.parent / folder / called).is_file():
                return file
        raise UserError(f"{self.file}: its {named}/{called} is missing; unpack the panoptic PNGs there")

    def id(self, image: Path, root: Path) -> str:
        """The image's path, below a folder that states the split, which the name of the JSON file may do."""
        name = image.relative_to(root).with_suffix("").as_posix()
        role = self.role
        return name if role is None or ROLES.get(name.partition("/")[0].lower()) == role else f"{role}/{name}"


def find(root: Path, kind: str | None) -> list[Annotated]:
    """The files of one kind. Raises UserError if there are none, or several kinds and none was asked for."""
    by_kind: dict[str, list[tuple[Path, str, bool]]] = {}
    for file in sorted(root.rglob("*.json")):
        match = NAME.fullmatch(file.stem)
        assert match is not None
        named = match["kind"] is not None
        split = match["split"] if named else file.parent.name
        by_kind.setdefault(match["kind"] or "", []).append((file, split, named))
    kinds = [each for each in KINDS if each in by_kind]
    if kind is None and len(kinds) > 1:
        either = " or ".join(f"--data.kind {each}" for each in kinds)
        raise UserError(f"{root}: holds files of {' and '.join(kinds)}; choose by {either}")
    found: list[Annotated] = []
    for file, split, named in by_kind.get(kind or next(iter(kinds), ""), []):
        content = load_json(file, MOST)
        if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
            found.append(Annotated(file, root, content, split, named))
    if not found:
        asked = f" whose names begin with {kind}_" if kind else ""
        raise UserError(
            f"{root}: holds no COCO files{asked} (.json with images, annotations, categories); check the path"
        )
    return found
