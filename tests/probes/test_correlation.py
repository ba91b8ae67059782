import math

import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView, View, two_views
from twinsight.errors import UserError
from twinsight.methods.barlow_twins import BarlowTwins
from twinsight.probes.views.correlation import MATRIX, Correlation, cross_correlation

PLAIN = View(size=4, scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0, jitter=0, gray=0, blur=0, solarize=0)
SAME = MultiView([PLAIN, PLAIN])


class Table(nn.Module):
    """Embeds image i, a plane of value i, as row i of a table."""

    def __init__(self, rows: torch.Tensor):
        super().__init__()
        self.rows = nn.Parameter(rows)

    def forward(self, images):
        return self.rows[images[:, 0, 0, 0].long()]


def planes(count):
    return [torch.full((3, 4, 4), i, dtype=torch.uint8) for i in range(count)]


def noisy_images(count, height=40, width=56):
    return list(torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(1)).byte())


def test_the_matrix_is_numpys_correlation_in_float64():
    rng = np.random.default_rng(0)
    z1 = rng.normal(3, 5, (17, 6)) * 10.0 ** np.arange(-2, 4)[:6].clip(-1, 2)
    z2 = 0.5 * z1 + rng.normal(0, 4, (17, 6))
    c, dead = cross_correlation(torch.from_numpy(z1), torch.from_numpy(z2))
    np.testing.assert_allclose(c.numpy(), np.corrcoef(z1.T, z2.T)[:6, 6:], atol=1e-6)
    assert not dead.any()


def test_equal_views_of_independent_features_give_the_identity():
    hadamard = torch.tensor([[1.0]])
    for _ in range(3):
        hadamard = torch.cat([torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)])
    finding = Correlation(transform=SAME)(Table(hadamard[:, 1:]), planes(8))
    np.testing.assert_array_equal(finding.history["matrix"], np.eye(7))
    assert finding.history["matrix"].dtype == np.float16
    assert finding.numbers == pytest.approx(
        {
            "mean_diagonal": 1,
            "off_diagonal_rms": 0,
            "noise_floor": 1 / math.sqrt(8),
            "dead_dimensions": 0,
            "effective_rank": 7,
            "dimensions": 7,
        },
        abs=1e-6,
    )


def test_numbers_are_of_all_features_and_the_figure_of_the_first():
    rows = torch.randn(12, 9, generator=torch.Generator().manual_seed(0))
    rows[:, 8] = -rows[:, 0]  # repeats a feature that is shown
    finding = Correlation(shown=3, transform=SAME)(Table(rows), planes(12))
    c = np.corrcoef(rows.double().T.numpy())
    np.testing.assert_allclose(finding.history["matrix"], c[:3, :3], atol=1e-3)
    off = c[~np.eye(9, dtype=bool)]
    assert finding.numbers["off_diagonal_rms"] == pytest.approx(np.sqrt(np.mean(off**2)), abs=1e-6)
    assert finding.numbers["effective_rank"] < 8.01
    titles = [axis.get_title() for part in finding.figures["matrix"].figure().subfigs for axis in part.axes]
    assert any("first 3 of 9" in title for title in titles)


def test_features_that_do_not_vary_are_dead_and_zero():
    rows = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    rows[:, 1] = 0.7
    rows[:, 3] *= 1e-6
    rows[:, 4] = 1000 + 1e-4 * (torch.arange(10) % 2)  # what float32 leaves of a constant
    finding = Correlation(transform=SAME)(Table(rows), planes(10))
    matrix = finding.history["matrix"]
    assert not matrix[[1, 3, 4]].any()
    assert not matrix[:, [1, 3, 4]].any()
    assert matrix.diagonal().tolist() == [1, 0, 1, 0, 0, 1, 1, 1]
    assert finding.numbers["dead_dimensions"] == pytest.approx(3 / 8)
    assert finding.numbers["mean_diagonal"] == pytest.approx(5 / 8, abs=1e-5)


def test_a_feature_dead_in_one_view_is_dead():
    z = torch.randn(6, 2, dtype=torch.double)
    constant = torch.stack([z[:, 0], torch.zeros(6)], 1)
    c, dead = cross_correlation(constant.double(), z)
    assert dead.tolist() == [False, True]
    assert c[1].tolist() == [0, 0]


def test_collapse_is_all_dead_not_noise():
    rows = torch.full((6, 4), 3.0) + 1e-7 * torch.randn(6, 4)
    finding = Correlation(transform=SAME)(Table(rows), planes(6))
    assert finding.numbers["dead_dimensions"] == 1
    assert finding.numbers["mean_diagonal"] == 0


def test_a_single_feature_has_nothing_off_the_diagonal():
    finding = Correlation(transform=SAME)(Table(torch.arange(4.0)[:, None]), planes(4))
    assert math.isnan(finding.numbers["off_diagonal_rms"])
    finding.figures["matrix"].figure().draw_without_rendering()


def test_a_method_is_asked_for_its_projections_and_stays_as_it_was():
    method = BarlowTwins(Backbone("resnet10t"), two_views(size=32), projector=(16, 12))
    method.trunk.eval()
    state = {name: value.clone() for name, value in method.state_dict().items()}
    modes = [module.training for module in method.modules()]
    random, numpy_random = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = (Correlation(seed=seed)(method, noisy_images(5)) for seed in (0, 0, 1))
    assert first.numbers["dimensions"] == 12
    np.testing.assert_array_equal(first.history["matrix"], again.history["matrix"])
    assert (first.history["matrix"] != other.history["matrix"]).any()
    assert [module.training for module in method.modules()] == modes
    assert all(parameter.requires_grad for parameter in method.parameters())
    assert all(torch.equal(value, state[name]) for name, value in method.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert (np.random.get_state()[1] == numpy_random).all()


def test_a_backbone_gets_two_views_at_its_images_size_and_multi_crop_gives_its_first_two():
    backbone = Backbone("resnet10t")
    seen = []
    handle = backbone.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape)))
    finding = Correlation()(backbone, noisy_images(3))
    Correlation(transform=MultiView([View(size=48), View(size=48), View(size=32)]))(backbone, noisy_images(3))
    handle.remove()
    assert finding.numbers["dimensions"] == backbone.dim
    assert seen == [(3, 3, 40, 40)] * 2 + [(3, 3, 48, 48)] * 2


def test_colors_differ_in_lightness():
    light = {value: MATRIX((value + 1) / 2)[:3] @ np.array([0.2126, 0.7152, 0.0722]) for value in (-1, 0, 1)}
    assert light[-1] + 0.15 < light[1] < light[0] - 0.25


@pytest.mark.parametrize(
    ("options", "count", "message"),
    [
        ({}, 1, "images: 1 given"),
        ({"transform": MultiView([PLAIN])}, 3, "views: the transform makes only one"),
        ({"shown": 0}, 3, "--shown 0"),
        ({"seed": -1}, 3, "--seed -1"),
    ],
)
def test_what_cannot_be_asked(options, count, message):
    with pytest.raises(UserError, match=message):
        Correlation(**options)(Table(torch.randn(3, 2)), planes(count))


def test_diverged_training():
    model = Table(torch.full((3, 2), torch.nan)).train()
    with pytest.raises(UserError, match="not finite"):
        Correlation(transform=SAME)(model, planes(3))
    assert model.training
