import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import fields

import pytest

from twinsight import dispatch
from twinsight.cli import main
from twinsight.errors import Remark
from twinsight.options.backbones import BACKBONES
from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS
from twinsight.options.data import DATA
from twinsight.options.heads import HEADS
from twinsight.options.methods import METHODS

ENV = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def call(argv: str, capfd) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        main(argv.split())
    out, err = capfd.readouterr()
    return int(exit.value.code or 0), out, err


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from twinsight.cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    try: main([*command.split(), '--help'])\n"
        "    except SystemExit as exit: assert not exit.code\n"
        "heavy = {'torch', 'lightning', 'timm', 'torchvision', 'cv2', 'matplotlib', 'numpy', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, "", *COMMANDS], env=ENV, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("argv", ["", "--help", "help"])
def test_overview(capfd, argv):
    code, out, _ = call(argv, capfd)
    assert code == 0
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize(
    ("command", "kind", "name", "cls"),
    [(command, kind, name, cls)
     for command, options in COMMANDS.items() if command != "data make"
     for kind, table in choices_of(options).items() for name, cls in table.items()],
)  # fmt: skip
def test_help_of_each_choice(capfd, command, kind, name, cls):
    code, out, _ = call(f"{command} --{kind} {name} --help", capfd)
    assert code == 0
    for option in fields(cls):
        if option.name != "name":
            assert f"--{kind}.{option.name.replace('_', '-')}" in out


@pytest.mark.parametrize(
    ("argv", "suggestion"),
    [
        ("pretrian", "did you mean pretrain?"),
        ("data chek", "did you mean check?"),
        ("pretrain --epohcs 3", "--epochs"),
        ("segment --head setr-pub", "did you mean setr-pup?"),
        ("segment --head=setr-pub", "did you mean setr-pup?"),
        ("segment --head setr-pup --head.chanels 3", "--head.channels"),
        ("pretrain --method barlow-twin", "did you mean barlow-twins?"),
        ("pretrain --data shape", "did you mean shapes?"),
        ("pretrain --backbone resnt18 --dry-run", "did you mean resnet18"),
        ("pretrain --precision fp17", "fp16"),
    ],
)
def test_misspelt(capfd, argv, suggestion):
    code, out, err = call(argv, capfd)
    assert code == 2
    assert suggestion in err
    assert not out


@pytest.mark.parametrize("name", ["epochs x", "epochs", "head", "config", "resume", "lr -1", "run x --run"])
def test_wrong_value(capfd, name):
    code, _, err = call(f"segment --{name}", capfd)
    assert code == 2
    assert f"--{name.split()[0]}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("argv", ["--help", "data list"])
@pytest.mark.parametrize(
    ("target", "codes", "says"),
    [
        ("> /dev/full", {2}, "twinsight: error: no space left on device: the output could not be written; free some"),
        ("| true", {0, 1}, ""),
        (">&-", {0}, ""),
    ],
)
def test_output_that_cannot_be_written(argv, target, codes, says):
    line = f"set -o pipefail; {sys.executable} -m twinsight {argv} {target}"
    done = subprocess.run(["bash", "-c", line], env=ENV, capture_output=True, text=True)
    assert done.returncode in codes
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == bool(says)


@pytest.mark.parametrize("library", ["twinsight.console", "twinsight.options.commands", "torch"])
def test_ctrl_c_during_imports(library):
    code = (
        "import os, signal, sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *rest):\n"
        f"        if name == {library!r}: signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from twinsight.cli import main\n"
        "main(['weights'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "twinsight: interrupted"
    assert "Traceback" not in done.stderr


def test_a_remark_is_a_plain_line(capfd, monkeypatch):
    def run(argv):
        warnings.warn("photos: 3 HEIC files are left out", Remark, stacklevel=1)
        warnings.warn("not ours", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(dispatch, "dispatch", run)
    with pytest.warns(UserWarning, match="not ours"):
        assert call("data list", capfd) == (0, "", "photos: 3 HEIC files are left out\n")


def test_every_table_is_a_choice():
    assert {name for table in (HEADS, METHODS, DATA, BACKBONES) for name in table} >= {
        "linear",
        "barlow-twins",
        "voc",
    }


TINY = (  # noqa: SIM905
    "pretrain --data.count 32 --data.size 32 --backbone test_resnet --batch-size 8 --epochs 1 --workers 1 "
    "--method.projector 8 8 --method.views.size 32"
).split()

SLOW = """
import sys, time, pathlib
from twinsight.cli import main
from twinsight.training.last import LastCheckpoint
original = LastCheckpoint.on_train_batch_end
def slow(self, trainer, *args):
    (self.file.parent / "slow").touch()
    time.sleep(1)
    original(self, trainer, *args)
LastCheckpoint.on_train_batch_end = slow
main(sys.argv[1:])
"""


def test_ctrl_c_saves_and_resumes(tmp_path, capfd):
    run = tmp_path / "my run"
    argv = [*TINY, "--run", str(run)]
    command = [sys.executable, "-c", SLOW, *argv]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENV, start_new_session=True)
    while process.poll() is None and not (run / "checkpoints" / "slow").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    assert process.wait(60) == 130
    err = process.stderr.read()
    assert "Traceback" not in err
    assert f"twinsight pretrain --resume '{run}'" in err
    assert (run / "checkpoints" / "last.ckpt").is_file()
    with pytest.raises(SystemExit) as exit:
        main(["pretrain", "--resume", str(run)])
    assert exit.value.code == 0
    assert "done" in capfd.readouterr().err
