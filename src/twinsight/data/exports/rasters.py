"""Polygons and runs to pixels, exactly as COCO's API (pycocotools) draws and decodes them.

pycocotools would do it too; ours needs no compiled package for what NumPy says in a page, and tests hold it to
pycocotools, pixel for pixel. datumaro draws the polygons of every format by pycocotools, CVAT's among them.
"""

from collections.abc import Sequence

import numpy as np

FINE = 5
"""Steps per pixel along an outline."""


def polygon(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) bool: the pixels within an outline of (n, 2) x, y.

    The outline is walked in fifths of a pixel. Wherever it crosses the middle of a column, a run begins or ends there,
    so that overlapping parts cancel out (COCO's maskApi.c).
    """
    if points.ndim == 2 and len(points) < 3:
        raise ValueError(f"a polygon of {len(points)} points, where 3 is the fewest")
    if points.ndim != 2 or points.shape[1] != 2 or not (np.abs(points) < 1e7).all():
        raise ValueError("a polygon whose points are not pairs of numbers within reach")
    corners = np.trunc(FINE * points + 0.5).astype(np.int64)
    x, y = walk(corners, np.roll(corners, -1, axis=0)).T
    moved = np.flatnonzero(x[1:] != x[:-1])
    left = np.where(x[1:] < x[:-1], x[1:], x[1:] - 1)[moved]
    column = (left + 0.5) / FINE - 0.5
    row = np.ceil(np.clip((np.minimum(y[1:], y[:-1])[moved] + 0.5) / FINE - 0.5, 0, height))
    kept = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    changes = np.sort(column[kept] * height + row[kept]).astype(np.int64)
    lengths = np.diff(changes, prepend=0, append=height * width)
    return by_column(lengths, height, width)


def by_column(lengths: Sequence[int] | np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) bool from runs that go down column by column, as COCO's do."""
    return runs(lengths, height * width).reshape(width, height).T


def walk(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Every fine step of the edges between corners, in order: (n, 2) whole x, y.

    An edge is walked along its longer side; the other coordinate is rounded as seen from the edge's lower end, so that
    an edge is the same in both directions.
    """
    delta = ends - starts
    steps = np.abs(delta).max(axis=1)
    edge = np.repeat(np.arange(len(steps)), steps + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    flat = np.abs(delta[:, 0]) >= np.abs(delta[:, 1])
    long = np.where(flat, 0, 1)
    rows = np.arange(len(steps))
    flipped = delta[rows, long] < 0
    low = np.where(flipped[:, None], ends, starts)
    high = np.where(flipped[:, None], starts, ends)
    slope = (high - low)[rows, 1 - long] / np.maximum(steps, 1)
    along = np.where(flipped[edge], steps[edge] - step, step)
    walked = np.empty((len(edge), 2), np.int64)
    every = np.arange(len(edge))
    walked[every, long[edge]] = along + low[rows, long][edge]
    walked[every, 1 - long[edge]] = np.trunc(low[rows, 1 - long][edge] + slope[edge] * along + 0.5)
    return walked


def runs(counts: Sequence[int] | np.ndarray, length: int) -> np.ndarray:
    """(length,) bool from the lengths of runs, false first. Raises ValueError if they do not fill it."""
    lengths = np.asarray(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != length:
        raise ValueError(f"runs of {lengths.sum()} pixels for a mask of {length}")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def unpack(text: str) -> np.ndarray:
    """The lengths of runs in COCO's compressed string: 5 bits a character, from 0 up, the 6th says that more follow;
    from the fourth run on the difference to the length two before."""
    letters = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    if not len(letters) or (letters < 0).any() or (letters > 63).any() or letters[-1] & 32:
        raise ValueError("runs that are not a COCO string")
    ends = np.flatnonzero(letters & 32 == 0)
    starts = np.append(0, ends[:-1] + 1)
    places = np.arange(len(letters)) - np.repeat(starts, ends - starts + 1)
    if places.max() > 11:
        raise ValueError("runs that are not a COCO string")
    values = np.add.reduceat((letters & 31) << 5 * places, starts)
    negative = letters[ends] & 16 != 0
    values -= np.where(negative, np.int64(1) << 5 * (ends - starts + 1), 0)
    values[1::2], values[2::2] = np.cumsum(values[1::2]), np.cumsum(values[2::2])
    return values


def encode(mask: np.ndarray) -> str:
    """(H, W) bool -> COCO's compressed string, which `unpack` reads."""
    flat = mask.T.ravel()
    lengths = np.diff(np.flatnonzero(np.diff(flat, prepend=False)), prepend=0, append=flat.size)
    values, more = lengths.astype(np.int64), np.ones(len(lengths), bool)
    values[3:] -= lengths[1:-2]
    letters: list[np.ndarray] = []
    while more.any():
        low = values & 31
        values >>= 5
        follows = more & (values != np.where(low & 16, -1, 0))
        letters.append(np.where(more, low + 32 * follows, -1))
        more = follows
    table = np.stack(letters, axis=1)
    return bytes((table[table >= 0] + 48).astype(np.uint8)).decode("ascii")
