"""Whole images of any size, in batches of equal size; larger images make smaller batches."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch

from twinsight.data.loader import Batch, Loader, Pairs, eval_loader

T = TypeVar("T")

WAITING = 4
"""How many batches' worth of images may wait for others of the same size."""


class WholeImages(Loader):
    """Batches of up to `at_once(pixels)` images of the same size.

    Workers send images one at a time, so that waiting images take little memory. Each image comes once; batches come
    in the order they fill up. The length is the number of images, an upper bound on the number of batches.
    """

    at_once: Callable[[int], int]

    def __iter__(self) -> Iterator[Batch]:
        alike = batches(super().__iter__(), lambda one: one.images.shape, self._size, WAITING)
        return map(joined, alike)

    def _size(self, one: Batch) -> int:
        return self.at_once(one.images[0, 0].numel())


def whole_images(samples: Pairs, at_once: Callable[[int], int], workers: int) -> WholeImages:
    """at_once: number of pixels of an image -> images per batch."""
    loader = eval_loader(samples, 1, workers, kind=WholeImages)
    loader.at_once = at_once
    return loader


def joined(several: list[Batch]) -> Batch:
    """Concatenates batches of images of the same size."""
    images, masks, sizes, ids = zip(*several)
    labeled = all(mask is not None for mask in masks)
    return Batch(
        torch.cat(images),
        torch.cat(masks) if labeled else None,
        torch.cat(sizes),
        [name for names in ids for name in names],
    )


def batches(items: Iterable[T], kind: Callable[[T], Any], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Lists of at most `size(item)` items of one kind; at most `limit` batches' worth of items wait at a time.

    Items keep their order within a list. A list comes when it is full; at the limit and at the end, oldest first.
    """
    waiting: dict[Any, list[T]] = {}
    share = 0.0  # in full batches, over all waiting items
    for item in items:
        alike = waiting.setdefault(kind(item), [])
        alike.append(item)
        share += 1 / size(item)
        full = len(alike) == size(item)
        if full or share >= limit:
            done = waiting.pop(kind(item) if full else next(iter(waiting)))
            share -= sum(1 / size(item) for item in done)
            yield done
    yield from waiting.values()
