import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

from twinsight import dispatch
from twinsight.cli import main
from twinsight.errors import Remark
from twinsight.options.backbones import BACKBONES
from twinsight.options.commands import COMMANDS
from twinsight.options.data import DATA
from twinsight.options.heads import HEADS
from twinsight.options.methods import METHODS
from twinsight.options.parse import parse

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
    assert all(command.removeprefix("look ") in out for command in COMMANDS)
    assert len(out.splitlines()) <= 48


@pytest.mark.parametrize(
    ("argv", "suggestion"),
    [
        ("pretrian", "did you mean pretrain?"),
        ("data chek", "did you mean check?"),
        ("attention", "did you mean look attention?"),
        ("errors", "twinsight errors: no such command; choose one of demo, pretrain, "),
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


@pytest.mark.parametrize("argv", ["look", "look --help", "data", "data help"])
def test_overview_of_what_is_below(capfd, argv):
    code, out, _ = call(argv, capfd)
    words = argv.split()[0]
    assert code == 0
    assert all(command.split()[1] in out for command in COMMANDS if command.startswith(f"{words} "))


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("pretrain --bach-size 3", "--bach-size: no such option; did you mean --batch-size?"),
        ("segment --head linear --head.rates 6 12", "--head.rates: belongs to --head deeplabv3, which is not chosen"),
        ("segment --epochs", "--epochs: needs a value, a whole number"),
        ("segment --epochs ten", "--epochs ten: must be a whole number"),
        ("pretrain shapes street", "street: one word too many; see --help"),
        (
            "pretrain --log mlflow",
            "--log mlflow: must be a list, each one of tensorboard, wandb; there is no folder mlflow",
        ),
        (
            "segment --head deeplabv3 --head.rates 1e3",
            "--head.rates 1e3: must be a list, each a whole number or none; there is no folder 1e3",
        ),
        (
            "pretrain --method.local-scale 1 0.1",
            "--method.local-scale: no such option; did you mean --method.views.local-scale?",
        ),
        ("pretrain --data voc photos", "photos: names the data, and so does --data voc; leave one of them out"),
        (
            "segment street --data coco --data.root street",
            "street: names the data, and so does --data.root street; leave one of them out",
        ),
        ("pretrain nowhere", "--data nowhere: unknown, and there is no such folder"),
        ("evaluate", "RUN: is missing; see --help"),
        ("look --weights a", "twinsight look --weights: an option before the name; put one of attention, "),
    ],
)
def test_bad_input_in_one_sentence(capfd, argv, sentence):
    code, out, err = call(argv, capfd)
    assert (code, out) == (2, "")
    assert err.startswith(f"twinsight: error: {sentence}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("pretrain", "photos"),
        ("pretrain", "photos --run photos"),
        ("pretrain", "--run photos --method dino photos --epochs 3"),
        ("segment", "--epochs 3 photos --workers 2 --head unet --head.channels 8 8 8 8 --dry-run"),
        ("segment", "--lr 1e-3 --data.values 0 255 --overwrite photos"),
        ("evaluate", "runs/a photos --flip"),
        ("evaluate", "--window 64 runs/a --flip photos"),
        ("data check", "photos"),
        ("data show", "photos --count 3"),
    ],
)
def test_a_word_without_a_flag_is_the_data(tmp_path, monkeypatch, command, flags):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    options = parse(COMMANDS[command], command, flags.split())
    assert (options.data.name, str(options.data.root)) == ("folder", "photos")
    if "--run" in flags:
        assert str(options.run) == "photos"


@pytest.mark.parametrize("name", ["epochs x", "epochs", "head", "config", "resume", "lr -1", "run x --run"])
def test_wrong_value(capfd, name):
    code, _, err = call(f"segment --{name}", capfd)
    assert code == 2
    assert f"--{name.split()[0]}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("argv", ["--help", "pretrain --help", "data list"])
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
