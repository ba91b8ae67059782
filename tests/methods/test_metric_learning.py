"""ArcFace, sub-center ArcFace and the angular loss, against the formulas of the papers."""

import sys

import numpy as np
import pytest
import torch
from by_hand import Trunk, batches, embed, kinds_of_images, moved, slopes, unit

from twinsight.cli import main
from twinsight.methods.angular import Angular
from twinsight.methods.arcface import ArcFace
from twinsight.methods.method import check_method
from twinsight.methods.subcenter_arcface import SubcenterArcFace

pytest.importorskip("pytorch_metric_learning")

CLASSES, SUB_CENTERS, SCALE = 3, 2, 5.0
LABELS = torch.tensor([0, 1, 2, 0, 1, 1, 0, 2])
MAKE = {
    "arcface": lambda trunk: ArcFace(trunk, CLASSES, None, margin=20.0, scale=SCALE),
    "beyond": lambda trunk: ArcFace(trunk, CLASSES, None, margin=80.0, scale=SCALE),  # angles and margin exceed 180
    "subcenter-arcface": lambda trunk: SubcenterArcFace(trunk, CLASSES, None, 20.0, SCALE, SUB_CENTERS),
    "angular": lambda trunk: Angular(trunk, CLASSES, None, alpha=36.0),
}


def method(name):
    torch.manual_seed(0)
    return moved(MAKE[name](Trunk()))


def arcface(x, centers, labels, margin):
    """Equation 3 of Deng et al. (2019), an image at a time. centers: (C, K, D), the nearest of K counts (2020)."""
    total, most = 0.0, 0.0
    for image, label in zip(x, labels):
        cosines = np.array([max(image @ center for center in own) for own in centers])
        angle = np.arccos(cosines[label])
        most = max(most, angle + margin)
        # Beyond 180 degrees the cosine would rise again; there the official code goes on along a line.
        cosines[label] = np.cos(angle + margin) if angle + margin <= np.pi else cosines[label] - margin * np.sin(margin)
        total -= np.log(np.exp(SCALE * cosines[label]) / np.exp(SCALE * cosines).sum())
    return total / len(x), most


def angular(x, labels, alpha):
    """Equation 8 of Wang et al. (2017) over all pairs of a class, a pair and a negative at a time."""
    tangent, terms = np.tan(alpha) ** 2, []
    for a, anchor in enumerate(x):
        for p, positive in enumerate(x):
            if a != p and labels[a] == labels[p]:
                negatives = [x[n] for n in range(len(x)) if labels[n] != labels[a]]
                shift = 2 * (1 + tangent) * (anchor @ positive)
                terms.append(np.log1p(sum(np.exp(4 * tangent * (anchor + positive) @ n - shift) for n in negatives)))
    return np.mean(terms)


@pytest.mark.parametrize("name", MAKE)
def test_loss_and_gradient_equal_the_paper(name):
    made = method(name).double()
    (images,) = batches(8, (6,))
    largest = []

    def reference():
        x = unit(embed(made.trunk, images))
        if name == "angular":
            return angular(x, LABELS.numpy(), np.radians(36))
        centers = unit(made.loss.W.detach().numpy().T).reshape(CLASSES, -1, x.shape[1])
        loss, angle = arcface(x, centers, LABELS.numpy(), np.radians(80 if name == "beyond" else 20))
        largest.append(angle)
        return loss

    out = made([images], progress=0.5, labels=LABELS)
    np.testing.assert_allclose(out["loss"].item(), reference(), rtol=1e-12)
    assert name != "beyond" or largest[0] > np.pi
    out["loss"].backward()
    found, expected = slopes(made, reference)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", MAKE)
def test_accuracy_is_that_of_the_nearest(name):
    made = method(name).double()
    (images,) = batches(8, (6,))
    x = unit(embed(made.trunk, images))
    if name == "angular":
        similarity = x @ x.T - 9 * np.eye(8)
        found = LABELS.numpy()[similarity.argmax(1)]
    else:
        centers = unit(made.loss.W.detach().numpy().T).reshape(CLASSES, -1, x.shape[1])
        found = np.einsum("bd,ckd->bck", x, centers).max(2).argmax(1)
    out = made([images], progress=0.5, labels=LABELS)
    assert out["accuracy"].item() == np.mean(found == LABELS.numpy())


@pytest.mark.parametrize("name", MAKE)
def test_float32_under_autocast(name):
    """The losses cast their weights to what they are given, for good."""
    made = method(name)
    with torch.autocast("cpu", torch.bfloat16):
        out = made([torch.rand(8, 3, 6, 6)], progress=0.0, labels=LABELS)
    assert {value.dtype for value in out.values()} == {torch.float32}
    assert {parameter.dtype for parameter in made.parameters()} == {torch.float32}


def test_a_batch_without_pairs_teaches_nothing():
    made = method("angular")
    for labels in (torch.arange(8), torch.zeros(8, dtype=torch.int64)):
        made.zero_grad()
        out = made([torch.rand(8, 3, 6, 6)], progress=0.0, labels=labels)
        out["loss"].backward()
        assert out["loss"].item() == 0
        assert all(parameter.grad is None or not parameter.grad.any() for parameter in made.parameters())


@pytest.mark.parametrize("name", ["arcface", "subcenter-arcface", "angular"])
def test_it_learns(name):
    made = method(name)
    check_method(made)
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(made.parameters(), lr=0.01)
    rows = []
    for _ in range(100):
        views, kinds = kinds_of_images(64, 1)
        optimizer.zero_grad()
        out = made(views, 0.0, labels=kinds % CLASSES)
        out["loss"].backward()
        optimizer.step()
        rows.append(out["accuracy"].item())
    assert np.mean(rows[-20:]) > np.mean(rows[:5]) + 0.1


def test_without_the_package(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["pretrain", "--method", "arcface"])
    assert "--method arcface: requires pytorch-metric-learning, which is not installed; run: pip install " in (
        capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())
