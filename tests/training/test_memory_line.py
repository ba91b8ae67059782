"""What is said of memory before the first step."""

import pytest

from twinsight.assemble import planning
from twinsight.assemble.segmenting import step_loss
from twinsight.backbones.backbone import Backbone
from twinsight.commands import pretrain
from twinsight.data.shapes import Shapes
from twinsight.device import Device
from twinsight.heads.linear import Linear
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.segmentation.inference import Inference
from twinsight.segmentation.model import SegmentationModel


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
    assert err.index("memory: needs about ") < err.index("waiting for the first batch")
    for option in ("--find-batch-size", "--checkpointing", "--accumulate N --accumulate-exact"):
        assert (option in err) == warned


def test_validation_on_large_images_counts(capfd):
    """Beside a training on crops of 32 pixels; the estimate follows the size of the images."""
    model = SegmentationModel(backbone := Backbone("test_resnet"), Linear(backbone.dims, backbone.strides, 21))
    step = planning.Step(model, lambda model, batch: step_loss(model, batch, 32), 2, None)
    needed = [
        planning.validation_memory(step, Inference(), Shapes(count=1, size=size), Device("cpu")) for size in (800, 1600)
    ]
    logits = 21 * 4 * (1600**2 - 800**2)
    assert logits < needed[1] - needed[0] < 4 * logits
    planning.tell_memory(step, 2, 1.05 * needed[1], validation=needed[1])
    err = capfd.readouterr().err
    assert f"{planning.size(needed[1])} to validate on whole images; " in err
    assert "make room with --window 512" in err


def test_sizes_are_said_in_fitting_units():
    assert [planning.size(count) for count in (35e6, 999e6, 1e9, 12.34e9)] == ["35 MB", "999 MB", "1.0 GB", "12.3 GB"]
