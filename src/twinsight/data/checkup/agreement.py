"""Whether the borders of a mask lie where the edges of its image lie, or would do so if the mask were shifted."""

from typing import NamedTuple

import cv2
import numpy as np

SIDE = 256
"""The longer side, in pixels, at which edges are compared: enough to see a shift by a hundredth of the image."""
RADIUS, STEP = 12, 3
"""Shifts that are tried along each axis, at that size: 0, 3, ... 12 to both sides."""
POINTS = 500
"""Most points of borders that are looked at."""

STEPS = np.arange(-RADIUS, RADIUS + 1, STEP)
AWAY = np.maximum(abs(STEPS[:, None]), abs(STEPS)) > STEP
"""Shifts that are none: masks may be drawn a little inside or outside."""


class Agreement(NamedTuple):
    """scores: (9, 9) strength of edges below the mask's borders by vertical and horizontal shift, in standard
    deviations of those at the farther shifts, above their mean: 0 is chance.

    pixel: pixels of the whole image to a step of one.
    """

    scores: np.ndarray
    pixel: float

    @property
    def here(self) -> float:
        return float(self.scores[RADIUS // STEP, RADIUS // STEP])


def best_shift(scores: np.ndarray, pixel: float) -> tuple[int, int]:
    """Columns and rows, in pixels of the whole image, by which masks of these scores would have to move to fit best."""
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    return round(int(STEPS[column]) * pixel), round(int(STEPS[row]) * pixel)


def agreement(gray: np.ndarray, mask: np.ndarray) -> Agreement | None:
    """gray: (h, w) uint8, the image at any size; mask: (H, W) uint8 at full size.

    None where there is little to compare: a small image, hardly any borders, borders nearly everywhere, or no edges.
    """
    height, width = gray.shape
    if min(height, width) <= 4 * RADIUS:
        return None
    edges = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).astype(np.float32)
    edges = np.minimum(edges, 3 * edges.mean())  # so that a few outlines do not decide
    small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    inner = small[RADIUS:-RADIUS, RADIUS:-RADIUS]
    border = (inner[:-1, :-1] != inner[1:, :-1]) | (inner[:-1, :-1] != inner[:-1, 1:])
    points = np.flatnonzero(border)
    if len(points) < 40 or len(points) > border.size / 3:
        return None
    rows, columns = np.divmod(points[:: 1 + len(points) // POINTS], border.shape[1])
    places = (rows + RADIUS) * width + columns + RADIUS
    shifts = (STEPS[:, None] * width + STEPS).ravel()
    strength = edges.ravel()[places[:, None] + shifts].mean(0).reshape(AWAY.shape)
    deviation = strength[AWAY].std()
    if deviation == 0:
        return None
    return Agreement((strength - strength[AWAY].mean()) / deviation, mask.shape[1] / width)
