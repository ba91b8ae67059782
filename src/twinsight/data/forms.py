"""Forms in which a data set is written for other programs: PASCAL VOC, COCO, or folders of images and masks."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from twinsight.data.colors import MOST
from twinsight.data.exports.color_tables import VOID_NAMES
from twinsight.data.exports.export import BACKGROUND
from twinsight.data.exports.rasters import encode
from twinsight.data.masks import OUTLINE, write_mask
from twinsight.data.samples import VOID, default_palette
from twinsight.data.splits import role
from twinsight.files import write_text


class Form:
    """How a data set is laid out below `folder`.

    classes: the names, index = label. palette: (classes, 3) uint8 RGB; VOC's colors take its place if two classes
    share a color, or one has that of void.
    """

    def __init__(self, folder: Path, classes: Sequence[str], palette: np.ndarray):
        self.folder = folder
        self.classes = [" ".join(name.split()) or f"class {label}" for label, name in enumerate(classes)]
        colors = {*map(tuple, palette.tolist())}
        self.palette = palette if len(colors | {OUTLINE}) > len(classes) else default_palette(self.classes)
        self.has_void = False

    def stem(self, split: str, name: str) -> Path:
        """Where an image lies, without its extension."""
        raise NotImplementedError

    def add(self, split: str, name: str, image: Path, mask: np.ndarray) -> None:
        """Write what belongs to an image that is in place. mask: (H, W) uint8 labels, 255 = void."""
        raise NotImplementedError

    def finish(self) -> str:
        """Write what belongs to all images; what the form cannot say of them, in a sentence, or ""."""
        raise NotImplementedError

    def write_mask(self, file: Path, mask: np.ndarray) -> None:
        self.has_void |= bool((mask == VOID).any())
        file.parent.mkdir(parents=True, exist_ok=True)
        write_mask(file, mask, self.palette)


class VocForm(Form):
    """PASCAL VOC's layout with the label map of CVAT and datumaro.

    classes.txt lies among the masks: at the top it would be a second list beside labelmap.txt, which is left out if it
    cannot hold a name, or would make void of a class.
    """

    def __init__(self, folder: Path, classes: Sequence[str], palette: np.ndarray):
        super().__init__(folder, classes, palette)
        self.lists: dict[str, list[str]] = defaultdict(list)

    def stem(self, split: str, name: str) -> Path:
        return self.folder / "JPEGImages" / name

    def add(self, split: str, name: str, image: Path, mask: np.ndarray) -> None:
        self.write_mask(self.folder / "SegmentationClass" / f"{name}.png", mask)
        self.lists[split].append(name)

    def finish(self) -> str:
        lists = self.folder / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True)
        for split, names in self.lists.items():
            write_lines(lists / f"{split}.txt", names)
        unfit = [name for name in self.classes if ":" in name or name[0] == "#" or name.lower() in VOID_NAMES]
        if unfit or len(self.classes) > MOST:
            write_lines(self.folder / "classes.txt", self.classes)
            why = f"cannot hold the class {unfit[0]}" if unfit else f"holds at most {MOST} classes"
            return f"without a labelmap.txt, which {why}; classes.txt names the classes"
        write_lines(self.folder / "SegmentationClass" / "classes.txt", self.classes)
        rows = [*zip(self.classes, self.palette.tolist()), *([("ignored", OUTLINE)] if self.has_void else [])]
        lines = [f"{name}:{','.join(map(str, color))}::" for name, color in rows]
        write_lines(self.folder / "labelmap.txt", ["# label:color_rgb:parts:actions", *lines])
        return ""


class FolderForm(Form):
    """SPLIT/images and SPLIT/masks, with classes.txt."""

    def stem(self, split: str, name: str) -> Path:
        return self.folder / split / "images" / inside(split, name)

    def add(self, split: str, name: str, image: Path, mask: np.ndarray) -> None:
        self.write_mask(self.folder / split / "masks" / f"{inside(split, name)}.png", mask)

    def finish(self) -> str:
        write_lines(self.folder / "classes.txt", self.classes)
        return ""


class CocoForm(Form):
    """A folder of images per split, and annotations/instances_SPLIT.json with one mask per class and image.

    Category ids count from 1. Class 0 is left out if it is called background: it is what no annotation covers.
    """

    def __init__(self, folder: Path, classes: Sequence[str], palette: np.ndarray):
        super().__init__(folder, classes, palette)
        first = int(self.classes[0].lower() == BACKGROUND)
        self.ids = {label: label + 1 - first for label in range(first, len(self.classes))}
        self.images: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.annotations: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def stem(self, split: str, name: str) -> Path:
        return self.folder / split / inside(split, name)

    def add(self, split: str, name: str, image: Path, mask: np.ndarray) -> None:
        height, width = mask.shape
        images, annotations = self.images[split], self.annotations[split]
        file = image.relative_to(self.folder / split).as_posix()
        images.append({"id": len(images) + 1, "file_name": file, "height": height, "width": width})
        labels = np.unique(mask).tolist()
        self.has_void |= VOID in labels
        for label in labels:
            if label in self.ids:
                of = {"id": len(annotations) + 1, "image_id": len(images), "category_id": self.ids[label]}
                annotations.append(of | region(mask == label))

    def finish(self) -> str:
        folder = self.folder / "annotations"
        folder.mkdir()
        categories = [{"id": id, "name": self.classes[label]} for label, id in self.ids.items()]
        for split, images in self.images.items():
            content = {"images": images, "annotations": self.annotations[split], "categories": categories}
            write_text(folder / f"instances_{split}.json", json.dumps(content) + "\n")
        return "void pixels are in no annotation, so COCO's readers count them as background" if self.has_void else ""


FORMS: dict[str, type[Form]] = {"voc": VocForm, "coco": CocoForm, "folder": FolderForm}


def region(mask: np.ndarray) -> dict[str, Any]:
    """What a COCO annotation says of an (H, W) bool mask that is not empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)).tolist() for axis in (1, 0))
    x, y = columns[0], rows[0]
    return {
        "segmentation": {"size": [*mask.shape], "counts": encode(mask)},
        "area": int(mask.sum()),
        "bbox": [x, y, columns[-1] + 1 - x, rows[-1] + 1 - y],
        "iscrowd": 0,
    }


def inside(split: str, name: str) -> str:
    """A name below the folder of its split, which it may state itself: "valid/a" -> "a"."""
    return name.partition("/")[2] if role(name) == split else name


def write_lines(file: Path, lines: Sequence[str]) -> None:
    write_text(file, "".join(f"{line}\n" for line in lines))
