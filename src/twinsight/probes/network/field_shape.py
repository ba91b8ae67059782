"""How wide, round and even a receptive field is."""

import math
from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    """Shape of a field, in pixels and nats; see `ReceptiveField`. center: the centroid, (row, column)."""

    center: tuple[float, float]
    radius50: float
    radius95: float
    entropy: float
    asymmetry: float

    @classmethod
    def of(cls, field: np.ndarray) -> "Shape":
        total = field.sum(dtype=np.float64)
        if not total > 0:
            return cls((math.nan, math.nan), *[math.nan] * 4)
        mass = field / total
        rows, columns = np.indices(field.shape)
        center = float((mass * rows).sum()), float((mass * columns).sum())
        radii, within = mass_within(field, center)
        half, most = (float(radii[np.searchsorted(within, share - 1e-9)]) for share in (0.5, 0.95))
        entropy = -float((mass[mass > 0] * np.log(mass[mass > 0])).sum())
        mirrored_rows, mirrored_columns = round(2 * center[0]) - rows, round(2 * center[1]) - columns
        inside = (mirrored_rows >= 0) & (mirrored_rows < field.shape[0])
        inside &= (mirrored_columns >= 0) & (mirrored_columns < field.shape[1])
        turned = np.where(inside, mass[mirrored_rows * inside, mirrored_columns * inside], 0)
        asymmetry = float(np.abs(mass - turned).sum() + 1 - turned.sum()) / 2  # the rest was rotated out of the image
        return cls(center, half, most, entropy, asymmetry)


def mass_within(field: np.ndarray, center: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the center, ascending, and the fraction of the mass within each."""
    rows, columns = np.indices(field.shape)
    distances = np.hypot(rows - center[0], columns - center[1]).ravel()
    order = distances.argsort()
    within = field.ravel()[order].cumsum(dtype=np.float64)
    return distances[order], within / (within[-1] or 1)
