"""Broken samples that a training puts up with."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from twinsight.data.tolerated import limit, too_many
from twinsight.errors import Remark, UserError

T = TypeVar("T")


class Tolerance:
    """Reads samples; of those that cannot be read, names each once and takes the next that can be in its place.

    Which that is depends on the files alone, so a resumed run sees the same. All workers of a process count together;
    each of several processes counts the broken samples that it meets.

    count: of samples. allowed: of them, broken ones that are put up with: a share below 1, else their number.
    """

    def __init__(self, count: int, allowed: float):
        self.limit = limit(count, allowed)
        self.broken: Tensor = torch.zeros(count, dtype=torch.bool).share_memory_()

    def read(self, get: Callable[[int], T], index: int) -> tuple[int, T]:
        """What `get` returns for the index, or for the next that can be read, and the index that it is of.

        Raises UserError if more are broken than allowed.
        """
        if not self.limit:
            try:
                return index, get(index)
            except UserError as error:
                raise too_many(error, 1, 0) from error
        count = len(self.broken)
        for place in (*range(index, count), *range(index)):
            if self.broken[place]:
                continue
            try:
                return place, get(place)
            except UserError as error:
                self.broken[place] = True
                met = int(self.broken.sum())
                if met > self.limit:
                    raise too_many(error, met, self.limit) from error
                warnings.warn(f"left out, {met} of at most {self.limit}: {error}", Remark, stacklevel=1)
        raise UserError(f"--data.tolerate: not one of {count} images can be read; check the data set")
