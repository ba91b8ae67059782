"""Position embeddings at other image sizes, resized as DINO does it."""

from copy import deepcopy

import pytest
import torch

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError


@pytest.mark.parametrize("size", [(48, 48), (24, 40), (80, 64)])
def test_positions_as_dino_resizes_them(size):
    """Bicubic with a = -0.75, sampled at (i + 0.5) * old / (new + 0.1) - 0.5, as PyTorch does for a scale factor."""
    torch.manual_seed(0)
    backbone = Backbone("test_vit", positions="dino", img_size=32, patch_size=8).eval()
    network, grid = backbone.network, 4
    positions = network.pos_embed.detach().double()[0, 1:].reshape(grid, grid, -1)
    h, w = size[0] // 8, size[1] // 8

    def weights(new: int) -> torch.Tensor:
        found = torch.zeros(new, grid, dtype=torch.float64)
        for i in range(new):
            at = (i + 0.5) * grid / (new + 0.1) - 0.5
            for j in range(int(at // 1) - 1, int(at // 1) + 3):
                d, a = abs(at - j), -0.75
                value = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
                found[i, min(max(j, 0), grid - 1)] += value
        return found

    expected = torch.einsum("hi,wj,ijc->hwc", weights(h), weights(w), positions).flatten(0, 1)
    patches = torch.zeros(1, h, w, network.embed_dim)
    found = network._pos_embed(patches)[0].double()
    assert torch.allclose(found[1:], expected, atol=1e-6)
    assert torch.equal(found[0].float(), (network.cls_token + network.pos_embed[:, :1])[0, 0])


def test_positions_at_the_own_size_are_as_they_are():
    one, other = Backbone("test_vit", positions="dino").eval(), Backbone("test_vit").eval()
    other.network.load_state_dict(one.network.state_dict())
    size = 8 * one.network.patch_embed.grid_size[0] * one.network.patch_embed.patch_size[0] // 8
    own, larger = torch.rand(1, 3, size, size), torch.rand(1, 3, 2 * size, size)
    with torch.no_grad():
        assert torch.equal(one(own), other(own))
        assert not torch.allclose(one(larger), other(larger))


def test_a_copy_has_positions_of_its_own():
    backbone = Backbone("test_vit", positions="dino").eval()
    copy = deepcopy(backbone)
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        before = copy(images)
        backbone.network.pos_embed += 1
        assert torch.equal(copy(images), before)


@pytest.mark.parametrize("name", ["test_resnet", "vit_small_patch14_reg4_dinov2"])
def test_positions_of_another_kind(name):
    with pytest.raises(UserError, match=r"--backbone.positions dino: requires a ViT"):
        Backbone(name, positions="dino")
