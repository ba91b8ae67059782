"""Batches that depend on the seed, not on the number of workers, and stay exact across processes and resumes."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from twinsight.data.pairs import PairAugmentation
from twinsight.data.pipes import Piped, unpiped
from twinsight.data.sampler import EpochSampler, Key
from twinsight.data.samples import VOID, Dataset, Sample, enough_images
from twinsight.data.tolerance import Tolerance
from twinsight.data.views import MultiView, Params
from twinsight.data.workers import kill_workers_at_exit, start_worker
from twinsight.errors import UserError


class Batch(NamedTuple):
    """Labeled images; smaller ones are padded at the right and bottom with zeros and void.

    images: (B, 3, H, W) uint8, channels_last in memory.
    masks: (B, H, W) uint8, 255 = void; None if the data set has none.
    sizes: (B, 2) int64, each image's height and width without padding.
    ids: the images' names.
    """

    images: torch.Tensor
    masks: torch.Tensor | None
    sizes: torch.Tensor
    ids: list[str]


class HostParams:
    """The parameters drawn for the views, one list per image. Neither a sequence nor a dataclass, so that pinning and
    Lightning's transfer do not walk through thousands of numbers.
    """

    def __init__(self, images: list[list[Params]]):
        self.images = images


class ViewBatch(NamedTuple):
    """A batch of augmented views.

    views: one (B, 3, h, w) uint8 tensor per view, channels_last in memory.
    crops: (B, views, 5) float32: top, left, height and width in pixels of the image; 1 if mirrored, else 0.
    indices: (B,) int64, of the images.
    params: the color operations still to apply to views that are only cropped; None if they have been applied.
    labels: (B,) int64, the images' categories; None if the data set has none.
    """

    views: list[torch.Tensor]
    crops: torch.Tensor
    indices: torch.Tensor
    params: HostParams | None = None
    labels: torch.Tensor | None = None


class Views(TorchDataset[Any]):
    """Augmented views of each image: key -> (views, their parameters, index); batches are `ViewBatch`.

    color: False only crops and flips, and leaves color to the training device. The parameters are the same.
    """

    def __init__(self, dataset: Dataset, transform: MultiView, seed: int = 0, color: bool = True):
        self.dataset, self.transform, self.seed, self.color = dataset, transform, seed, color
        self.tolerance = Tolerance(len(dataset), dataset.tolerate)
        self.labels = torch.tensor(dataset.targets) if dataset.names else None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> tuple[list[torch.Tensor], list[Params], int]:
        index, image = self.tolerance.read(self.dataset.image, key[1])
        drawn = self.transform.draw(np.random.default_rng([self.seed, *key]), *image.shape[:2])
        make = self.transform.apply if self.color else self.transform.crop
        return [torch.from_numpy(view).permute(2, 0, 1) for view in make(image, drawn)], drawn, index

    def collate(self, samples: list[tuple[list[torch.Tensor], list[Params], int]]) -> ViewBatch:
        views, params, indices = zip(*samples)
        # Stacked as (B, h, w, 3): copying whole images is three times as fast as copying channel by channel.
        stacked = [torch.stack([view.permute(1, 2, 0) for view in same]) for same in zip(*views)]
        images = [batch.permute(0, 3, 1, 2) for batch in stacked]
        crops = [[[*drawn.box, drawn.flip] for drawn in each] for each in params]
        todo = None if self.color else HostParams(list(params))
        places = torch.tensor(indices)
        labels = None if self.labels is None else self.labels[places]
        return ViewBatch(images, torch.tensor(crops, dtype=torch.float32), places, todo, labels)


class Pairs(TorchDataset[Sample]):
    """Images and masks: key -> Sample; batches are `Batch`. Without `augmentation` they are left unchanged.

    odds: (N,) probabilities, summing to 1, of drawing each sample; None draws each once per epoch.
    """

    def __init__(
        self,
        dataset: Dataset,
        augmentation: PairAugmentation | None = None,
        seed: int = 0,
        odds: np.ndarray | None = None,
    ):
        self.dataset, self.augmentation, self.seed, self.odds = dataset, augmentation, seed, odds
        # Unlabeled images that are only looked at are not replaced: their labels are found by position.
        self.tolerance = Tolerance(len(dataset), dataset.tolerate if augmentation or dataset.classes else 0)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Sample:
        index, (image, mask, name) = self.tolerance.read(self.dataset.__getitem__, key[1])
        if self.augmentation is None:
            again = index != key[1] and mask is not None  # it is scored at its own index
            return Sample(image, np.full_like(mask, VOID) if again else mask, name)
        if mask is None:
            raise UserError(f"{name}: has no mask to train on; choose a data set with masks")
        return Sample(*self.augmentation(image, mask, np.random.default_rng([self.seed, *key])), name)

    @staticmethod
    def collate(samples: list[Sample]) -> Batch:
        sizes = torch.tensor([sample.image.shape[:2] for sample in samples])
        height, width = (int(side) for side in sizes.amax(0))
        images = torch.zeros(len(samples), height, width, 3, dtype=torch.uint8)
        masks = torch.full((len(samples), height, width), VOID, dtype=torch.uint8)
        for sample, (h, w), image, mask in zip(samples, sizes.tolist(), images.numpy(), masks.numpy()):
            image[:h, :w] = sample.image
            if sample.mask is not None:
                mask[:h, :w] = sample.mask
        labeled = all(sample.mask is not None for sample in samples)
        return Batch(images.permute(0, 3, 1, 2), masks if labeled else None, sizes, [s.id for s in samples])


class Loader(DataLoader[Any]):
    """A DataLoader that resumes within an epoch and re-raises a worker's UserError without its traceback.

    Workers start at the first batch, not when the iterator is made: Lightning sets the epoch in between.

    on_wait: called before waiting for each batch.
    """

    sampler: EpochSampler  # pyright: ignore[reportIncompatibleVariableOverride]
    batch_size: int  # pyright: ignore[reportIncompatibleVariableOverride]
    batches = 0
    on_wait: Callable[[], None] | None = None

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            done = self.sampler.skip // self.batch_size
            if self.on_wait is not None:
                self.on_wait()
            for self.batches, batch in enumerate(super().__iter__(), start=done + 1):
                yield unpiped(batch) if isinstance(self.collate_fn, Piped) else batch
                if self.on_wait is not None:
                    self.on_wait()
        except UserError as error:
            # A worker's message is the text of a whole traceback, which ends with the sentence.
            raise UserError(str(error).rpartition(f"{UserError.__module__}.UserError: ")[2].rstrip()) from error

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.sampler.epoch, "batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.batches = state["batches"]
        self.sampler.epoch, self.sampler.skip = state["epoch"], self.batches * self.batch_size


L = TypeVar("L", bound=Loader)


def train_loader(
    samples: Views | Pairs, batch_size: int, workers: int, rank: int | None = None, world: int | None = None
) -> Loader:
    """Shuffled batches of `batch_size` per process; an incomplete last batch is dropped.

    rank, world: as in `EpochSampler`. Raises UserError if the images do not fill one batch.
    """
    odds = samples.odds if isinstance(samples, Pairs) else None
    loader = _loader(samples, EpochSampler(len(samples), True, samples.seed, rank, world, odds), batch_size, workers)
    enough_images(len(loader.sampler), batch_size)
    return loader


def eval_loader(
    samples: Views | Pairs, batch_size: int, workers: int, rank: int | None = None, world: int | None = None,
    kind: type[L] = Loader) -> L:  # fmt: skip
    """Every sample once, in order; rank, world: as in `EpochSampler`."""
    return _loader(samples, EpochSampler(len(samples), False, samples.seed, rank, world), batch_size, workers, kind)


def _loader(samples: Views | Pairs, sampler: EpochSampler, batch_size: int, workers: int, kind: type[L] = Loader) -> L:
    kill_workers_at_exit()
    return kind(
        samples,
        batch_size,
        sampler=sampler,
        drop_last=sampler.shuffle,
        num_workers=workers,
        collate_fn=samples.collate,
        worker_init_fn=start_worker,
        persistent_workers=workers > 0,
    )
