import numpy as np
import pytest
import torch
from by_hand import Trunk, batches, embed, head, moved, slopes, train, unit
from test_sinkhorn import official_sinkhorn

from twinsight.backbones.backbone import Backbone
from twinsight.methods.swav import SwAV

SIZES = (6, 6, 4, 4, 4)


def method(**options):
    torch.manual_seed(0)
    made = moved(SwAV(Trunk(), views=None, **{"prototypes": 5, "hidden": 9, "dim": 6} | options)).double()
    made.after_step(0.0)
    return made


def reference(made, views, queue=None, assigned=None):
    """The paper's listing with multi-crop, in float64 -> loss, assignments, embeddings of the large views.

    queue: (2, L, dim), assigned with the batch. assigned: the assignments to use, which get no gradient.
    """
    x = np.concatenate([embed(made.trunk, view) for view in views])
    z = np.split(unit(head(x, made.projector)), len(views))
    c = made.prototypes.weight.detach().numpy()
    q = assigned or []
    for i in range(0 if assigned else 2):
        known = z[i] if queue is None else np.concatenate([queue[i], z[i]])
        q.append(official_sinkhorn(torch.from_numpy(known @ c.T / 0.05)).numpy()[-len(z[i]) :])
    losses = []
    for i in range(2):
        for v in range(len(views)):
            if v != i:
                p = np.exp(z[v] @ c.T / 0.1)
                losses.append(-(q[i] * np.log(p / p.sum(1, keepdims=True))).sum(1).mean())
    return np.mean(losses), q, z[:2]


@pytest.mark.parametrize("sizes", [(6, 6), SIZES])
def test_loss_and_gradient_equal_the_reference(sizes):
    made, views = method(), batches(8, sizes)
    out = made(views, 0.5)
    loss, q, _ = reference(made, views)
    entropy = -sum((each * np.log(each)).sum(1).mean() for each in q) / 2
    assert out["loss"].item() == pytest.approx(loss, rel=1e-12)
    assert out["entropy"].item() == pytest.approx(entropy, rel=1e-10)
    assert out["kl"].item() == pytest.approx(loss - entropy, rel=1e-10)
    out["loss"].backward()
    found, expected = slopes(made, lambda: reference(made, views, assigned=q)[0])
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_queue_is_the_official_one():
    """Filled from its start on, the newest first; assigned with the batch once it is full, before the batch enters."""
    made = method(queue_length=12, queue_start=0.5)
    made(batches(5, SIZES), 0.4)
    assert not made.queue.any()
    queue = np.zeros((2, 12, 6))
    for step in range(4):
        views = [(view + 0.1 * step) / 2 for view in batches(5, SIZES)]
        full = step >= 3  # 5, 10, then 12 of 15
        loss, _, z = reference(made, views, queue if full else None)
        assert made(views, 0.5)["loss"].item() == pytest.approx(loss, rel=1e-12)
        queue[:, 5:] = queue[:, :-5].copy()
        queue[:, :5] = z
        torch.testing.assert_close(made.queue, torch.from_numpy(queue), rtol=1e-12, atol=1e-14)


def test_a_queue_shorter_than_a_batch_keeps_the_first():
    made = method(queue_length=3, queue_start=0.5)
    views = batches(5)
    made(views, 1.0)
    torch.testing.assert_close(made.queue, torch.from_numpy(np.stack(reference(made, views)[2]))[:, :3])
    assert made(views, 1.0)["loss"].isfinite()


def test_float32_under_autocast():
    made, views = method(queue_length=8).float(), [view.float() for view in batches(8, SIZES)]
    expected = made(views, 0.5)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        found = made(views, 0.5)["loss"]
    assert found.dtype == made.queue.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0)


def test_the_papers_sizes():
    made = SwAV(Trunk(), None)
    assert [tuple(p.shape) for p in made.projector.parameters()] == [
        (2048, 7), (2048,), (2048,), (2048,), (128, 2048), (128,)
    ]  # fmt: skip
    assert tuple(made.prototypes.weight.shape) == (3000, 128)
    assert made.queue.numel() == 0


def test_prototypes_have_length_1_and_are_frozen_early():
    made = SwAV(Trunk(), None, 5, 9, 6, freeze_prototypes=0.25)
    lengths = made.prototypes.weight.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(5))
    for progress, frozen in ((0.0, True), (0.24, True), (0.25, False)):
        made([view.float() for view in batches()], progress)["loss"].backward()
        made.after_backward(progress)
        assert (made.prototypes.weight.grad is None) == frozen
        assert made.projector[0].weight.grad is not None
    with torch.no_grad():
        made.prototypes.weight.mul_(3)
    made.after_step(0.5)
    torch.testing.assert_close(made.prototypes.weight.norm(dim=1), torch.ones(5))


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_every_kind_of_backbone(name):
    made = SwAV(Backbone(name), None, prototypes=9, hidden=16, dim=8)
    images = [torch.randint(256, (4, 3, side, side), dtype=torch.uint8) for side in (40, 40, 32)]
    out = made(images, 0.5)
    out["loss"].backward()
    assert set(out) == {"loss", "entropy", "kl", "spread", "dimensions"}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize("queue", [0, 256])
def test_it_learns_and_does_not_collapse(queue):
    """Over three seeds: 0.49 to 0.60 at the start, 0.94 to 0.97 at the end."""
    rows, before, after = train(lambda: SwAV(Trunk(), None, 12, 32, 16, queue_length=queue, queue_start=0.1), views=3)
    assert after > 0.85 > 0.7 > before
    assert rows[-1]["kl"] < 0.1 * rows[0]["kl"]
    assert rows[-1]["spread"] > 0.6


def test_loss_is_lightlys():
    loss = pytest.importorskip("lightly.loss").SwaVLoss()
    made, views = method(), batches(8, SIZES)
    with torch.no_grad():
        z = made.projector(torch.cat([made.trunk(view) for view in views]))
        scores = made.prototypes(torch.nn.functional.normalize(z)).chunk(len(views))
        np.testing.assert_allclose(made(views, 0.5)["loss"], loss(scores[:2], scores[2:]), rtol=1e-10)
