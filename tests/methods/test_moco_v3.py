from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from by_hand import Trunk, batches, embed, head, moved, slopes, train, unit
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.methods.moco_v3 import MoCoV3

VIT = {"image_size": 16, "patch_size": 4, "dim": 16, "depth": 1, "heads": 2, "mlp_dim": 16}


def method(**options):
    """A base encoder and a momentum encoder that differ."""
    torch.manual_seed(0)
    return moved(MoCoV3(Trunk(), views=None, **{"projector": (9, 9, 6), "hidden": 8} | options)).double()


def reference(made, views, temperature=0.2):
    """Algorithm 1 of the paper, in float64 and a number at a time."""
    q = [unit(head(head(embed(made.trunk, view), made.projector), made.predictor)) for view in views]
    k = [unit(head(embed(made.teacher[0], view), made.teacher[1:])) for view in views]

    def ctr(q, k):
        losses = []
        for i in range(len(q)):
            logits = [float(q[i] @ each) / temperature for each in k]
            losses.append(np.log(sum(np.exp(each) for each in logits)) - logits[i])
        return 2 * temperature * np.mean(losses)

    return ctr(q[0], k[1]) + ctr(q[1], k[0])


@pytest.mark.parametrize(("count", "temperature"), [(8, 0.2), (3, 1.0)])
def test_loss_and_gradient_equal_the_reference(count, temperature):
    made, views = method(temperature=temperature), batches(count)
    loss = made(views, 0.0)["loss"]
    assert loss.item() == pytest.approx(reference(made, views, temperature), rel=1e-12)
    loss.backward()
    found, expected = slopes(made, partial(reference, made, views, temperature))
    assert found == pytest.approx(expected, rel=1e-6)


def test_float32_under_autocast():
    made, views = method().float(), [view.float() for view in batches()]
    expected = made(views, 0.0)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        found = made(views, 0.0)["loss"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0)


def test_heads_are_the_papers():
    """Of ViTs: three layers and two, each with batch norm, the last without scale."""
    made = MoCoV3(Trunk(), None)
    for part, widths in ((made.projector, [7, 4096, 4096, 256]), (made.predictor, [256, 4096, 256])):
        linear = [layer for layer in part if isinstance(layer, nn.Linear)]
        assert [layer.weight.shape[::-1] for layer in linear] == [*pairwise(widths)]
        assert all(layer.bias is None for layer in linear)
        affine = [layer.affine for layer in part if isinstance(layer, nn.BatchNorm1d)]
        assert affine == [True] * (len(linear) - 1) + [False]


@pytest.mark.parametrize(("progress", "momentum"), [(0.0, 0.99), (0.5, 0.995), (1.0, 1.0)])
def test_the_momentum_encoder_is_the_moving_average(progress, momentum):
    made = method()
    base, average = ([p.detach().clone() for p in part.parameters()] for part in (made.student, made.teacher))
    made.after_step(progress)
    for now, t, b in zip(made.teacher.parameters(), average, base, strict=True):
        torch.testing.assert_close(now, momentum * t + (1 - momentum) * b, rtol=1e-12, atol=1e-12)
    assert made(batches(), progress)["momentum"].item() == pytest.approx(momentum)
    assert not any(p.requires_grad for p in made.teacher.parameters())


@pytest.mark.parametrize(
    ("name", "options", "fixed"),
    [
        ("test_vit", {}, {"network.patch_embed.proj.weight", "network.patch_embed.proj.bias"}),
        ("vit-pytorch", VIT, {f"network.vit.to_patch_embedding.2.{part}" for part in ("weight", "bias")}),
        ("test_resnet", {}, set()),
    ],
)
def test_the_patch_projection_of_every_kind_of_backbone(name, options, fixed):
    for freeze in (True, False):
        made = MoCoV3(Backbone(name, **options), None, (16, 16, 8), 16, freeze_patches=freeze)
        images = [torch.randint(256, (4, 3, 16, 16), dtype=torch.uint8) for _ in range(2)]
        made(images, 0.5)["loss"].backward()
        without = {name for name, p in made.trunk.named_parameters() if p.grad is None}
        without = {name for name in without if "pos_embed" not in name}  # see tests/backbones/test_sincos.py
        assert without == (fixed if freeze else set())
        assert all(p.grad.isfinite().all() for p in made.student.parameters() if p.grad is not None)


def test_it_learns_and_does_not_collapse():
    """Over three seeds: 0.33 to 0.48 at the start, 0.96 at the end."""
    rows, before, after = train(lambda: MoCoV3(Trunk(), None, (32, 32, 16), 32, momentum=0.9))
    assert after > 0.9 > 0.6 > before
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    assert rows[-1]["accuracy"] > rows[0]["accuracy"]
