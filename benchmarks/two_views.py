"""Two augmented views at 224 pixels of each image, from JPEG files to float32 tensors, on one core.

python -m benchmarks.two_views [--quick] [FOLDER]
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import torch
import torchvision.io
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import v2

from benchmarks.photographs import photographs
from benchmarks.table import Row, markdown
from benchmarks.timing import beside, installed
from twinsight.backbones.backbone import Backbone
from twinsight.data.cache import Cached
from twinsight.data.folder import Folder
from twinsight.data.loader import Views
from twinsight.data.samples import Dataset
from twinsight.data.views import MultiView, two_views

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}


def run(quick: bool) -> list[Row]:
    with photographs(2 if quick else 32) as folder:
        return compare(folder, 1 if quick else 9)


def compare(folder: Path, rounds: int) -> list[Row]:
    """Batches of all images of a folder: ours from their files and from a cache, each in turn with every peer."""
    dataset = Folder(folder)
    files = [entry.image for entry in dataset.entries]
    peers: dict[str, Callable[[], object] | None] = {
        "lightly": lightly(files) if installed("lightly") else None,
        "Barlow Twins' official transform": official(files),
        "torchvision v2 on tensors": on_tensors(files),
    }
    kilobytes = sum(file.stat().st_size for file in files) / len(files) / 1e3
    claim = f"two views at 224 of images of {kilobytes:.0f} kB, to float32"
    clock = {"rounds": rounds, "unit": "images/s", "work": len(files)}
    with tempfile.TemporaryDirectory() as cache, one_thread_each():
        rows = beside(f"{claim}: from JPEG", ours(dataset, two_views()), peers, 5, **clock)
        cached = Cached(dataset, Path(cache))
        return rows + beside(f"{claim}: from a cache", ours(cached, two_views()), peers, 7, **clock)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """OpenCV, too, has as many threads as torch."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(torch.get_num_threads())
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def ours(dataset: Dataset, views: MultiView) -> Callable[[], list[Tensor]]:
    """All that a training does: read, augment, collate, and normalize in the backbone."""
    samples, backbone, epoch = Views(dataset, views), Backbone("test_resnet"), iter(range(10**9))

    def batch() -> list[Tensor]:
        now = next(epoch)
        views = samples.collate([samples[now, index] for index in range(len(dataset))]).views
        return [backbone.normalize(view) for view in views]

    return batch


def batches(files: Sequence[Path], views: Callable[[Path], Sequence[Tensor]]) -> Callable[[], list[Tensor]]:
    return lambda: [torch.stack(same) for same in zip(*map(views, files))]


def opened(file: Path) -> Image.Image:
    return Image.open(file).convert("RGB")


def lightly(files: Sequence[Path]) -> Callable[[], list[Tensor]]:
    """As its examples of Barlow Twins run it."""
    from lightly.transforms.byol_transform import BYOLTransform

    transform: Any = BYOLTransform()
    return batches(files, lambda file: transform(opened(file)))


def official(files: Sequence[Path]) -> Callable[[], list[Tensor]]:
    """The transform of the published training code, operation by operation."""

    def view(blur: float, solarize: float) -> transforms.Compose:
        return transforms.Compose([
            transforms.RandomResizedCrop(224, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(**JITTER)], 0.8),
            transforms.RandomGrayscale(0.2),
            lambda image: image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2)))
            if random.random() < blur
            else image,
            lambda image: ImageOps.solarize(image) if random.random() < solarize else image,
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ])  # fmt: skip

    pair = view(1.0, 0.0), view(0.1, 0.2)

    def views(file: Path) -> list[Tensor]:
        image = opened(file)
        return [torch.as_tensor(transform(image)) for transform in pair]

    return batches(files, views)


def on_tensors(files: Sequence[Path]) -> Callable[[], list[Tensor]]:
    """What torchvision recommends: decoding and all operations on uint8 tensors."""

    def view(blur: float, solarize: float) -> v2.Compose:
        return v2.Compose([
            v2.RandomResizedCrop(224, interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(**JITTER)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(23, (0.1, 2.0))], blur),
            v2.RandomSolarize(128, solarize),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ])  # fmt: skip

    pair = view(1.0, 0.0), view(0.1, 0.2)

    def views(file: Path) -> list[Tensor]:
        image = torchvision.io.decode_image(str(file), torchvision.io.ImageReadMode.RGB)
        return [transform(image) for transform in pair]

    return batches(files, views)


if __name__ == "__main__":
    parser = argparse.ArgumentParser("two_views", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="of images; default: made for the purpose")
    parser.add_argument("--quick", action="store_true", help="two images once, to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = compare(options.folder, 1 if options.quick else 9) if options.folder else run(options.quick)
    print(markdown(found))
