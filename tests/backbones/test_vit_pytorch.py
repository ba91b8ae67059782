import pytest
import torch
from torch import nn
from vit_pytorch import ViT

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError

SMALL = {"image_size": 32, "patch_size": 8, "dim": 24, "depth": 3, "heads": 2, "mlp_dim": 48, "dim_head": 12}


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return Backbone("vit-pytorch", **SMALL).eval()


@torch.no_grad()
def test_embedding_is_the_originals(backbone):
    original = ViT(num_classes=1, **SMALL).eval()
    original.mlp_head = nn.Identity()
    original.load_state_dict(backbone.network.vit.state_dict())
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(backbone(images), original(backbone.normalize(images)), atol=1e-6, rtol=0)
    torch.testing.assert_close(backbone(images), backbone(images.float() / 255), atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("size", "extent"), [((32, 32), (32, 32)), ((35, 50), (40, 56)), ((7, 99), (8, 104))])
def test_features_of_any_size(backbone, size, extent):
    images = torch.rand(2, 3, *size)
    features = backbone.features(images, [2, 0])
    assert backbone.dims == (24,) * 3
    assert backbone.strides == (8,) * 3
    assert backbone.prefix_tokens == 1
    assert features.extent == extent
    assert [found.shape for found in features.maps] == [(2, 24, extent[0] // 8, extent[1] // 8)] * 2
    torch.testing.assert_close(features.embedding, backbone(images))
    torch.testing.assert_close(features.maps[1], backbone.features(images, [0]).maps[0])


@torch.no_grad()
def test_a_maps_cell_is_its_patch(backbone):
    """Rows are rows: with attention silenced, one changed patch changes one cell of the map."""
    network = Backbone("vit-pytorch", **SMALL).eval()
    for attention, _ in network.network.vit.transformer.layers:
        attention.to_out[0].weight.zero_()
        attention.to_out[0].bias.zero_()
    images = torch.rand(1, 3, 32, 64)
    before = network.features(images, [-1]).maps[0]
    images[..., 8:16, 40:48] += 1
    moved = (network.features(images, [-1]).maps[0] - before).abs().sum(1)[0] > 1e-4
    assert moved.nonzero().tolist() == [[1, 5]]


def test_position_embeddings_are_resized_as_images(backbone):
    network = backbone.network
    assert network.position_embedding(4, 4) is network.vit.pos_embedding
    with torch.no_grad():
        ramp = Backbone("vit-pytorch", **SMALL).network
        rows = torch.arange(4.0).repeat_interleave(4)
        ramp.vit.pos_embedding[1:] = rows[:, None]
        ramp.vit.pos_embedding[0] = 7
        resized = ramp.position_embedding(8, 4)
    assert resized.shape == (1 + 32, 24)
    assert (resized[0] == 7).all()
    grid = resized[1:, 0].unflatten(0, (8, 4))
    torch.testing.assert_close(grid[:, 0], grid[:, 3])  # constant along rows
    assert (grid[:, 0].diff() > 0).all()
    torch.testing.assert_close(grid.mean(), torch.tensor(1.5))


def test_layers_and_freezing():
    backbone = Backbone("vit-pytorch", **SMALL, dropout=0.5)
    depth = {name.removeprefix("network.vit."): layer for name, layer in backbone.layer_ids().items()}
    assert {name for name, layer in depth.items() if layer == 0} == {
        name for name in depth if name.startswith(("cls_token", "pos_embedding", "to_patch_embedding."))
    }
    for name, layer in depth.items():
        if name.startswith("transformer.layers."):
            assert layer == int(name.split(".")[2]) + 1
    assert depth["transformer.norm.weight"] == 3
    backbone.freeze(1)
    backbone.train()
    images = torch.rand(2, 3, 32, 32)
    first, second = (backbone.features(images, [0, 2]).maps for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_all_of_it_learns(backbone):
    backbone.features(torch.rand(2, 3, 40, 40), [2]).maps[0].square().sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_sizes_that_do_not_fit():
    with pytest.raises(UserError, match=r"--backbone.image-size 30: .*patch-size 8"):
        Backbone("vit-pytorch", **SMALL | {"image_size": 30})
