from itertools import pairwise

import numpy as np
import pytest
import torch
from by_hand import Flat, Trunk, batches, derivatives
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import View
from twinsight.methods.lejepa import LeJEPA, epps_pulley, random_directions
from twinsight.options.build import build
from twinsight.options.methods.lejepa import LejepaViewsOptions


def method():
    torch.manual_seed(0)
    return LeJEPA(Trunk(), None, projector=(10, 8), slices=20)


SIZES = (6, 6, 4, 4, 4)


def statistic(x):
    """Epps-Pulley of N numbers, a point at a time: N times the weighted distance of characteristic functions."""
    points = np.linspace(-3, 3, 33)
    errors = [abs(np.mean(np.exp(1j * t * x)) - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2) for t in points]
    return len(x) * sum((a + b) / 2 for a, b in pairwise(errors)) * (points[1] - points[0])


def reference(z, directions, lambd=0.05):
    """The paper's algorithm 2 on projections (views, N, D), of which two are large, in float64."""
    centers = (z[0] + z[1]) / 2
    prediction = np.mean([np.mean((centers - view) ** 2) for view in z])
    sigreg = np.mean([statistic(view @ direction) for view in z for direction in directions.T])
    return (1 - lambd) * prediction + lambd * sigreg


@pytest.mark.parametrize("count", [1, 5, 200])
def test_epps_pulley_equals_the_reference_in_float32(count):
    x = np.random.default_rng(0).normal(0.3, 1.5, (count, 2))
    found = epps_pulley(torch.tensor(x, dtype=torch.float32))
    np.testing.assert_allclose(found, [statistic(x[:, 0]), statistic(x[:, 1])], rtol=1e-5)


def test_epps_pulley_nears_the_integral_and_tells_a_normal_distribution():
    """Of one sample at 0 the closed form is an integral of Gaussians, little of which lies beyond 3."""
    exact = np.sqrt(2 * np.pi) * (1 - 2 / np.sqrt(2) + 1 / np.sqrt(3))
    assert epps_pulley(torch.zeros(1, 1, dtype=torch.float64), largest=8.0, points=200).item() == pytest.approx(exact)
    assert epps_pulley(torch.zeros(1, 1)).item() == pytest.approx(exact, rel=0.02)
    normal = torch.randn(500, 40, generator=torch.Generator().manual_seed(0))
    # In the mean over samples: the integral of (1 - exp(-t^2)) exp(-t^2 / 2).
    assert epps_pulley(normal).mean().item() == pytest.approx(np.sqrt(2 * np.pi) * (1 - 1 / np.sqrt(3)), rel=0.2)
    for other in (2 * normal, normal + 0.5, normal.sign(), normal * 0):
        assert epps_pulley(other).mean() > 10


def whole_loss(made, z):
    """The loss of a method on projections that are given: (views, N, D)."""
    made.trunk, made.projector = nn.Flatten(), nn.Identity()
    torch.manual_seed(7)
    return made([view[:, None, None, :] for view in z], 0.5)["loss"]


def test_loss_and_gradient_equal_the_reference():
    z = np.random.default_rng(0).normal(0.2, 0.8, (4, 5, 3))
    views = [torch.tensor(view, dtype=torch.float32, requires_grad=True) for view in z]
    made = LeJEPA(Trunk(), None, projector=(4, 3), slices=6)
    loss = whole_loss(made, views)
    loss.backward()
    torch.manual_seed(7)
    directions = random_directions(views[0], 6).double().numpy()
    np.testing.assert_allclose((directions**2).sum(0), 1, rtol=1e-6)
    assert loss.item() == pytest.approx(reference(z, directions), rel=1e-5)
    (expected,) = derivatives(lambda array: reference(array, directions), z)
    found = np.stack([view.grad.numpy() for view in views])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_equals_lightly():
    losses = pytest.importorskip("lightly.loss.lejepa_loss")
    z = torch.randn(5, 9, 4, generator=torch.Generator().manual_seed(0))
    ours = whole_loss(LeJEPA(Trunk(), None, projector=(4,), slices=30), list(z))
    torch.manual_seed(7)
    theirs = losses.LeJEPALoss(sigreg_num_vectors=30)(global_proj=z[:2], local_proj=z[2:])
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_under_autocast(dtype):
    z = list(torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(0)).to(dtype))
    expected = whole_loss(method(), [view.float() for view in z])
    with torch.autocast("cpu", dtype):
        found = whole_loss(method(), z)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_one_forward_a_resolution_and_gradients_through_all_views():
    made, seen = method().double(), []
    made.trunk.register_forward_pre_hook(lambda _, images: seen.append(tuple(images[0].shape)))
    views = [view.requires_grad_() for view in batches(8, SIZES)]
    out = made(views, 0.5)
    out["loss"].backward()
    assert seen == [(16, 3, 6, 6), (24, 3, 4, 4)]
    assert all(view.grad.abs().sum() > 0 for view in views)
    assert [name for name, value in out.items() if value.requires_grad] == ["loss"]


def test_a_collapse_shows_in_the_deviation():
    out = method()([torch.ones(6, 3, 4, 4)] * 3, 0.0)
    assert out["deviation"] < 1e-3
    assert out["prediction"] < 1e-6
    assert out["sigreg"] > 1


def test_the_projector_is_the_official_one():
    """The MLP of the authors' example: batch norm and ReLU between, a bias at the end."""
    shapes = [tuple(p.shape) for p in LeJEPA(Trunk(), None).projector.parameters()]
    assert shapes == [(2048, 7), (2048,), (2048,), (2048, 2048), (2048,), (2048,), (128, 2048), (128,)]


def test_backbones_take_large_and_small_views():
    made = LeJEPA(Backbone("test_vit"), None, projector=(16, 8), slices=16)
    made([torch.rand(4, 3, side, side) for side in (48, 48, 32, 32)], 0.5)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())


def test_views_are_the_official_ones():
    """But for small views of 96 pixels in place of 98, which patches of 16 do not divide."""
    color = {"jitter": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "gray": 0.2}
    large = View(224, scale=(0.3, 1.0), blur=0.5, solarize=0.2, **color)
    small = View(96, scale=(0.05, 0.3), blur=0.5, solarize=0.2, **color)
    assert build(LejepaViewsOptions()).views == (large, large, *[small] * 6)


def test_it_learns():
    """Noisy views of a few hidden numbers: they agree, and are normally distributed in each direction."""
    torch.manual_seed(0)
    model = LeJEPA(Flat(), None, projector=(64, 8), slices=64)
    mixing = torch.randn(8, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def views(count):
        signal = torch.randn(count, 8) @ mixing
        return [(signal + 0.1 * torch.randn_like(signal)) for _ in range(4)]

    for _ in range(200):
        optimizer.zero_grad()
        model(views(64), progress=0.0)["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        out = model.eval()(views(500), progress=1.0)
    assert out["prediction"] < 0.1
    assert 0.8 < out["deviation"] < 1.2
