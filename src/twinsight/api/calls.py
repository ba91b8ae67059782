"""Calls from Python: errors and remarks speak of arguments where the command line speaks of flags."""

import inspect
import re
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from twinsight.console import remarked, spoken
from twinsight.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")

VALUE = r"\d[\d.]*(?!\w)|[A-Z]+(?!\w)|[a-z]+[_-]\w[\w-]*|[\w.~-]*/[\w./~-]+"
"""After a flag: a number, a PLACEHOLDER, a name of several words, or a path."""
FLAG = re.compile(rf"(?<![\w-])--([a-z][a-z0-9]*(?:[.-][a-z0-9]+)*)(?: ({VALUE}))?")
FIRST = re.compile(r"^--([a-z][a-z0-9.-]*) ((?:(?! --)[^:]){1,80}): ")
"""A message that begins with one flag and its value."""
GIVEN = r" --([a-z][a-z-]*) ('[^']*'|[^\s;,`]+)"
COMMAND = re.compile(rf"twinsight (pretrain|segment)((?:{GIVEN.replace('(', '(?:')})+)")
"""A whole command whose options all have one value."""
NAMED = re.compile(r"`twinsight (pretrain|segment|evaluate|look)`")
ARGUMENT = r"('[^']*'|[^\s;,`]+)"
LOOK = re.compile(rf"twinsight look ([a-z]+) --weights {ARGUMENT}")


def in_python(message: str, names: Mapping[str, str], function: str = "") -> str:
    """A sentence for the command line in Python's words: `--batch-size 4` is `batch_size=4`.

    names: arguments that the function calls otherwise than the command line. function: its name in `twinsight`.
    """

    def named(flag: str) -> str:
        first, dot, rest = flag.replace("-", "_").partition(".")
        return f"{names.get(first, first)}{dot}{rest}"

    def given(found: re.Match[str]) -> str:
        return named(found[1]) + (f"={literal(found[2])}" if found[2] else "")

    def call(found: re.Match[str]) -> str:
        given = ((flag.replace("-", "_"), value.strip("'")) for flag, value in re.findall(GIVEN, found[2]))
        keywords = (f"{name}={value if value == 'NAME' else repr(value)}" for name, value in given)
        return f"twinsight.{found[1]}({', '.join(keywords)})"

    def line(text: str) -> str:
        if text.lstrip().startswith("twinsight "):  # a command, to be typed in a terminal
            return text
        text = COMMAND.sub(call, text)
        text = NAMED.sub(r"`twinsight.\1`", text.replace("see --help", f"see help(twinsight.{function})"))
        text = LOOK.sub(lambda found: f"twinsight.look({found[1]!r}, {found[2].strip(chr(39))!r})", text)
        return FLAG.sub(given, FIRST.sub(lambda found: f"{given(found)}: ", text))

    return "\n".join(map(line, message.split("\n")))


def literal(value: str) -> str:
    """A value from the command line as Python writes it; several are a tuple."""
    if " " in value:
        return f"({', '.join(map(literal, value.split()))})"
    return value if re.fullmatch(r"-?[\d.]+(e-?\d+)?|inf|nan|[A-Z]+", value) else repr(value)


def public(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function that users call: bad input is a `UserError` in their words, raised where they called it.

    names: its arguments that the command line calls otherwise, {"weights": "source"}.
    """

    @contextmanager
    def speaking(words: Callable[[str], str]) -> Generator[None]:
        with spoken(words), warnings.catch_warnings():
            warnings.showwarning = remarked(warnings.showwarning)
            warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, in a notebook: we do without
            yield

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        words = partial(in_python, names=names, function=function.__qualname__)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            problem: BaseException
            try:
                with speaking(words):
                    refuse_twice(function, args, kwargs)
                    found = function(*args, **kwargs)
                return stream(found) if isinstance(found, Iterator) else found  # type: ignore[return-value] (an iterator in, an iterator out)
            except UserError as error:
                problem = UserError(words(str(error)))
            except KeyboardInterrupt as error:  # what was saved and how to go on was printed before
                problem = KeyboardInterrupt(*error.args)
            raise problem from None

        def stream(found: Iterator[Any]) -> Iterator[Any]:
            """Its items come later, when nothing of the call is left."""
            while True:
                try:
                    with speaking(words):
                        item = next(found)
                except StopIteration:
                    return
                except UserError as error:
                    problem = UserError(words(str(error)))
                else:
                    yield item
                    continue
                raise problem from None

        return call

    return decorate


def refuse_twice(function: Callable[..., Any], given: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raises UserError for an argument that is given both by its place and by its name."""
    for value, name in zip(given, inspect.signature(function).parameters):
        if name in named:
            mapping = f'in one mapping, data={{"name": "{value!s:.60}", ...}}' if name == "data" else "once"
            raise UserError(f"{name}: is given twice, without its name and with it; give it {mapping}")


def takes(keywords: type, *classes: type) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function whose `**options` are these keywords, a TypedDict: for `help()` and for the Tab key of a notebook.

    classes: the dataclasses that have their defaults.
    """
    defaults = {field.name: default for cls in reversed(classes) for field in fields(cls) for default in of(field)}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind != parameter.VAR_KEYWORD]
        kinds = keywords.__annotations__
        options = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=kinds[name])
            for name in kinds
            if name not in signature.parameters
        ]
        function.__signature__ = signature.replace(parameters=[*own, *options])
        return function

    return decorate


def of(field: Any) -> list[Any]:
    """The default of a field, if it is a plain value."""
    if is_dataclass(default := field.default if field.default_factory is MISSING else field.default_factory()):
        return [getattr(default, "name", None)]
    return [] if default is MISSING else [default]
