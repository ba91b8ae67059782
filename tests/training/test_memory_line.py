"""What is said of memory before the first step."""

import pytest

from twinsight.choices.backbones import TimmOptions
from twinsight.choices.data import ShapesOptions
from twinsight.choices.methods import BarlowTwinsOptions, TwoViewsOptions
from twinsight.commands import pretrain
from twinsight.config import Pretrain
from twinsight.device import Device


@pytest.mark.parametrize(("free", "warned"), [(2**36, False), (2**20, True)])
def test_told_before_the_first_step(tmp_path, monkeypatch, capfd, free, warned):
    monkeypatch.setattr(Device, "free_memory", lambda *_: free)
    options = Pretrain(
        run=tmp_path / "run", epochs=1, batch_size=4, workers=0, precision="fp32", probe="none",
        method=BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
        backbone=TimmOptions(name="test_resnet"), data=ShapesOptions(count=8, size=32),
    )  # fmt: skip
    pretrain.run(options)
    err = capfd.readouterr().err
    assert err.index("memory: about 0.0 GB of the ") < err.index("waiting for the first batch")
    for option in ("--find-batch-size", "--checkpointing", "--accumulate N --accumulate-exact"):
        assert (option in err) == warned
