"""Tolerating broken samples in a training."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from twinsight.data.tolerated import limit, too_many
from twinsight.data.wording import number
from twinsight.errors import Remark, UserError

T = TypeVar("T")


class Tolerance:
    """Reads samples, and replaces each one that cannot be read by the next that can, with one warning (`Remark`) each.

    The replacement depends only on the files, so a resumed run sees the same. The workers of a process count together;
    each process counts the broken samples that it meets.

    count: number of samples. allowed: how many may be broken: a fraction if below 1, else a number.
    """

    def __init__(self, count: int, allowed: float):
        self.limit = limit(count, allowed)
        self.broken: Tensor = torch.zeros(count, dtype=torch.bool).share_memory_()

    def read(self, get: Callable[[int], T], index: int) -> tuple[int, T]:
        """The index, or the next one that can be read, and what `get` returns for it.

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
                warnings.warn(f"left out ({met} of at most {self.limit}): {error}", Remark, stacklevel=1)
        raise UserError(f"--data.tolerate: none of {number(count, 'image')} can be read; check the path and the files")
