"""From the options of a thing chosen by name to the thing."""

from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any, ClassVar

import tyro


def named(flag: str, *names: str) -> Any:
    """A name given as `--flag NAME`, stored in the chosen dataclass itself."""
    metavar = f"{{{','.join(names)}}}" if names else "NAME"
    return tyro.conf.arg(name=flag, prefix_name=False, metavar=metavar)


def build(options: Any, *args: object, **extra: object) -> Any:
    """Import what the options describe and call it with them; `extra` adds arguments or overrides."""
    module, _, attribute = options.target.partition(":")
    arguments = {}
    for option in fields(options):
        if option.name not in options.not_arguments:
            value = getattr(options, option.name)
            arguments[option.name] = build(value) if is_dataclass(value) else value
    return getattr(import_module(module), attribute)(*args, **arguments | extra)


class Buildable:
    target: ClassVar[str]
    not_arguments: ClassVar[tuple[str, ...]] = ("name",)
