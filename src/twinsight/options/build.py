"""From the options of a thing chosen by name to the thing."""

from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import PurePath
from typing import Any, ClassVar

from twinsight.options.auto import AUTO


class Buildable:
    """Options whose fields are the arguments of `target`, MODULE:NAME, but for those named in `not_arguments`."""

    target: ClassVar[str]
    not_arguments: ClassVar[tuple[str, ...]] = ("name",)
    given: ClassVar[tuple[str, ...]] = ()
    """Arguments of `target` that are no options: what a command knows, such as the classes of the data."""


def target_of(options: Any) -> Any:
    """What the options are of, imported."""
    module, _, attribute = options.target.partition(":")
    return getattr(import_module(module), attribute)


def build(options: Any, *args: object, **extra: object) -> Any:
    """Import what the options describe and call it with them; `extra` adds arguments or overrides.

    A setting that is still "auto" is left to the default of what is built.
    """
    arguments = {}
    for option in fields(options):
        value = getattr(options, option.name)
        unsettled = value == AUTO and hasattr(options, "auto")
        if option.name not in options.not_arguments and not unsettled:
            arguments[option.name] = build(value) if is_dataclass(value) else value
    return target_of(options)(*args, **arguments | extra)


def called(options: Any) -> str:
    """The name of a choice as people read it: shapes.py, not the whole path of one from /home/me/shapes.py."""
    return PurePath(options.name).name


def label(options: Any) -> str:
    """The name of a choice, short enough for a folder: sphere for one from /home/me/sphere.py."""
    name = str(options.name)
    return PurePath(name.partition(":")[0]).stem if name.partition(":")[0].endswith(".py") else name
