"""Maps the stored values of masks to classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinsight.data.samples import VOID
from twinsight.errors import UserError


class Values:
    """A coding of masks other than 0, 1, 2, ... with 255 for void.

    classes: number of classes. values: the stored value of each class, class 0 first; by default the lowest
    values that are not void. void: values to ignore; by default 255, unless it is in `values`.

    Use values (0, 255) for binary masks, and only void (0,) for masks whose classes are numbered from 1.
    Raises UserError unless `values` has one distinct value per class and none of them is void.
    """

    def __init__(self, classes: int, values: Sequence[int] | None = None, void: Sequence[int] | None = None):
        if void is None:
            void = [] if values is not None and VOID in values else [VOID]
        if values is None:
            values = [value for value in range(256) if value not in void][:classes]
        self.values, self.void = tuple(values), tuple(void)
        if len(self.values) != classes or len(set(self.values)) < classes:
            raise UserError(
                f"--data.values {words(self.values)}: gives {len(set(self.values))} different values for {classes} "
                "classes; give one value per class, in order"
            )
        both = sorted({*self.values} & {*self.void})
        if both:
            raise UserError(f"--data.void {words(self.void)}: {both[0]} is also in --data.values; remove it from one")
        self.classes = np.full(256, -1, np.int16)
        self.classes[[*self.void]] = VOID
        self.classes[[*self.values]] = np.arange(classes)

    def __call__(self, stored: np.ndarray, path: Path) -> np.ndarray:
        """(H, W) uint8 values -> (H, W) uint8 labels. Raises UserError, naming the file, for any other value."""
        labels = self.classes[stored]
        if labels.min() < 0:
            raise UserError(
                f"{path}: holds {stored[labels < 0][0]}, which is neither a class ({words(self.values)}) nor void "
                f"({words(self.void) or 'none'}); correct the mask, --data.values or --data.void"
            )
        return labels.astype(np.uint8)

    def __str__(self) -> str:
        return f"values {words(self.values)} void {words(self.void)}"


def words(values: Sequence[int]) -> str:
    return " ".join(map(str, values))
