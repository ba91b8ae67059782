"""PASCAL VOC 2012 segmentation, and its file layout, which other data sets use too.

Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", IJCV 2015.
"""

from pathlib import Path

from twinsight.data.download import download as fetch
from twinsight.data.download import extract
from twinsight.data.samples import Dataset, Entry
from twinsight.data.search import find_by_name
from twinsight.errors import NoSplitError, UserError
from twinsight.plain import read_lines

URL = "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"
CHECKSUM = "md5:6cd6e144f989b92b3379bac3b3de84fd"

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip


class Voc(Dataset):
    """The 1464 train, 1449 val or 2913 trainval images of VOC 2012 that have a segmentation.

    root: the folder that contains VOCdevkit/VOC2012, or VOC2012 itself.
    split: "train", "val" or "trainval".
    download: download the archive (2 GB) into root if VOC 2012 is not there.

    Raises UserError if VOC 2012 or a file named by the split is missing.
    """

    def __init__(self, root: Path, split: str = "train", download: bool = False):
        folder = find_voc(root)
        if folder is None and download:
            archive = root / Path(URL).name
            fetch(URL, archive, CHECKSUM)
            extract(archive, root)
            folder = find_voc(root)
        if folder is None:
            raise UserError(
                f"{root}: holds no PASCAL VOC 2012 (VOCdevkit/VOC2012/ImageSets/Segmentation); "
                f"give --data.download, or unpack {URL} there"
            )
        super().__init__(read_layout(folder, split), CLASSES)


def find_voc(root: Path) -> Path | None:
    folders = (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012")
    return next((folder for folder in folders if is_layout(folder)), None)


def is_layout(folder: Path) -> bool:
    """Whether a folder has VOC's layout, with split files for segmentation."""
    return (folder / "ImageSets" / "Segmentation").is_dir()


def split_file(folder: Path, split: str) -> Path:
    return folder / "ImageSets" / "Segmentation" / f"{split}.txt"


def read_layout(folder: Path, split: str) -> list[Entry]:
    """The entries of `ImageSets/Segmentation/<split>.txt`, from `JPEGImages` and `SegmentationClass`.

    Those of trainaug, which others made of SBD's masks, are from `SegmentationClassAug`.

    Images and masks may have any supported extension. Without a trainval.txt, trainval is train followed by val.
    Raises UserError, naming both files, if an image or mask named by the split is missing.
    """
    splits = folder / "ImageSets" / "Segmentation"
    if split == "trainval" and not split_file(folder, split).exists():
        return read_layout(folder, "train") + read_layout(folder, "val")
    file = split_file(folder, split)
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in splits.glob("*.txt"))) or "none"
        raise NoSplitError(f"{file}: there is no such split; choose one of those in {folder}: {known}")
    names = read_lines(file)
    if not names:
        raise UserError(f"{file}: is empty; write one image name per line, without extension")
    kinds = ("JPEGImages", "SegmentationClassAug" if split.endswith("aug") else "SegmentationClass")
    images, masks = (find_by_name(folder / kind) for kind in kinds)
    for name in names:
        for kind, found in zip(kinds, (images, masks)):
            if name not in found:
                raise UserError(
                    f"{file}: names {name}, but there is no {folder / kind / name}.jpg, .png or the like; "
                    "add the file or remove the line"
                )
    return [Entry(name, images[name], masks[name]) for name in names]
