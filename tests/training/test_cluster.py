"""How a training starts its processes within a SLURM job."""

import pytest
from lightning.pytorch.plugins.environments import SLURMEnvironment

from twinsight.training.trainer import processes_of_our_own


@pytest.mark.parametrize(("tasks", "processes", "ours"), [("1", 2, True), ("1", 1, False), ("2", 2, False)])
def test_a_job_of_one_task(monkeypatch, tasks, processes, ours):
    """Else Lightning takes SLURM's word that there is one process, and trains in one."""
    monkeypatch.setenv("SLURM_NTASKS", tasks)
    monkeypatch.setenv("SLURM_JOB_NAME", "pretrain")
    assert SLURMEnvironment.detect()
    found = processes_of_our_own(processes)
    assert (found is not None) == ours
    assert found is None or not found.creates_processes_externally
