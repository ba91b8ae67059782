from functools import partial

import numpy as np
import pytest
import torch
from by_hand import Trunk, batches, embed, head, moved, slopes, train, unit
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.methods.simsiam import SimSiam


def method(**options):
    torch.manual_seed(0)
    return moved(SimSiam(Trunk(), views=None, **{"dim": 9, "hidden": 4} | options)).double()


def reference(made, views, stopped=None):
    """Algorithm 1 of the paper, in float64. stopped: the projections that get no gradient; default: the views' own."""
    z = [head(embed(made.trunk, view), made.projector) for view in views]
    p = [head(each, made.predictor) for each in z]
    z = stopped or z

    def distance(p, z):
        return -(unit(p) * unit(z)).sum(1).mean()

    return distance(p[0], z[1]) / 2 + distance(p[1], z[0]) / 2


@pytest.mark.parametrize("count", [8, 3])
def test_loss_and_gradient_equal_the_reference(count):
    made, views = method(), batches(count)
    loss = made(views, 0.0)["loss"]
    assert loss.item() == pytest.approx(reference(made, views), rel=1e-12)
    loss.backward()
    stopped = [head(embed(made.trunk, view), made.projector) for view in views]
    found, expected = slopes(made, partial(reference, made, views, stopped))
    assert found == pytest.approx(expected, rel=1e-6)


def test_float32_under_autocast():
    made, views = method().float(), [view.float() for view in batches()]
    expected = made(views, 0.0)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        found = made(views, 0.0)["loss"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


def test_heads_are_the_papers():
    """Batch norm follows every layer of the projector, the last without scale; the predictor has it in the middle."""
    made = SimSiam(Trunk(), None)
    shapes = [tuple(layer.weight.shape) for layer in made.projector if isinstance(layer, nn.Linear)]
    assert shapes == [(2048, 7), (2048, 2048), (2048, 2048)]
    norms = [layer.affine for layer in made.projector if isinstance(layer, nn.BatchNorm1d)]
    assert norms == [True, True, False]
    assert [type(layer).__name__ for layer in made.predictor] == ["Linear", "GlobalBatchNorm1d", "ReLU", "Linear"]
    assert [tuple(p.shape) for p in made.predictor.parameters()] == [(512, 2048), (512,), (512,), (2048, 512), (2048,)]


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_every_kind_of_backbone(name):
    made = SimSiam(Backbone(name), None, dim=16, hidden=8)
    images = [torch.randint(256, (4, 3, 40, 40), dtype=torch.uint8) for _ in range(2)]
    out = made(images, 0.5)
    out["loss"].backward()
    assert set(out) == {"loss", "spread", "dimensions"}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())
    assert made.project(images[0]).shape == (4, 16)


def test_it_learns_and_does_not_collapse():
    """Over three seeds: 0.37 to 0.46 at the start, 0.97 to 0.98 at the end."""
    rows, before, after = train(lambda: SimSiam(Trunk(), None, dim=32, hidden=8))
    assert after > 0.9 > 0.6 > before
    assert rows[-1]["loss"] < -0.9
    assert rows[-1]["dimensions"] > 3


def test_without_the_stopped_gradient_it_collapses(monkeypatch):
    """To a line or a plane; batch norm keeps them from a point. `dimensions` shows it."""
    monkeypatch.setattr(torch.Tensor, "detach", lambda self: self)
    rows, _, _ = train(lambda: SimSiam(Trunk(), None, dim=32, hidden=8))
    assert rows[-1]["loss"] < -0.99
    assert rows[-1]["dimensions"] < 2


def test_loss_is_lightlys():
    loss = pytest.importorskip("lightly.loss").NegativeCosineSimilarity()
    made, views = method(), batches()
    with torch.no_grad():
        z = [made.projector(made.trunk(view)) for view in views]
        p = [made.predictor(each) for each in z]
        theirs = (loss(p[0], z[1]) + loss(p[1], z[0])) / 2
        np.testing.assert_allclose(made(views, 0.0)["loss"], theirs, rtol=1e-12)
