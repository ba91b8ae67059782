"""The help page of a command."""

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from twinsight.options.describe import REQUIRED, describe


def page(cls: Any, command: str, chosen: Mapping[str, Any]) -> str:
    """Every option of a command, in the groups that they belong to."""
    options = describe(cls, chosen)
    positional = " ".join(option.flag.upper() for option in options if option.positional)
    lines = [f"twinsight {command} {positional}".rstrip() + " [options]", "", (cls.__doc__ or "").strip(), ""]
    lines += ["--config FILE.yaml fills in any of these options; flags override it."]
    group = ""
    for option in options:
        if option.group != group:
            group = option.group
            lines += ["", group]
        facts = [", ".join(map(str, option.choices)) or option.words, option.range]
        default = f"default {option.shown_default}" if option.shown_default else ""
        facts += ["required" if option.default is REQUIRED else default]
        lines += [f"  {option.flag}  ({'; '.join(fact for fact in facts if fact)})"]
        lines += wrap(option.help, 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
