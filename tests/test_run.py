import subprocess
import sys
from pathlib import Path

import pytest
from begun import begun

from twinsight.errors import UserError
from twinsight.options.commands import Pretrain
from twinsight.runs.directory import Run, next_folder


def make(folder: Path | None, overwrite: bool = False) -> Run:
    return begun(folder, Pretrain(), "pretrain", overwrite)


def test_holds_what_one_needs_to_repeat_it(tmp_path):
    run = make(tmp_path / "a" / "run")
    assert run.checkpoints.is_dir()
    assert "epochs: auto" in (run.folder / "config.yaml").read_text()
    assert "torch: " in (run.folder / "environment.txt").read_text()


def test_default_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make(None).folder == Path("runs/pretrain-what-1")
    assert next_folder("pretrain-what") == Path("runs/pretrain-what-2")


def test_never_overwritten_silently(tmp_path):
    (tmp_path / "run").mkdir()
    make(tmp_path / "run")  # an empty folder is as good as none
    (tmp_path / "run/metrics.csv").write_text("precious")
    with pytest.raises(UserError, match=r"exists and is not empty; choose another --run, or give --overwrite"):
        make(tmp_path / "run")
    assert (tmp_path / "run/metrics.csv").exists()


def test_in_use(tmp_path):
    run = make(tmp_path / "run")
    run.last.write_text("")
    with pytest.raises(UserError, match="another process"):
        make(tmp_path / "run", overwrite=True)
    with pytest.raises(UserError, match="another process"):
        Run.reopen(tmp_path / "run", Pretrain(), "pretrain")


RESUME = """
import sys, warnings
warnings.simplefilter("ignore")
for name in sys.argv[2:]:
    sys.modules[name] = None
from pathlib import Path
import twinsight.data.cache
from twinsight.options.commands import Pretrain
from twinsight.runs.directory import Run
run = Run.reopen(Path(sys.argv[1]), Pretrain(), "pretrain")
run.take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("hidden", [[], ["fcntl"]], ids=["fcntl", "without fcntl"])
def test_killed_process_frees_its_run(tmp_path, hidden):
    """Also where fcntl does not exist, as on Windows."""
    make(tmp_path / "run").last.write_text("")
    (tmp_path / "run/.lock").unlink()
    command = [sys.executable, "-c", RESUME, str(tmp_path / "run"), *hidden]

    def resume() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert "another process is training" in resume().stderr
        holder.kill()
        holder.wait()
    assert resume().stdout == "held\n"


def test_reopen(tmp_path):
    make(tmp_path / "run")
    with pytest.raises(UserError, match="no checkpoint there"):
        Run.reopen(tmp_path / "run", Pretrain(), "pretrain")
    (tmp_path / "run/checkpoints/last.ckpt").write_text("")
    with pytest.raises(UserError, match="--batch-size: is not what"):
        Run.reopen(tmp_path / "run", Pretrain(batch_size=8), "pretrain")
    longer = Pretrain(epochs=200)
    with Run.reopen(tmp_path / "run", longer, "pretrain").training(longer, "pretrain"):
        pass
    assert "epochs: 200" in (tmp_path / "run/config.yaml").read_text()
