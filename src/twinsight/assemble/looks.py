"""The value of --probe, parsed before anything is loaded."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from twinsight.errors import UserError
from twinsight.options.choose import suggest
from twinsight.options.probe import ProbeOptions
from twinsight.options.probes import PROBES

SPEC = re.compile(r"(?P<name>[a-z]+)(@(?P<every>[1-9]\d*)(?P<unit>epochs|steps)?)?(:(?P<images>[1-9]\d*))?")

CHOSEN = ("auto", "none")
"""Values of --probe that are not names."""


@dataclass(frozen=True)
class Look:
    """A probe during a training.

    every: epochs or steps (see `unit`) between looks; 0 for one look at the start. images: how many.
    """

    name: str
    kind: type[ProbeOptions]
    every: int
    unit: Literal["epochs", "steps"]
    images: int


def read_looks(given: str) -> list[Look]:
    """given: the value of --probe; "auto" gives none, as it needs the network. Raises UserError for unknown probes."""
    return [] if given in CHOSEN else [read_look(spec) for spec in given.split(",")]


def read_look(spec: str) -> Look:
    """spec: NAME, NAME@5, NAME@500steps or NAME@5:16."""
    found = SPEC.fullmatch(spec)
    if found is None:
        raise UserError(f"--probe {spec}: not understood; write NAME, NAME@5, NAME@500steps or NAME@5:16")
    name, names = found["name"], [name for name in PROBES if name != "curves"]
    if name not in names:
        raise UserError(f"--probe {name}: no such probe; {suggest(name, names)}")
    kind, unit = PROBES[name], found["unit"]
    chosen: Any = unit or "epochs"
    every = 0 if kind.once else int(found["every"] or 1)
    return Look(name, kind, every, chosen, int(found["images"] or kind.images))
