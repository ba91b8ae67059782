"""What Windows and macOS lack is not used, or has a substitute. Linux plays them; there the tests run as they are."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import twinsight

SOURCE = Path(twinsight.__file__).parent
SYSTEMS = ["windows", "darwin"] if sys.platform == "linux" else ["here"]
TINY = (
    "--backbone test_resnet --batch-size 4 --epochs 1 --warmup-epochs 0 --precision fp32 --accelerator cpu --probe none"
)
PRETRAIN = (
    "pretrain --data folder --data.root street/JPEGImages --method.projector 8 8 --method.views.size 32 --run runs/фото"
)

CONTROL = """
import os
import signal
import sys
from pathlib import Path


def refused(action, error):
    try:
        action()
    except error:
        return True


def locked():
    import fcntl


assert refused(locked, ModuleNotFoundError)
assert sys.platform == "win32" and os.name == "nt"
assert not hasattr(os, "getuid") and not hasattr(signal, "SIGUSR1") and hasattr(os, "replace")
for name in "ab":
    Path(name).write_text(name, encoding="utf-8")
assert refused(lambda: Path("a").read_text(), EncodingWarning)
assert refused(lambda: Path("a").rename("b"), FileExistsError)
with open("a", encoding="utf-8"):
    assert refused(lambda: os.replace("a", "b"), PermissionError)
os.replace("a", "b")
"""


def play(folder: Path, system: str, *commands: str) -> str:
    """Runs commands in a folder as on another system; returns what they print."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(SOURCE.parent), str(folder)]),
        "PYTHONWARNDEFAULTENCODING": "1",
        "PYTHONIOENCODING": "cp1252",  # of a pipe, on Windows of the west
    }
    script = Path(__file__).with_name("another_system.py")
    done = subprocess.run(
        [sys.executable, str(script), system, ", ".join(commands)],
        cwd=folder, env=environment, capture_output=True, text=True, encoding="cp1252",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="imitates Windows by /proc")
def test_what_windows_lacks_is_hidden(tmp_path):
    (tmp_path / "twinsight_control.py").write_text(CONTROL, encoding="utf-8")
    play(tmp_path, "windows", "import twinsight_control")


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_module_is_imported(tmp_path, system):
    play(tmp_path, system, "import")


@pytest.mark.parametrize("system", SYSTEMS[:1])
def test_from_images_to_masks(tmp_path, system):
    """With a spawned worker, an --overwrite, a cache and a resume: all that locks, renames and maps files."""
    out = play(
        tmp_path,
        system,
        "data make shapes street --data.count 8 --data.val-count 4 --data.size 32",
        f"{PRETRAIN} {TINY} --workers 1",
        f"{PRETRAIN} {TINY} --workers 0 --overwrite",
        "segment --data voc --data.root street --data.cache cache --weights runs/фото --head linear --augment.size 32 "
        f"--run runs/street --workers 0 {TINY}",
        "segment --resume runs/street --epochs 2",
        "evaluate runs/street",
        "predict runs/street street/JPEGImages --out masks",
    )
    assert "mean iou" in out.lower()
    assert len(list((tmp_path / "masks").rglob("*.png"))) == 12
    assert not list((tmp_path / "runs").glob(".*"))


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_nothing_is_renamed_but_by_replacing(file):
    """os.rename and Path.rename refuse an existing target on Windows alone."""
    calls = [node.func for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call, ast.Attribute) and call.attr in ("rename", "renames")]
