import math

import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.network.filters import Filters, first_filters, mosaic


def network(weights):
    conv = nn.Conv2d(3, len(weights), weights.shape[2:], bias=False)
    conv.weight.data = weights
    return nn.Sequential(conv)


def drawn(plot):
    """(H, W, 3) as the figure holds it."""
    return plot.figure().axes[0].images[0].get_array()


def test_numbers_of_filters_known_by_heart():
    weights = torch.zeros(5, 3, 2, 2)
    weights[0, 0, 0, 0], weights[1, 0, 0, 0], weights[2, 1, 1, 1] = 1, -2, 3
    weights[3, :, :, 0] = 1
    numbers = Filters()(network(weights)).numbers
    # Cosines of the four that are not empty: 1 of the first two; 1 / sqrt(6) with the last of each of those.
    assert numbers["redundancy"] == pytest.approx((1 + 2 / math.sqrt(6)) / 6)
    assert numbers["count"] == 5
    assert numbers["dead"] == pytest.approx(0.2)


def test_dead_is_under_one_percent_of_the_median():
    weights = torch.ones(8, 3, 1, 1) * torch.tensor([1, 1, 1, 1, 1, 0.011, 0.009, 0]).view(-1, 1, 1, 1)
    assert Filters()(network(weights)).numbers["dead"] == pytest.approx(2 / 8)


def test_low_frequency_of_a_spike_is_a_discs_share_of_the_square():
    weights = torch.zeros(1, 3, 7, 7)
    weights[0, 1, 3, 2] = 1
    numbers = Filters()(network(weights)).numbers
    assert numbers["low_frequency"] == pytest.approx(math.pi / 16, abs=0.01)
    assert math.isnan(numbers["redundancy"])


@pytest.mark.parametrize(("cycles", "share"), [(0.1, 1), (0.24, 1), (0.26, 0), (0.5, 0)])
def test_low_frequency_of_waves(cycles, share):
    x = torch.arange(100, dtype=torch.float64)
    wave = (2 * math.pi * cycles * x).cos().expand(1, 3, 100, 100)
    assert Filters()(network(wave.float())).numbers["low_frequency"] == pytest.approx(share, abs=1e-6)


def test_the_strongest_come_first_each_on_its_own_scale():
    weights = torch.zeros(3, 3, 1, 1)
    weights[0, 0], weights[1, 1], weights[2, 2] = 0.1, -5, 1
    image = drawn(Filters(count=2)(network(weights)).figures["filters"])
    assert image.shape == (64, 64 + 4 + 64, 3)
    assert (image[:, :64] == [128, 0, 128]).all()
    assert (image[:, 64:68] == 30).all()
    assert (image[:, 68:] == [128, 128, 255]).all()


def test_each_pixel_of_a_filter_is_a_block():
    filters = np.zeros((1, 3, 2, 3), np.float32)
    filters[0, :, 0, 2], filters[0, 0, 1, 0] = 2, -2
    image = drawn(mosaic(filters))
    assert image.shape == (2 * 22, 3 * 22, 3)
    assert (image[:22, 44:] == 255).all()
    assert (image[22:, :22] == [0, 128, 128]).all()
    assert (image[:, 22:44] == 128).all()


@pytest.mark.parametrize(("count", "columns", "rows"), [(64, 8, 8), (100, 10, 10), (96, 12, 8), (33, 11, 3), (5, 5, 1)])
def test_columns_that_leave_the_fewest_gaps(count, columns, rows):
    plot = mosaic(np.ones((count, 3, 4, 4), np.float32))
    assert drawn(plot).shape == (rows * 68 - 4, columns * 68 - 4, 3)
    assert plot.width <= 7.2


def test_linear_patch_embedding_is_put_back_into_a_patch():
    backbone = Backbone("vit-pytorch", patch_size=8, dim=12, depth=1, heads=2, mlp_dim=12)
    weights = first_filters(backbone)
    assert weights.shape == (12, 3, 8, 8)
    rearrange, _, linear, _ = backbone.network.vit.to_patch_embedding
    patch = torch.randn(1, 3, 8, 8)
    expected = linear(rearrange(patch))[0, 0] - linear.bias
    assert torch.allclose((weights * patch).sum((1, 2, 3)), expected, atol=1e-5)


@pytest.mark.parametrize(("name", "options", "shape"), [
    ("resnet18", {}, (64, 3, 7, 7)),
    ("vit_tiny_patch16_224", {"embed_dim": 12, "depth": 1, "num_heads": 2}, (12, 3, 16, 16)),
])  # fmt: skip
def test_backbones(name, options, shape):
    backbone = Backbone(name, **options).train()
    finding = Filters()(backbone, [torch.zeros(3, 5, 5)])
    stem = next(module for module in backbone.modules() if isinstance(module, nn.Conv2d))
    assert finding.arrays["filters"].shape == shape
    assert (finding.arrays["filters"] == stem.weight.detach().numpy()).all()
    assert stem.weight.requires_grad
    assert backbone.training
    finding.figures["filters"].figure().draw_without_rendering()


@pytest.mark.parametrize(
    "model",
    [nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(3, 4, 3)), nn.Sequential(nn.Linear(10, 4)), nn.Sequential(nn.ReLU())],
)
def test_first_layer_that_does_not_read_rgb(model):
    with pytest.raises(UserError, match="--backbone Sequential: its first layer has no weights on RGB"):
        Filters()(model)


def test_impossible_count():
    with pytest.raises(UserError, match="--count 0"):
        Filters(count=0)


def test_the_smoothest_come_first_and_noise_is_called_so():
    smooth, noise = torch.ones(3, 8, 8), torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    plot = Filters()(network(torch.stack([9 * noise, smooth]))).figures["filters"]
    image = drawn(plot)
    assert (image[:, :64] == 255).all()
    assert image[:, 68:].std() > 20
    assert "white noise: 20%" in plot.figure().axes[0].get_title()
    title = Filters()(network(noise[None])).figures["filters"].figure().axes[0].get_title()
    assert "hardly different from noise" in title
