"""The order of an epoch: fixed by the seed, split over processes, resumable within the epoch."""

from collections.abc import Iterator

import numpy as np
import torch.distributed as dist
from torch.utils.data import Sampler

Key = tuple[int, int]
"""(epoch, index): with the seed, determines a sample's randomness."""


class EpochSampler(Sampler[Key]):
    """Yields (epoch, index), which is how persistent workers learn the epoch.

    When shuffling, every process gets the same number of indices, and the remainder is dropped for the epoch;
    in order, every index comes exactly once, and processes may differ by one.

    rank, world: this process's rank and the world size; by default those of torch.distributed when iteration begins.
    odds: (length,) probabilities: when shuffling, an epoch is `length` independent draws.
    skip: how many indices of the current epoch this process skips because they were done before an
        interruption; the next epoch resets it to 0.
    """

    def __init__(
        self,
        length: int,
        shuffle: bool,
        seed: int = 0,
        rank: int | None = None,
        world: int | None = None,
        odds: np.ndarray | None = None,
    ):
        self.length, self.shuffle, self.seed, self.odds = length, shuffle, seed, odds
        self.place = None if rank is None or world is None else (rank, world)
        self.epoch = self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.skip = epoch, 0

    def __len__(self) -> int:
        """Indices per epoch, including skipped ones."""
        return len(self._share())

    def __iter__(self) -> Iterator[Key]:
        order = np.arange(self.length)
        if self.shuffle:
            generator = np.random.default_rng([self.seed, self.epoch])
            drawn = self.odds is not None
            order = generator.choice(order, len(order), p=self.odds) if drawn else generator.permutation(self.length)
        for index in order[self._share()][self.skip :].tolist():
            yield self.epoch, index

    def _share(self) -> range:  # the places in the epoch's order that belong to this process
        parallel = dist.is_available() and dist.is_initialized()
        rank, world = self.place or ((dist.get_rank(), dist.get_world_size()) if parallel else (0, 1))
        return range(rank, self.length - self.length % world if self.shuffle else self.length, world)
