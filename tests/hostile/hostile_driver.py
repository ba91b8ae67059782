"""Runs bad inputs through the command line, each in a fresh folder, and says which were not refused as they should be.

`make hostile` runs them all; `python tests/hostile/hostile_driver.py WORD...` those whose name holds one of the words.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

LIMIT = 10
"""Seconds that a refusal may take."""

Content = bytes | str | Callable[[Path], object] | None
"""Of a file: what it holds, or who makes it at its path; None removes it."""


@dataclass
class Case:
    """argv: after `twinsight`, in a folder that holds the data set `shapes`, the runs `run` (of segment) and `pre` (of
    pretrain). names: a pattern of what the sentence says. files: what is otherwise in that folder.
    """

    group: str
    argv: str
    names: str
    files: dict[str, Content] = field(default_factory=dict)
    what: str = ""

    def __str__(self) -> str:
        return f"{self.group}: {self.argv} | {' '.join([*self.files, self.what])}"


class Late(BaseException):
    """Not an Exception, so that nothing on the way takes it for its own."""


def template(folder: Path) -> Path:
    """The folder that each case starts from."""
    from twinsight.cli import main
    from twinsight.data.shapes import Shapes, write

    folder.mkdir()
    write(folder / "shapes", Shapes("train", 6, 32), Shapes("val", 2, 32))
    with inside(folder):
        for command in (SEGMENT.replace("new", "run"), PRETRAIN.replace("new", "pre")):
            with contextlib.suppress(SystemExit):
                main(shlex.split(command))
    assert (folder / "run/model.safetensors").is_file()
    assert (folder / "pre/backbone.safetensors").is_file()
    return folder


SHORT = "--backbone test_resnet --batch-size 2 --epochs 1 --warmup-epochs 0 --workers 0 --probe none --log-every 1"
DATA = "--data folder --data.root shapes"
SEGMENT = f"segment {SHORT} --augment.size 32 --run new {DATA}"
PRETRAIN = f"pretrain {SHORT} --method.projector 8 8 --method.views.size 32 --run new {DATA}"
EVALUATE = f"evaluate run --workers 0 {DATA}"
PREDICT = "predict run shapes/JPEGImages --out out"
LOOK = "look filters --weights pre --out out"


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def listing(folder: Path) -> dict[str, str]:
    """What each file holds, and that each folder is there; of locks, which are made to be left, nothing."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.name not in (".lock", "lock")):
        regular = path.is_file() and not path.is_symlink()
        found[str(path.relative_to(folder))] = sha256(path.read_bytes()).hexdigest() if regular else ""
    return found


def put(folder: Path, files: dict[str, Content]) -> None:
    for name, content in files.items():
        path = folder / name
        if content is None:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def run(case: Case, start: Path, folder: Path, limit: int = LIMIT) -> str:
    """What is wrong with how a case ends, or nothing. folder: made anew, from `start`; limit: seconds."""
    from twinsight.cli import main

    shutil.copytree(start, folder)
    put(folder, case.files)
    before = listing(folder)
    code, out, err = None, io.StringIO(), io.StringIO()

    def late(*_: object) -> None:
        raise Late

    previous = signal.signal(signal.SIGALRM, late)
    signal.alarm(limit)
    try:
        with inside(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(shlex.split(case.argv))
    except SystemExit as exit:
        code = exit.code
    except Late:
        return f"takes more than {limit} s"
    except BaseException as error:
        return f"ends with a traceback: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", err.getvalue()).split())
    if code != 2:
        return f"exits with {code}: {said[-300:]}"
    if "Traceback" in said:
        return f"prints a traceback: {said[-300:]}"
    if not re.search(case.names, said):
        return f"does not say {case.names!r}: {said[-300:]}"
    after = listing(folder)
    changed = [name for name in {*before, *after} if before.get(name) != after.get(name)]
    return f"changes {sorted(changed)}" if changed else ""


def quiet() -> None:
    """Nothing asks the network, and rich writes where stderr goes at the moment."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "COLUMNS": "200"}


def main() -> int:
    sys.path.append(str(Path(__file__).parents[1]))
    from hostile_files import FILES
    from hostile_options import OPTIONS
    from hostile_runs import RUNS
    from hostile_yaml import RECIPES

    words = sys.argv[1:]
    cases = [
        case for case in [*OPTIONS, *RECIPES, *FILES, *RUNS] if not words or any(word in str(case) for word in words)
    ]
    assert len({str(case) for case in cases}) == len(cases), "two cases are the same"
    quiet()
    failed, slowest = 0, (0.0, "")
    with tempfile.TemporaryDirectory() as name:
        start = template(Path(name) / "template")
        for i, case in enumerate(cases):
            began = time.perf_counter()
            problem = run(case, start, Path(name) / str(i))
            slowest = max(slowest, (time.perf_counter() - began, str(case)))
            if problem:
                failed += 1
                print(f"FAILED {case}\n  {problem}", flush=True)
            shutil.rmtree(Path(name) / str(i))
    for group, count in Counter(case.group for case in cases).items():
        print(f"{group:14} {count:4} cases")
    print(
        f"{len(cases)} bad inputs, {len(cases) - failed} refused as they should be; the slowest in {slowest[0]:.1f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
