"""A method, a head or a data set in a Python file of one's own: its options are read from its constructor."""

import inspect
import re
import sys
from collections.abc import Sequence
from dataclasses import field, make_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from twinsight.errors import UserError
from twinsight.options.build import Buildable
from twinsight.options.files import FileOptions
from twinsight.options.marks import notes
from twinsight.options.values import in_words

GIVEN = {"method": ("backbone",), "head": ("dims", "strides", "num_classes"), "data": ("split",)}
"""What each kind of thing is made with; its other parameters are options."""

OFFERED = {"method": ("classes",)}
"""What it is made with if its constructor takes it."""

NAME = re.compile(r"(?P<file>.+\.py)(:(?P<in_file>\w+))?|(?P<module>[A-Za-z_][\w.]*):(?P<in_module>\w+)")


def is_own(name: str) -> bool:
    """Whether a name is FILE.py, FILE.py:CLASS or MODULE:CLASS."""
    return NAME.fullmatch(name) is not None


def absolute(flag: str, name: str) -> str:
    """The name with the file's whole path, as a run keeps it. Raises UserError if there is no such file."""
    found = NAME.fullmatch(name)
    if found is None or found["file"] is None:
        return name
    file = Path(found["file"]).resolve()
    if not file.is_file():
        raise UserError(f"{flag} {name}: there is no such file; check the path")
    return f"{file}{found[2] or ''}"


def refuse_code_beside(source: str, kind: str, name: str) -> None:
    """Raises UserError if a YAML file names a Python file by a relative path or in its own folder: whoever sends a run
    or a recipe could send the code along, which would run.
    """
    found = NAME.fullmatch(name)
    if found is None or found["file"] is None:
        return
    file, folder = Path(found["file"]), Path(source.removeprefix("--config ")).resolve().parent
    if not file.is_absolute() or folder in file.resolve().parents:
        raise UserError(
            f"{source}: {kind} names {file}, and a YAML file may name Python code only by its whole path and outside "
            f"its own folder, since that code runs; give --{kind} {file} as a flag instead"
        )


@cache
def from_file(kind: str, name: str) -> type:
    """The options of a thing, a dataclass like those in this package. Raises UserError if the file has none of it."""
    found = NAME.fullmatch(name)
    assert found is not None
    module = import_file(Path(found["file"])) if found["file"] else import_module(found["module"])
    target = pick(module, kind, name, found["in_file"] or found["in_module"])
    base = FileOptions if kind == "data" else Buildable
    hints = get_type_hints(target.__init__, include_extras=True)
    options: list[Any] = [("name", str, field(default=name))]
    for parameter in inspect.signature(target).parameters.values():
        various = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if parameter.name not in (*GIVEN[kind], *OFFERED.get(kind, ())) and not various:
            options.append(option(target, parameter, hints.get(parameter.name), name))
    made = make_dataclass(f"{target.__name__}Options", options, bases=(base,), frozen=True, kw_only=True)
    made.__doc__ = (inspect.getdoc(target) or target.__name__).partition("\n\n")[0]
    made.target = f"{module.__name__}:{target.__name__}"  # pyright: ignore[reportAttributeAccessIssue] (a made class)
    parameters = inspect.signature(target).parameters
    made.given = tuple(name for name in OFFERED.get(kind, ()) if name in parameters)  # pyright: ignore[reportAttributeAccessIssue]
    return made


def import_file(file: Path) -> ModuleType:
    """The file as a module by its own name, which workers that load data can import too."""
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    module = import_module(file.stem)
    if module.__file__ is None or Path(module.__file__).resolve() != file:
        raise UserError(f"{file}: Python has another module named {file.stem}; rename the file")
    return module


def pick(module: ModuleType, kind: str, name: str, wanted: str | None) -> type:
    """The class that is meant: the one of this name, or the only one with a fitting constructor."""
    classes = [each for each in vars(module).values() if inspect.isclass(each)]
    fitting = [
        each
        for each in classes
        if set(GIVEN[kind]) <= inspect.signature(each.__init__).parameters.keys()
        and (each.__name__ == wanted if wanted else each.__module__ == module.__name__)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        both = " and ".join(each.__name__ for each in fitting)
        raise UserError(f"--{kind} {name}: holds {both}; say which, as in --{kind} {name}:{fitting[0].__name__}")
    what = f"class {wanted}" if wanted else "class"
    raise UserError(f"--{kind} {name}: has no {what} whose __init__ takes {', '.join(GIVEN[kind])}; add one")


def option(target: type, parameter: inspect.Parameter, kind: Any, name: str) -> tuple[str, Any, Any]:
    """A parameter of a constructor as a field of a dataclass."""
    for note in notes(kind):
        if inspect.isclass(note) and issubclass(note, Buildable):
            return parameter.name, note, field(default_factory=note)
    metadata = {"help": described(target, parameter.name)}
    try:
        in_words(kind := as_tuple(kind))
    except KeyError as error:
        raise UserError(
            f"{name}: {target.__name__}'s parameter {parameter.name} cannot be an option; annotate it with int, float, "
            "bool, str, Path, a Literal or a tuple of these, or with Annotated[..., OPTIONS]"
        ) from error
    if parameter.default is parameter.empty:
        return parameter.name, kind, field(metadata=metadata)
    default: Any = parameter.default
    fixed: Any = tuple(cast(list[Any], default)) if isinstance(default, list) else default
    return parameter.name, kind, field(default=fixed, metadata=metadata)


def as_tuple(kind: Any) -> Any:
    """Sequence[int] and list[int] as tuple[int, ...]."""
    if get_origin(kind) is Annotated:
        return Annotated[(as_tuple(get_args(kind)[0]), *notes(kind))]
    return tuple[get_args(kind)[0], ...] if get_origin(kind) in (Sequence, list) else kind


def described(target: type, parameter: str) -> str:
    """What the class's docstring says of a parameter: "dim: width of the projection; hidden: ..."."""
    doc = " ".join((inspect.getdoc(target) or "").replace("\n\n", " . ").split())
    found = re.search(rf"\b{parameter}: (.+?)(?:[.;] |[.;]?$)", doc)
    return f"{found[1][:1].upper()}{found[1][1:].rstrip(' .;')}." if found else ""
