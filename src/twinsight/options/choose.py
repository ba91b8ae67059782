"""Which dataclass a name chooses: that of `--head fcn`, of a folder given to --data, of a Python file of one's own."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from twinsight.errors import UserError
from twinsight.options.choices import choices_of, names_of, sections, table
from twinsight.options.detect import PLACES, detect
from twinsight.options.from_file import absolute, from_file, is_own, refuse_code_beside
from twinsight.ours import refuse_run

Tree = dict[str, Any]


def suggest(name: str, names: Sequence[str] | Mapping[str, Any]) -> str:
    close = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"choose one of {', '.join(names)}"


def choose(cls: Any, sources: Sequence[tuple[str, Tree]], masks: bool = False) -> dict[str, Any]:
    """The dataclass of each choice of a command, by the last of the sources that names one.

    masks: whether flags, which are not among the sources, name masks beside the images.

    Brings sections to their long form (head: fcn is head: {name: fcn}), and takes out those of a choice that a later
    one replaces.
    """
    choices = {field.name: field for field in fields(cls) if field.name in choices_of(cls)}
    method = choose_one(choices.pop("method"), sources) if "method" in choices else None
    classes = getattr(cls, "by_classes", False) or "classes" in getattr(method, "given", ())
    chosen = {name: choose_one(field, sources, classes and not masks) for name, field in choices.items()}
    return chosen if method is None else chosen | {"method": method}


def choose_one(field: Any, sources: Sequence[tuple[str, Tree]], classes: bool = False) -> Any:
    """classes: whether a folder given to --data is wanted with classes of whole images."""
    kind, chosen = field.name, None
    if kind == "data" and not any(naming(tree.get("data")) for _, tree in sources):
        for _, tree in sources:
            if isinstance(tree.get("data"), Mapping) and "root" in tree["data"]:  # --data.root photos
                refuse_run("--data.root ", Path(tree["data"]["root"]))
                tree["data"] = tree["data"] | {
                    "name": detect(Path(tree["data"]["root"]), "--data.root", classes and not tree["data"].get("masks"))
                }
    for i, (source, tree) in enumerate(sources):
        if naming(tree.get(kind)) is None:
            continue
        given = tree[kind] if isinstance(tree[kind], Mapping) else {"name": tree[kind]}
        section = tree[kind] = located(kind, given, table(field.type), source, classes)
        named = by_name(field, section["name"])
        for _, below in sources[:i]:
            if isinstance(below.get(kind), Mapping):
                moved = section.keys() != given.keys()
                below[kind] = kept(below[kind], moved) if chosen in (None, named) else {}
        chosen = named
    return chosen or field.default_factory


def naming(section: Any) -> Any:
    """What a section names: `head: fcn` and `head: {name: fcn}` name fcn."""
    return cast(Tree, section).get("name") if isinstance(section, Mapping) else section


def kept(section: Tree, moved: bool) -> Tree:
    """A section below one that goes on with it; moved: data elsewhere, whose masks do not lie where they lay."""
    return {key: value for key, value in section.items() if not (moved and key in PLACES)}


def located(kind: str, section: Mapping[str, Any], known: Mapping[str, Any], source: str, classes: bool) -> Tree:
    """A section whose name is a path, as what is there: a folder of images, or a Python file. classes: see `detect`."""
    given = section["name"]
    name: Any = os.fspath(cast(os.PathLike[str], given)) if isinstance(given, os.PathLike) else given
    if isinstance(name, str) and kind == "data" and "root" not in section and reads_here(known.get(name), name):
        raise UserError(
            f"--data {name}: names a format, and there is a folder called {name}; give --data ./{name} to read that "
            "folder, or --data.root to name another"
        )
    if not isinstance(name, str) or name in known:
        return {**section, "name": name}
    if kind in ("method", "head", "data") and is_own(name):
        if source:
            refuse_code_beside(source, kind, name)
        return {**section, "name": absolute(f"--{kind}", name)}
    if kind == "data" and Path(name).exists():
        if "root" in section:
            raise UserError(f"--data.root: cannot be combined with --data {name}, which is a folder; leave one out")
        refuse_run("--data ", Path(name))
        return {**section, "name": detect(Path(name), classes=classes and not section.get("masks")), "root": name}
    return {**section, "name": name}


def reads_here(cls: Any, name: str) -> bool:
    """Whether data of this name would be sought in the working directory although a folder there has the name."""
    return getattr(cls, "root", None) == Path(".") and Path(name).is_dir()


def by_name(field: Any, name: Any) -> Any:
    """The dataclass of a name. Raises UserError if there is none."""
    known = table(field.type)
    if isinstance(name, str) and name in known:
        return known[name]
    if isinstance(name, str) and field.name in ("method", "head", "data") and is_own(name):
        return from_file(field.name, name)
    if isinstance(name, str) and (anything := [cls for cls in sections(field.type) if not list(names_of(cls))]):
        return anything[0]
    folder = ", and there is no such folder" if field.name == "data" else ""
    raise UserError(f"--{field.name} {name!s:.60}: unknown{folder}; {suggest(str(name), known)}")
