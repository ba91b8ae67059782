"""COCO's JSON: instances, stuff and panoptic, drawn as COCO's API draws them (`rasters`)."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from twinsight.data.decode import image_size
from twinsight.data.exports.coco_files import Annotated, find
from twinsight.data.exports.export import BACKGROUND, Contents, Export, numbered, once
from twinsight.data.exports.parsing import counted, parsing, refuse_unlisted, same_size
from twinsight.data.exports.rasters import by_column, polygon, unpack
from twinsight.data.exports.survey import Survey
from twinsight.data.reading import naming
from twinsight.data.samples import VOID, Entry
from twinsight.data.wording import number
from twinsight.errors import UserError

Overlaps = Literal["area", "order"]
Kind = Literal["instances", "stuff", "panoptic"]

UNDRAWN, ORPHANS = "annotation without a mask", "annotation of images that are not listed"
UNSEGMENTED, SHORT = "image without a panoptic PNG", "polygon of fewer than 3 points"
"""What is left out, and counted."""


class Region(NamedTuple):
    """One annotation: its label, and polygons of (n, 2) points, or the lengths of runs, packed or not."""

    label: int
    drawn: list[np.ndarray] | np.ndarray | str


class Segments(NamedTuple):
    """A panoptic image: its PNG, and the label of each id in it."""

    file: Path
    labels: dict[int, int]


class Coco(Export):
    """Class 0 is background, the pixels of no annotation (void in panoptic files); the others follow the category ids.

    overlaps: "area" draws smaller regions over larger ones, "order" later ones over earlier ones.
    kind: which files to read where a folder holds several kinds: those whose names begin so.
    """

    title = "COCO annotations"

    @classmethod
    def recognizes(cls, survey: Survey) -> bool:
        heads = survey.heads(".json").values()
        # Either list may come first, and be longer than the head.
        kinds = ('"images"', '"file_name"'), ('"annotations"', '"image_id"', '"category_id"')
        return any(all(key in head for key in keys) for head in heads for keys in kinds)

    def __init__(
        self, root: Path, split: str = "train", *, overlaps: Overlaps = "area", kind: Kind | None = None, **how: Any
    ):
        self.overlaps, self.kind = overlaps, kind
        self.coding = (overlaps,)
        super().__init__(root, split, **how)

    def read(self, root: Path) -> Contents:
        files = find(root, self.kind)
        with parsing(files[0].file):
            named = categories(files[0])
        names = list(named.values())
        panoptic = "segments_info" in (files[0].content["annotations"] or [{}])[0]
        first = [] if panoptic or BACKGROUND in names else [BACKGROUND]
        if not first and BACKGROUND in names:
            names = [BACKGROUND, *(name for name in names if name != BACKGROUND)]
        names = first + names
        label_of = numbered(names, files[0].file)
        self.drawn: dict[str, list[Region] | Segments] = {}
        self.sizes: dict[str, set[tuple[Any, Any]]] = {}
        entries: list[Entry] = []
        left_out = Counter[str]()
        for file in files:
            with parsing(file.file):
                if categories(file) != named:
                    raise UserError(f"{file.file}: names other categories than {files[0].file}; correct one of them")
                labels = {id: label_of[name] for id, name in named.items()}
                ids: dict[Any, str] = {}
                for image in file.content["images"]:
                    found = file.image(str(image["file_name"]))
                    id = file.id(found, root)
                    if (other := ids.setdefault(image["id"], id)) != id:
                        raise UserError(f"{file.file}: gives {other} and {id} one image id, {image['id']}; change one")
                    entries.append(Entry(id, found, file.file))
                    self.drawn[id] = []
                    sized = image.get("height") and image.get("width")
                    self.sizes[id] = {(image["height"], image["width"])} if sized else set()
                self.collect(file, ids, labels, left_out)
        once(entries)
        if panoptic:
            left_out[UNSEGMENTED] += sum(not self.drawn[entry.id] for entry in entries)
            entries = [entry for entry in entries if self.drawn[entry.id]]
        if not any(self.drawn.values()):
            raise UserError(f"{files[0].file}: holds no masks, only boxes or points; export segmentations")
        stating = "the file names" if any(file.named and file.role for file in files) else "the folders"
        return Contents(entries, names, stating=stating, note=counted(left_out))

    def collect(
        self, file: Annotated, ids: Mapping[Any, str], labels: Mapping[int, int], left_out: Counter[str]
    ) -> None:
        """Keep what each annotation draws; polygons as arrays, a twentieth of what lists of numbers take."""
        strange: list[tuple[object, object]] = []
        broken: list[str] = []
        for annotation in file.content["annotations"]:
            if (id := ids.get(annotation["image_id"])) is None:
                left_out[ORPHANS] += 1
                continue
            if "segments_info" in annotation:
                known = {int(each["id"]): each["category_id"] for each in annotation["segments_info"]}
                strange += [(category, id) for category in known.values() if category not in labels]
                segments = {number: labels.get(category, 0) for number, category in known.items()}
                self.drawn[id] = Segments(file.segments(str(annotation["file_name"])), segments)
                continue
            category, shape = annotation["category_id"], annotation.get("segmentation")
            if category not in labels:
                strange.append((category, id))
                continue
            if not shape:
                left_out[UNDRAWN] += 1
                continue
            try:
                drawn = runs_of(shape) if isinstance(shape, dict) else [outline(part) for part in shape]
            except (LookupError, TypeError, ValueError, OverflowError) as error:
                broken.append(f"annotation {annotation.get('id')} of {id} ({error})")
                continue
            if isinstance(shape, dict) and "size" in shape:
                self.sizes[id].add(tuple(shape["size"]))
            if isinstance(drawn, list):
                left_out[SHORT] += sum(len(part) < 3 for part in drawn)
                drawn = [part for part in drawn if len(part) >= 3]
                if not drawn:
                    continue
            regions(self.drawn[id]).append(Region(labels[category], drawn))
        refuse_unlisted(file.file, strange)
        if broken:
            raise UserError(
                f"{file.file}: cannot be read in {number(len(broken), 'segmentation')}, such as in {broken[0]}; "
                "correct or remove them"
            )

    def decode_mask(self, entry: Entry) -> np.ndarray:
        assert entry.mask is not None
        drawn = self.drawn[entry.id]
        if isinstance(drawn, Segments):
            return panoptic_mask(drawn)
        height, width = image_size(entry.image, self.reading)
        with parsing(entry.mask):
            for size in self.sizes[entry.id]:
                same_size(size, height, width)
            masks = [(region.label, pixels(region, height, width)) for region in drawn]
        if self.overlaps == "area":
            masks.sort(key=lambda mask: -np.count_nonzero(mask[1]))
        labels = np.zeros((height, width), np.uint8)
        for label, mask in masks:
            labels[mask] = label
        return labels


def runs_of(shape: Mapping[str, Any]) -> np.ndarray | str:
    """The lengths of runs, packed or not."""
    counts = shape["counts"]
    return counts if isinstance(counts, str) else np.array(counts, np.uint32)


def outline(part: Any) -> np.ndarray:
    """(n, 2) x, y from x, y, x, y, ... Raises ValueError for anything else."""
    if not isinstance(part, list):
        raise ValueError(f"{part!r:.20} in place of a polygon, which is a list of x, y, x, y, ...")
    numbers = np.array(part, float)
    if numbers.ndim != 1 or len(numbers) % 2:
        raise ValueError(f"a polygon of {len(numbers)} numbers, which is not a list of x, y, x, y, ...")
    return numbers.reshape(-1, 2)


def regions(drawn: list[Region] | Segments) -> list[Region]:
    if isinstance(drawn, Segments):
        raise ValueError("an image has both segments and regions")
    return drawn


def categories(file: Annotated) -> dict[int, str]:
    """Names by id, in the order of ids, without the group of all others that Roboflow puts first (its id 0)."""
    listed = sorted(file.content["categories"], key=lambda each: int(each["id"]))
    for one, other in pairwise(listed):
        if one["id"] == other["id"]:
            raise UserError(
                f"{file.file}: gives {one['name']} and {other['name']} one category id, {one['id']}; change one"
            )
    groups = {each.get("supercategory") for each in listed}
    used = {annotation.get("category_id") for annotation in file.content["annotations"]}
    return {
        int(each["id"]): str(each["name"])
        for each in listed
        if each["id"] in used or each.get("supercategory") != "none" or each["name"] not in groups
    }


def pixels(region: Region, height: int, width: int) -> np.ndarray:
    """(height, width) bool."""
    if isinstance(region.drawn, list):
        return np.logical_or.reduce([polygon(part, height, width) for part in region.drawn])
    counts = unpack(region.drawn) if isinstance(region.drawn, str) else region.drawn
    return by_column(counts, height, width)


def panoptic_mask(segments: Segments) -> np.ndarray:
    """The labels of a PNG whose colors are ids, r + 256 g + 65536 b; id 0 is void (cocodataset.org/#format-data)."""
    with naming(segments.file), Image.open(segments.file, formats=("PNG",)) as image:
        ids = np.array(image.convert("RGB")).astype(np.int64) @ (1, 256, 65536)
    known, places = np.unique(ids, return_inverse=True)
    table = {0: VOID} | segments.labels
    if strange := [id for id in known.tolist() if id not in table]:
        raise UserError(f"{segments.file}: holds segment {strange[0]}, which its JSON file lacks; export it anew")
    return np.array([table[id] for id in known.tolist()], np.uint8)[places].reshape(ids.shape)
