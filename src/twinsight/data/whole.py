"""Whole images of any size, in batches of one size whose memory follows it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch

from twinsight.data.loader import Batch, Loader, Pairs, eval_loader

T = TypeVar("T")

WAITING = 4
"""Batches' worth of images that wait for others of their size."""


class WholeImages(Loader):
    """Batches of images of one size, `at_once(pixels)` of them where there are so many alike.

    Workers send images singly, so that what waits takes little memory. Each comes once, in the order in which batches
    are full; the length counts images, which is the most batches that there can be.
    """

    at_once: Callable[[int], int]

    def __iter__(self) -> Iterator[Batch]:
        alike = batches(super().__iter__(), lambda one: one.images.shape, self._size, WAITING)
        return map(joined, alike)

    def _size(self, one: Batch) -> int:
        return self.at_once(one.images[0, 0].numel())


def whole_images(samples: Pairs, at_once: Callable[[int], int], workers: int) -> WholeImages:
    """at_once: how many images of so many pixels make a batch."""
    loader = eval_loader(samples, 1, workers, kind=WholeImages)
    loader.at_once = at_once
    return loader


def joined(several: list[Batch]) -> Batch:
    """One batch of several whose images have one size."""
    images, masks, sizes, ids = zip(*several)
    labeled = all(mask is not None for mask in masks)
    return Batch(
        torch.cat(images),
        torch.cat(masks) if labeled else None,
        torch.cat(sizes),
        [name for names in ids for name in names],
    )


def batches(items: Iterable[T], kind: Callable[[T], Any], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Lists of at most `size(item)` items of one kind; at most `limit` batches' worth of items wait for others alike.

    Each list keeps the items' order; among lists, the one that is full first comes first, else the one begun first.
    """
    waiting: dict[Any, list[T]] = {}
    share = 0.0  # of full batches, over all that wait
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
