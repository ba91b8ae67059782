"""An option that there is not: which one was meant, or what it belongs to."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from twinsight.errors import UserError
from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS
from twinsight.options.describe import describe, every_option


def flag(name: str) -> str:
    return f"--{name.removesuffix('.name').replace('_', '-')}"


def as_key(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def no_such_option(name: str, cls: Any, command: str, chosen: Mapping[str, Any], source: str | None) -> UserError:
    """name: its key, "head.chanels". chosen: the dataclass of each choice.

    source: the file that holds the key; "" for Python, None for the command line.
    """
    options = [option for option in describe(cls, chosen) if not option.positional]
    here = [as_key(option.flag) for option in options if not (source and option.control)]
    if source is not None:  # where views: {size: 224} is written as well
        here += dict.fromkeys(option.section for option in options if option.section)
    others = elsewhere(cls, chosen)
    write = str if source else flag
    if flag(name) in others:
        said = f"belongs to {others[flag(name)]}, which is not chosen; choose it, or leave this out"
    elif source and name in map(as_key, (option.flag for option in options)):
        said = f"is for the command line alone: give {flag(name)} there"
    elif meant := closest(name, here, 0.9):
        said = f"did you mean {write(meant)}?"
    elif meant := holding(name, here) or holding(name, map(as_key, others)):
        said = f"did you mean {' or '.join(map(write, meant))}?"
    elif commands := commands_with(flag(name)):
        said = f"belongs to {listed(commands)}, not to `twinsight {command}`; leave it out"
    elif meant := closest(name, [*here, *map(as_key, others), *(["help"] if source is None else [])]):
        said = f"did you mean {write(meant)}?"
    else:
        said = "see --help"
    if source:
        return UserError(f"{source}: unknown key {name}; {said}")
    return UserError(f"{flag(name)}: {said if said.startswith('belongs') else f'no such option; {said}'}")


def holding(name: str, known: Iterable[str]) -> list[str]:
    """Names that it begins or ends: batch -> batch_size, views.size -> method.views.size."""
    return [each for each in known if each.startswith(f"{name}_") or each.endswith(f".{name}")]


def closest(name: str, known: Iterable[str], least: float = 0.65) -> str | None:
    """The name that is spelt most like it; none if all differ too much."""
    found = max(known, key=lambda each: likeness(name, each), default="")
    return found if likeness(name, found) >= least else None


def likeness(name: str, known: str) -> float:
    """From 0 to 1; a common prefix (head.) says nothing, and different ones speak against it."""
    (above, _, last), (known_above, _, known_last) = name.rpartition("."), known.rpartition(".")
    same = above == known_above
    name, known = (last, known_last) if same else (name, known)
    found = max(SequenceMatcher(None, name, each).ratio() for each in (known, known.replace("lr", "learning_rate")))
    return found if same else 0.8 * found


def commands_with(flag: str) -> list[str]:
    """The commands that have such an option; of several probes, `twinsight look`."""
    found: dict[str, list[str]] = {}
    for command, cls in COMMANDS.items():
        if any(option.flag == flag for option in every_option(cls)):
            found.setdefault(command.partition(" ")[0], []).append(command)
    return [f"`twinsight {names[0] if len(names) == 1 else word}`" for word, names in found.items()]


def listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{names[0]}, {names[1]} and others"


def elsewhere(cls: Any, chosen: Mapping[str, Any]) -> dict[str, str]:
    """Flags of choices that are not chosen, with those that have them: {"--data.root": "--data voc, folder"}."""
    found: dict[str, list[str]] = {}
    for kind, table in choices_of(cls).items():
        for name in [name for name in table if table[name] is not chosen[kind]]:
            for option in describe(cls, {**chosen, kind: table[name]}):
                if option.flag.startswith(f"--{kind}."):
                    found.setdefault(option.flag, [f"--{kind}"]).append(name)
    return {flag: f"{kind} {', '.join(names)}" for flag, (kind, *names) in found.items()}
