"""Images with their masks, scaled, cropped to 512, flipped and colored: from JPEG and PNG files to a batch."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2

from benchmarks.photographs import photographs
from benchmarks.table import Row
from benchmarks.timing import beside
from benchmarks.two_views import MEAN, STD, one_thread_each, opened
from twinsight.backbones.backbone import Backbone
from twinsight.data.cache import Cached
from twinsight.data.folder import Folder
from twinsight.data.loader import Pairs
from twinsight.data.pairs import PairAugmentation
from twinsight.data.samples import VOID, Dataset, voc_palette

CLASSES, SIDE, BATCH = 21, 512, 4


def run(quick: bool) -> list[Row]:
    rounds = 1 if quick else 7
    with photographs(2 if quick else 32) as images, tempfile.TemporaryDirectory() as made, one_thread_each():
        masks = Path(made, "masks")
        masks.mkdir()
        for i, file in enumerate(sorted(images.iterdir())):
            mask = Image.fromarray(blobs(375, 500, i))
            mask.putpalette(voc_palette(256).tobytes())
            mask.save(masks / f"{file.stem}.png")
        dataset = Folder(images, "all", masks, [f"class {i}" for i in range(CLASSES)])
        peers = {"torchvision v2 on PIL": plain(dataset, False), "torchvision v2 on tensors": plain(dataset, True)}
        claim = f"pairs, cropped to {SIDE}, to float32"
        clock = {"rounds": rounds, "unit": "images/s", "work": len(dataset)}
        rows = beside(f"{claim}: from JPEG and PNG", ours(dataset), peers, 5, **clock)
        cached = Cached(dataset, Path(made, "cache"))
        return rows + beside(f"{claim}: from a cache", ours(cached), peers, 7, **clock)


def blobs(height: int, width: int, seed: int) -> np.ndarray:
    """(height, width) uint8: regions of some classes, void where they meet, as in PASCAL VOC."""
    rng = np.random.default_rng(seed)
    centers = rng.random((8, 2)) * (height, width)
    rows, columns = np.mgrid[:height, :width]
    distances = np.sort([np.hypot(rows - y, columns - x) for y, x in centers], axis=0)
    nearest = np.argmin([np.hypot(rows - y, columns - x) for y, x in centers], axis=0)
    mask = rng.integers(CLASSES, size=8).astype(np.uint8)[nearest]
    mask[distances[1] - distances[0] < 4] = VOID
    return mask


def ours(dataset: Dataset) -> Callable[[], None]:
    """All that a training does."""
    samples, backbone, epoch = Pairs(dataset, PairAugmentation(SIDE)), Backbone("test_resnet"), iter(range(10**9))

    def batch(indices: Sequence[int]) -> None:
        now = next(epoch)
        found = samples.collate([samples[now, index] for index in indices])
        assert found.masks is not None
        backbone.normalize(found.images)
        found.masks.long()

    return lambda: each(len(dataset), batch)


# Small batches: what is above 32 MB takes longer to get from the system than to fill, for ours and theirs alike.
def each(count: int, batch: Callable[[Sequence[int]], None]) -> None:
    for start in range(0, count, BATCH):
        batch(range(start, min(start + BATCH, count)))


def plain(dataset: Dataset, tensors: bool) -> Callable[[], None]:
    """As torchvision's reference for segmentation, with color jitter; all operations on PIL images, or on tensors."""
    void = {tv_tensors.Image: (124, 116, 104), Image.Image: (124, 116, 104), tv_tensors.Mask: VOID}
    longest = round(2.0 * 375)
    transform = v2.Compose([
        v2.ToImage() if tensors else v2.Identity(),
        v2.RandomResize(longest // 4, longest, InterpolationMode.BILINEAR),
        v2.RandomCrop(SIDE, pad_if_needed=True, fill=void),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.05)], 0.5),
        v2.ToImage(),
        v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}, scale=True),
        v2.Normalize(MEAN, STD),
    ])  # fmt: skip

    def batch(indices: Sequence[int]) -> None:
        pairs = []
        for index in indices:
            entry = dataset.entries[index]
            assert entry.mask is not None
            mask = tv_tensors.Mask(torch.from_numpy(np.array(Image.open(entry.mask))))
            pairs.append(transform(opened(entry.image), mask))
        for same in zip(*pairs):
            torch.stack(same)

    return lambda: each(len(dataset), batch)
