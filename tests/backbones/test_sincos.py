"""Positions that MoCo v3 and MAE do not learn; what they are is tested in tests/methods/test_mae.py."""

import pytest
import torch

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.sincos import fix_positions, sincos_positions

TINY = {"depth": 1, "embed_dim": 16, "num_heads": 2}
NETWORKS = [
    ("vit_tiny_patch16_224", TINY | {"img_size": 48}, 3),
    ("vit_small_patch14_reg4_dinov2", TINY | {"img_size": 42}, 3),
    ("eva02_tiny_patch14_224", TINY | {"img_size": 42}, 3),
    ("vit-pytorch", {"image_size": 16, "patch_size": 4, "dim": 16, "depth": 1, "heads": 2, "mlp_dim": 16}, 4),
]


def positions(backbone):
    found = [p for name, p in backbone.named_parameters() if name.endswith(("pos_embed", "pos_embedding"))]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("name", "options", "side"), NETWORKS)
def test_they_are_sines_and_cosines_of_patches_and_nothing_of_tokens(name, options, side):
    backbone = Backbone(name, **options)
    fix_positions(backbone)
    found = positions(backbone)
    rows = found.view(-1, 16)
    torch.testing.assert_close(rows[-(side**2) :].double(), sincos_positions(side, side, 16), rtol=1e-6, atol=1e-6)
    assert (rows[: -(side**2)] == 0).all()
    assert not found.requires_grad
    assert [p for p in backbone.parameters() if not p.requires_grad] == [found]


def test_trained_ones_stay_and_others_have_none():
    backbone = Backbone(*NETWORKS[0][:1], **NETWORKS[0][1])
    backbone.weights = "runs/photos"
    before = positions(backbone).clone()
    fix_positions(backbone)
    assert torch.equal(positions(backbone), before)
    assert not positions(backbone).requires_grad
    for name, options in (("test_resnet", {}), ("vit_tiny_patch16_224", TINY | {"embed_dim": 18, "img_size": 48})):
        untouched = Backbone(name, **options)
        fix_positions(untouched)
        assert all(p.requires_grad for p in untouched.parameters())
