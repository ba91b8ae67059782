"""Settings that follow from the data: an option at "auto" takes the value that its dataclass derives from the scale.

A dataclass with such fields has a method `auto(scale) -> dict[str, Setting]` with a value, and its reason, for each:

    prototypes: Width | Literal["auto"] = "auto"

    def auto(self, scale: Scale) -> dict[str, Setting]:
        return {"prototypes": Setting(power_of_two(scale.images / 20, 512, 65536), "one for 20 images")}

What is built of it gets the value; where nothing settles it, the default of what is built, which is the paper's.
"""

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple, cast

AUTO = "auto"


class Scale(NamedTuple):
    """What settings follow from.

    images: to train on. batch: images per update, over all processes. updates: of the whole run. side: shorter side of
    a usual image, in pixels.
    """

    images: int
    batch: int
    updates: int
    side: int


class Setting(NamedTuple):
    """A value, and the reason for it in a few words."""

    value: Any
    why: str


def settle(options: Any, scale: Scale, prefix: str = "--") -> tuple[Any, dict[str, Setting]]:
    """The options without "auto", and the settings in its place by their flags; also in the sections below."""
    found: dict[str, Setting] = {}
    values: dict[str, Any] = {}
    settings: dict[str, Setting] = options.auto(scale) if hasattr(options, "auto") else {}
    for field in fields(options):
        value, flag = getattr(options, field.name), prefix + field.name.replace("_", "-")
        if is_dataclass(value):
            values[field.name], below = settle(value, scale, f"{flag}.")
            found |= below
        elif value == AUTO and field.name in settings:
            found[flag] = settings[field.name]
            values[field.name] = found[flag].value
    return replace(options, **values), found


def shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(shown, cast(tuple[Any, ...], value)))
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def power_of_two(value: float, least: int, most: int) -> int:
    """The largest power of two up to `value`, from `least` to `most`, which are powers of two."""
    return min(most, max(least, 2 ** math.floor(math.log2(max(1.0, value)))))
