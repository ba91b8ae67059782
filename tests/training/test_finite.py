import pytest
import torch
from tiny import Tiny, fit, load

from twinsight.errors import UserError
from twinsight.runs.rows import read_rows
from twinsight.training.last import LastCheckpoint


class Bad(Tiny):
    """The loss at step `bad` (from 1) is NaN, or its gradient is while the loss is fine."""

    def __init__(self, bad: int, gradient_only: bool = False):
        super().__init__()
        self.bad, self.gradient_only = bad, gradient_only

    def forward(self, views, progress):
        loss = super().forward(views, progress)["loss"]
        if self.forwards == self.bad:
            loss = loss + (self.trunk[0].weight.sum() * 0).sqrt() if self.gradient_only else loss * torch.nan
        return {"loss": loss}


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch):
    """Checkpoints at the end of each epoch, however short."""
    monkeypatch.setattr(LastCheckpoint.__init__, "__defaults__", (None, 10.0, 0.0))


@pytest.mark.parametrize("log_every", [1, 100])
@pytest.mark.parametrize("gradient_only", [False, True])
def test_keeps_the_last_good_checkpoint(tmp_path, gradient_only, log_every):
    with pytest.raises(UserError, match=r"NaN or infinite values at step \d+, .*last.ckpt is the last good"):
        fit(tmp_path / "run", Bad(6, gradient_only), log_every=log_every)
    state = load(tmp_path / "run")
    assert state["global_step"] in (4, 5)  # of the epoch before, or of the step before
    assert all(value.isfinite().all() for value in state["state_dict"].values())


def test_names_its_step_and_the_way_on(tmp_path):
    with pytest.raises(UserError, match=r"NaN or infinite values at step 6"):
        fit(tmp_path / "run", Bad(6))
    assert fit(tmp_path / "run", Tiny(), resume=True) == "done"
    assert [row["step"] for row in read_rows(tmp_path / "run/metrics.csv")] == list(range(12))
