"""A few kills of `make soak`, in a process of its own: it forks, and this one has threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import signal
import torch
from soak import Plan, soak
torch.set_num_threads(1)
plans = [
    Plan("before the rename", signal.SIGKILL, count=3),
    Plan("in a validation", signal.SIGTERM, "group"),
    Plan("in the export", signal.SIGKILL),
]
tally = soak(len(plans), 0, Path(sys.argv[2]), plans=plans)
print(json.dumps([sum(tally.kills.values()), tally.resumes, tally.faults]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and looks into /proc")
def test_a_few_kills(tmp_path):
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", CODE, here, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == 0, done.stderr
    kills, resumes, faults = json.loads(done.stdout.splitlines()[-1])
    assert (kills, resumes, faults) == (3, 3, [])
