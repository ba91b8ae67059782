import numpy as np
import pytest
import timm
import torch

from twinsight.backbones.backbone import Backbone
from twinsight.probes.network.receptive_field import ReceptiveField
from twinsight.probes.network.silent_branches import branches_on, silent_gains


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("resnet18", {}, 8),  # the second norm of each of the 8 blocks
        ("resnet18", {"zero_init_last": False}, 0),
        ("resnet50", {}, 16),
        ("convnext_atto", {"depths": (1, 1, 1, 1), "ls_init_value": 1e-6}, 4),
        (
            "convnextv2_atto",
            {"depths": (1, 1, 1, 1)},
            0,
        ),  # zeros in its response norms silence nothing
        ("vit_tiny_patch16_224", {"depth": 2, "init_values": 1e-5}, 4),  # attention and MLP of each block
        ("vit_tiny_patch16_224", {"depth": 2, "init_values": 0.1}, 0),  # of use from the start
        ("swinv2_tiny_window8_256", {"depths": (1, 1, 1, 1)}, 8),
    ],
)
def test_the_branches_that_initializations_switch_off(name, options, count):
    assert len(silent_gains(timm.create_model(name, **options))) == count


def test_a_trained_factor_is_left_alone():
    model = timm.create_model("resnet18")
    with torch.no_grad():
        for gain in silent_gains(model):
            gain += 1e-4 * torch.randn_like(gain)
    assert not silent_gains(model)


def test_the_network_is_as_it_was():
    model = timm.create_model("resnet18")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with branches_on(model) as count:
        assert count == 8
        assert not silent_gains(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_field_of_an_untrained_resnet_is_that_of_its_convolutions():
    """Zero-initialized branches let the gradient through shortcuts alone: the field of one pixel of the stem."""
    torch.manual_seed(0)
    silent = Backbone("resnet18")
    open_ = Backbone("resnet18", zero_init_last=False)
    open_.network.load_state_dict(
        silent.network.state_dict() | {k: v for k, v in open_.network.state_dict().items() if k.endswith("bn2.weight")}
    )
    image = [torch.rand(3, 64, 64)]
    probe = ReceptiveField(layers=["layer3"])
    found, wanted = probe(silent, image), probe(open_, image)
    np.testing.assert_allclose(found.arrays["layer3"], wanted.arrays["layer3"], rtol=1e-4)
    assert found.numbers["layer3/radius95"] > 10
    assert "8 residual branches" in found.remarks[0]
    assert not wanted.remarks
