from functools import partial

import numpy as np
import pytest
import torch
from by_hand import Trunk, batches, embed, head, moved, slopes, train, unit
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.methods.byol import BYOL


def method(**options):
    """An online network and a target that differ."""
    torch.manual_seed(0)
    return moved(BYOL(Trunk(), views=None, **{"hidden": 9, "dim": 6} | options)).double()


def reference(made, views):
    """Equations 2 and 3 of the paper, in float64: squared distances of unit vectors, both ways."""
    target = [head(embed(made.teacher[0], view), made.teacher[1:]) for view in views]
    q = [head(head(embed(made.trunk, view), made.projector), made.predictor) for view in views]
    return sum(((unit(q[i]) - unit(target[1 - i])) ** 2).sum(1).mean() for i in range(2))


@pytest.mark.parametrize("count", [8, 3])
def test_loss_and_gradient_equal_the_reference(count):
    made, views = method(), batches(count)
    loss = made(views, 0.0)["loss"]
    assert loss.item() == pytest.approx(reference(made, views), rel=1e-12)
    loss.backward()
    found, expected = slopes(made, partial(reference, made, views))
    assert found == pytest.approx(expected, rel=1e-6)


def test_float32_under_autocast():
    made, views = method().float(), [view.float() for view in batches()]
    expected = made(views, 0.0)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        found = made(views, 0.0)["loss"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


def test_heads_are_the_papers():
    made = BYOL(Trunk(), None)
    for part, width in ((made.projector, 7), (made.predictor, 256)):
        assert [type(layer).__name__ for layer in part] == ["Linear", "GlobalBatchNorm1d", "ReLU", "Linear"]
        assert [tuple(p.shape) for p in part.parameters()] == [(4096, width), (4096,), (4096,), (256, 4096)]


@pytest.mark.parametrize(("progress", "momentum"), [(0.0, 0.996), (0.5, 0.998), (1.0, 1.0)])
def test_the_target_is_the_moving_average(progress, momentum):
    """1 - (1 - 0.996) (cos(pi k / K) + 1) / 2, as the paper has it; the predictor is not part of it."""
    made = method()
    online, target = ([p.detach().clone() for p in part.parameters()] for part in (made.student, made.teacher))
    made.after_step(progress)
    for now, t, o in zip(made.teacher.parameters(), target, online, strict=True):
        torch.testing.assert_close(now, momentum * t + (1 - momentum) * o, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(now, o) for now, o in zip(made.student.parameters(), online))
    assert made(batches(), progress)["momentum"].item() == pytest.approx(momentum)
    assert not any(p.requires_grad for p in made.teacher.parameters())


def test_the_target_begins_as_the_online_network():
    made = BYOL(Trunk(), None, 8, 4)
    assert all(torch.equal(a, b) for a, b in zip(made.student.parameters(), made.teacher.parameters(), strict=True))


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_every_kind_of_backbone(name):
    """Stochastic depth in the online network only; batch norm by the batch's statistics in both."""
    made = BYOL(Backbone(name, drop_path_rate=0.5), None, hidden=16, dim=8)
    images = [torch.randint(256, (4, 3, 40, 40), dtype=torch.uint8) for _ in range(2)]
    out = made(images, 0.5)
    out["loss"].backward()
    assert set(out) == {"loss", "momentum", "spread", "dimensions"}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.student.parameters())
    training = {type(module).__name__: module.training for module in made.teacher.modules()}
    assert training["GlobalBatchNorm1d"]
    assert not training["DropPath"]
    assert training.get("BatchNormAct2d", True)
    assert not any(module.training for module in made.eval().modules() if isinstance(module, nn.Module))


def test_it_learns_and_does_not_collapse():
    """Over three seeds: 0.44 to 0.50 at the start, 0.96 to 0.97 at the end."""
    rows, before, after = train(lambda: BYOL(Trunk(), None, hidden=32, dim=16, momentum=0.9))
    assert after > 0.9 > 0.6 > before
    assert rows[-1]["loss"] < 0.1 * rows[0]["loss"]
    assert rows[-1]["spread"] > 0.7


def test_loss_is_lightlys():
    """Theirs is the mean of the two directions' negative cosine: ours is 4 plus 4 times that."""
    loss = pytest.importorskip("lightly.loss").NegativeCosineSimilarity()
    made, views = method(), batches()
    with torch.no_grad():
        p = [made.predictor(made.projector(made.trunk(view))) for view in views]
        t = [made.teacher[1:](made.teacher[0](view)) for view in views]
        theirs = (loss(p[0], t[1]) + loss(p[1], t[0])) / 2
        np.testing.assert_allclose(made(views, 0.0)["loss"], 4 + 4 * theirs, rtol=1e-12)
