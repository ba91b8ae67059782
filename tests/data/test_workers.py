"""Workers end with the process that started them."""

import subprocess
import sys

import pytest

LEFT_RUNNING = """
from twinsight.data.loader import Pairs, eval_loader
from twinsight.data.shapes import Shapes

loader = eval_loader(Pairs(Shapes("train", 8, 16)), 1, workers=1)
batches = iter(loader)  # lives until the very end, as in the frames of an error
print(next(batches).images.shape[0], flush=True)
raise {error}
"""


@pytest.mark.parametrize(("error", "code"), [("KeyboardInterrupt", -2), ("SystemExit(143)", 143)])
def test_a_process_ends_although_its_workers_ignore_sigterm(error: str, code: int) -> None:
    script = LEFT_RUNNING.format(error=error)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (code, "1\n")
    assert "DataLoader worker" not in ended.stderr
