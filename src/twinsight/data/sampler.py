"""The order of an epoch: the same for a seed, shared out over processes, resumable within the epoch."""

from collections.abc import Iterator

import numpy as np
import torch.distributed as dist
from torch.utils.data import Sampler

Key = tuple[int, int]
"""(epoch, index): what a sample's randomness follows from, together with the seed."""


class EpochSampler(Sampler[Key]):
    """Yields (epoch, index): so the epoch reaches workers that persist, without a word to them.

    Shuffled, every process gets an equal share, and the few indices left over wait for another epoch; in
    order, every index comes exactly once, and shares may differ by one.

    rank, world: this process among how many; by default those of torch.distributed when iteration begins.
    odds: (length,): shuffled, an epoch is as many independent draws with these probabilities.
    skip: how many of its indices of the current epoch this process leaves out, because a run had done them
        before it was interrupted; the next epoch sets it back to 0.
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
        """The indices of a whole epoch, skipped or not."""
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
