"""Masks whose classes nobody named: what they hold, and what to write down. Binary ones need nothing written."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from twinsight.data.colors import words as color_words
from twinsight.data.decode import decode_image
from twinsight.data.depth import evenly
from twinsight.data.masks import decode_mask, is_colored
from twinsight.data.samples import VOID, Entry
from twinsight.data.values import words
from twinsight.data.wording import number
from twinsight.errors import UserError

BINARY = ("background", "foreground")
"""The classes of masks that hold two values only, 0 the first."""

SAMPLE = 48
"""Masks that are looked at, evenly chosen."""

FEW = 5
"""Fewest masks, and fewest objects in one mask, for telling object numbers from classes."""


def two_values(entries: Sequence[Entry]) -> tuple[int, int] | None:
    """0 and 255 if masks of two named classes hold these and nothing else, which says that 255 is not void."""
    return (0, VOID) if held_by(readable(looked_at(entries))) == [0, VOID] else None


def looked_at(entries: Sequence[Entry]) -> list[Path]:
    return [entry.mask for entry in evenly(entries, SAMPLE) if entry.mask is not None]


def readable(files: Sequence[Path]) -> list[np.ndarray]:
    """The masks that can be read: a training names the others, and may do without them."""
    masks: list[np.ndarray] = []
    for file in files:
        with suppress(UserError):
            masks.append(decode_mask(file))
    return masks


def held_by(masks: Sequence[np.ndarray]) -> list[int]:
    return sorted({int(value) for mask in masks for value in np.flatnonzero(np.bincount(mask.ravel()))})


def binary_values(entries: Sequence[Entry], file: Path) -> tuple[int, int]:
    """The values of background and foreground: 0 and 255, or 0 and 1, where masks hold no others but void 255.

    file: where names of classes belong. Raises UserError, saying what to write there, for any other masks.
    """
    files = looked_at(entries)
    if is_colored(files[0]):
        raise uncolored(files, file)
    masks = readable(files) or [decode_mask(files[0])]  # which says why it cannot be read
    held = held_by(masks)
    if held == [0, VOID]:
        return 0, VOID
    if held in ([0, 1], [0, 1, VOID]):
        return 0, 1
    counted = [value for value in held if value != VOID]
    looked = f"the {len(files)} of {len(entries)} masks looked at" if len(files) < len(entries) else "its masks"
    if numbered_objects(masks):
        raise UserError(
            f"{files[0]}: numbers its objects from 1 to {masks[0].max()}, as {looked} do, so values are not classes; "
            "save masks of classes instead (all objects of one kind: mask > 0, as 0 and 1), or give --data.root the "
            "folder of images to go without"
        )
    values = "" if counted == [*range(len(counted))] else f", and give --data.values {words(counted)}"
    raise UserError(
        f"{file}: is missing; write the names of the classes there, {number(len(counted), 'line')} for the "
        f"values {words(counted)} in this order, which {looked} hold{values}"
    )


def numbered_objects(masks: Sequence[np.ndarray]) -> bool:
    """Whether masks number objects: 1, 2, ... without gaps, each value one region, and not as many in each mask."""
    tops = {int(mask.max()) for mask in masks}
    if len(masks) < FEW or len(tops) < 2 or max(tops) < FEW:
        return False
    regions = values = 0
    for mask in masks:
        held = np.flatnonzero(np.bincount(mask.ravel()))
        held = held[held > 0]
        if not np.array_equal(held, np.arange(1, len(held) + 1)):
            return False
        values += len(held)
        regions += sum(cv2.connectedComponents((mask == value).astype(np.uint8))[0] - 1 for value in held)
    return regions <= 1.2 * values


def uncolored(files: Sequence[Path], file: Path) -> UserError:
    """What to write down for color masks without a table of colors."""
    colors = np.unique(np.concatenate([np.unique(decode_image(mask).reshape(-1, 3), axis=0) for mask in files]), axis=0)
    shown = ", ".join(f"NAME,{color_words(color)}" for color in colors[:20])
    more = f" and {len(colors) - 20} more" if len(colors) > 20 else ""
    return UserError(
        f"{files[0]}: shows classes in colors, and nothing says which is which; write {file.with_name('classes.csv')}, "
        f"with the lines name,r,g,b, {shown}{more}, and a class in place of each NAME"
    )
