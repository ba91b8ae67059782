"""Images that look alike, found without comparing all pairs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from twinsight.data.decode import decode_image

BITS = 8
"""Bits of 64 in which two hashes of nearly the same picture may differ."""
BAND = 16
"""Two hashes are compared if they agree in one of their four bands of bits, as any do that differ in three."""
PER_BAND = 32
"""Most hashes with the same band that one is compared with: a fixed camera's are all alike."""
DETAIL = 64
"""Side, in pixels, at which pictures are compared in the end."""
CORRELATION = 0.985
"""From which on two pictures are nearly the same."""


def perceptual_hash(gray: np.ndarray) -> int:
    """(h, w) uint8 -> 64 bits: which of the lowest 8 x 8 frequencies are above their median.

    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
    """
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes())


def closest(known: Sequence[int], asked: Sequence[int] | None = None) -> Iterator[tuple[int, int]]:
    """For each hash in `asked` that has one in `known` within 8 bits: the place of that one, the closest, and its own.

    asked: by default those known, each compared with those before it. Those within 3 bits are sure to be found.
    """
    first, second = (np.array(hashes, np.uint64) for hashes in (known, known if asked is None else asked))
    best, place = np.full(len(second), BITS + 1), np.zeros(len(second), int)
    for shift in range(0, 64, BAND):
        bands, own = ((hashes >> np.uint64(shift)) & np.uint64(2**BAND - 1) for hashes in (first, second))
        order = np.argsort(bands, kind="stable")
        begin, end = (np.searchsorted(bands[order], own, side) for side in ("left", "right"))
        if asked is None:
            end[order] = np.arange(len(order))
        for step in range(min(PER_BAND, int((end - begin).max(initial=0)))):
            there = np.flatnonzero(begin + step < end)
            candidates = order[end[there] - 1 - step]
            distance = np.bitwise_count(first[candidates] ^ second[there])
            closer = distance < best[there]
            best[there[closer]], place[there[closer]] = distance[closer], candidates[closer]
    for index in np.flatnonzero(best <= BITS):
        yield int(place[index]), int(index)


def nearly_same(first: Path, second: Path) -> bool:
    """Whether two images show the same but for size, compression and brightness, by their pixels at 64 x 64."""
    one, other = (standard(decode_image(file)) for file in (first, second))
    return float((one * other).mean()) >= CORRELATION


def standard(image: np.ndarray) -> np.ndarray:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (DETAIL, DETAIL), interpolation=cv2.INTER_AREA).astype(np.float64)
    return (small - small.mean()) / max(float(small.std()), 1e-6)
