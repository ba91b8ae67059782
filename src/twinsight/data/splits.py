"""Splits: those that folders state by their names, and a hash of names where there are none."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from twinsight.data.samples import Entry
from twinsight.data.wording import number
from twinsight.errors import NoSplitError, UserError

ROLES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
"""What a folder's name, in lower case, says of the images in it."""


def role(name: str) -> str | None:
    """The split that the first folder of a path states: "Valid/a/1" -> "val"."""
    return ROLES.get(name.partition("/")[0].lower()) if "/" in name else None


def stated(files: Mapping[str, Path]) -> list[str] | None:
    """The split of each file, by its path below a folder, if folders state two or more.

    Raises UserError for a file outside of them, or if none is train.
    """
    roles = {name: role(name) for name in files}
    known = sorted({each for each in roles.values() if each is not None})
    if len(known) < 2:
        return None
    if "train" not in known:
        raise UserError(
            f"{next(iter(files.values()))}: belongs to {' or '.join(known)}, and no folder is called train; add one"
        )
    outside = next((name for name, each in roles.items() if each is None), None)
    if outside is not None:
        raise UserError(
            f"{files[outside]}: lies in none of the folders that state its split ({', '.join(known)}); move it into "
            "one of them, or out of the data set"
        )
    return [str(each) for each in roles.values()]


def divide(
    entries: Sequence[Entry], val_fraction: float, group: str | None = None, stating: str = "the folders"
) -> tuple[list[str], str]:
    """The split of each entry, and how the splits came about, with counts, in words.

    Where folders state no val, a stable hash of each name holds `val_fraction` of train out, so that adding images
    moves none of the others. What is stated as test is in no other split.

    group: a regular expression; entries whose ids it matches alike stay on one side (see `group_of`).
    stating: what gave the ids the splits that they begin with, in words.
    """
    if not 0 <= val_fraction <= 1:
        raise UserError(f"val_fraction {val_fraction}: is not a fraction; give one from 0 to 1")
    groups = [entry.id for entry in entries] if group is None else [group_of(entry, group) for entry in entries]
    roles = stated({entry.id: entry.image for entry in entries})
    if roles is not None and "val" in roles:
        if group is not None:
            refuse_torn(zip(groups, roles), group)
        return roles, f"{counts(roles)}, as {stating} say"
    whole = roles or ["train"] * len(entries)
    roles = ["val" if each == "train" and position(name) < val_fraction else each for name, each in zip(groups, whole)]
    of = "names" if group is None else number(len(set(groups)), "group")
    test = f", test as {stating} say" if "test" in roles else ""
    return roles, f"{counts(roles)} ({100 * val_fraction:g} % of train held out by a hash of {of}{test})"


def group_of(entry: Entry, group: str) -> str:
    """What a pattern finds in an id: its parentheses, or all that it matches. "(.*)_" -> the drive of "drive7_001".

    Raises UserError for an id in which it finds nothing, or a pattern that is none.
    """
    try:
        found = re.search(group, entry.id)
    except re.error as error:
        raise UserError(f"--data.group {group}: is not a regular expression ({error}); correct it") from error
    if found is None:
        raise UserError(
            f"--data.group {group}: does not match {entry.id}; write a pattern that finds the group in every name"
        )
    return "/".join(each or "" for each in found.groups()) if found.groups() else found[0]


def refuse_torn(groups: Iterable[tuple[str, str]], group: str) -> None:
    """Raises UserError if a group, of pairs of group and split, lies in more than one split."""
    known: dict[str, str] = {}
    for name, each in groups:
        if known.setdefault(name, each) != each:
            raise UserError(
                f"--data.group {group}: group {name} is in {known[name]} and in {each}, as the folders or lists say; "
                "move its images to one of them, or leave the option out"
            )


def counts(roles: Sequence[str]) -> str:
    return ", ".join(f"{roles.count(split)} {split}" for split in ("train", "val", "test") if split in roles)


def choose(entries: Sequence[Entry], roles: Sequence[str], split: str) -> list[Entry]:
    """The entries of "train", "val", "test" or "all", which is train and val. Raises
    NoSplitError if there is no such."""
    if split not in ("train", "val", "all") and split not in roles:
        raise NoSplitError(f"split {split}: there is no such split; choose train, val or all")
    return [entry for entry, each in zip(entries, roles) if each == split or (split == "all" and each != "test")]


def position(name: str) -> float:
    """A number in [0, 1) that depends on the name alone, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest()) / 2**48


def folder_of(root: Path, split: str) -> Path | None:
    """The folder in root that states a split, by whichever of its names; None if there is none."""
    asked = ROLES.get(split, split)
    children = sorted(child for child in root.iterdir() if child.is_dir())
    return next((child for child in children if ROLES.get(child.name.lower(), child.name) == asked), None)
