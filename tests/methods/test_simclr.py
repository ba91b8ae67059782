import numpy as np
import pytest
import torch
from by_hand import Flat, Trunk, batches, derivatives, embed, head, moved

from twinsight.data.views import View
from twinsight.methods.simclr import SimCLR, nt_xent
from twinsight.options.build import build
from twinsight.options.methods.simclr import SimclrViewsOptions


def method():
    torch.manual_seed(0)
    return SimCLR(Trunk(), None, projector=(10, 8))


def reference(z1, z2, temperature=0.1):
    """Algorithm 1 of the paper, a pair at a time, in float64."""
    z = [row for pair in zip(z1, z2) for row in pair]  # views 2k and 2k + 1 are of one image

    def similarity(i, j):
        return sum(z[i] * z[j]) / np.sqrt(sum(z[i] ** 2)) / np.sqrt(sum(z[j] ** 2))

    def loss(i, j):
        others = [np.exp(similarity(i, k) / temperature) for k in range(len(z)) if k != i]
        return -np.log(np.exp(similarity(i, j) / temperature) / sum(others))

    return sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(len(z1))) / len(z)


@pytest.fixture
def pair():
    """Five images in seven dimensions, off center; the views of the last are further apart than two images."""
    rng = np.random.default_rng(0)
    z1 = rng.normal(size=(5, 7)) + 0.5
    return z1, z1 + np.array([0.2, 0.4, 0.6, 0.8, 4])[:, None] * rng.normal(size=(5, 7))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_and_gradient_equal_the_reference_in_float32(pair, temperature):
    z1, z2 = (torch.tensor(z, dtype=torch.float32, requires_grad=True) for z in pair)
    loss = nt_xent(z1, z2, temperature)["loss"]
    loss.backward()
    assert loss.item() == pytest.approx(reference(*pair, temperature), rel=1e-5)
    for z, expected in zip((z1, z2), derivatives(lambda a, b: reference(a, b, temperature), *pair)):
        np.testing.assert_allclose(z.grad, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_equals_lightly(pair):
    losses = pytest.importorskip("lightly.loss")
    z1, z2 = (torch.tensor(z) for z in pair)
    torch.testing.assert_close(nt_xent(z1, z2, 0.1)["loss"], losses.NTXentLoss(temperature=0.1)(z1, z2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_under_autocast(pair, dtype):
    z1, z2 = (torch.tensor(z).to(dtype) for z in pair)
    expected = nt_xent(z1.float(), z2.float(), 0.1)
    with torch.autocast("cpu", dtype):
        found = nt_xent(z1, z2, 0.1)
    assert found == expected
    assert {value.dtype for value in found.values()} == {torch.float32}


def test_the_scalars_show_a_collapse():
    same = nt_xent(torch.ones(6, 4), torch.ones(6, 4), 0.1)
    assert same["similarity"].item() == pytest.approx(1)
    assert same["loss"].item() == pytest.approx(np.log(11))
    apart = nt_xent(torch.eye(6), 3 * torch.eye(6), 0.1)
    assert apart["accuracy"] == 1
    assert apart["similarity"].item() == pytest.approx(0, abs=1e-6)
    mixed = nt_xent(torch.eye(6), torch.eye(6).roll(1, 0), 0.1)  # each view is that of the next image
    assert mixed["accuracy"] == 0
    assert mixed["similarity"].item() == pytest.approx(12 / 120)


def test_the_projector_is_the_official_one():
    """Batch norm after the last layer, too, with a scale and no offset; the loss of both views at once."""
    made = moved(method()).double()
    views = batches(5)
    rows = head(np.concatenate([embed(made.trunk, view) for view in views]), made.projector)
    assert made(views, 0.0)["loss"].item() == pytest.approx(reference(*np.split(rows, 2)), rel=1e-9)
    last = made.projector[-1]
    assert (last.weight.requires_grad, last.bias.requires_grad) == (True, False)


def test_views_are_the_papers():
    """Appendix A, with a color strength of 1; blur in half of all views."""
    paper = View(
        scale=(0.08, 1.0), jitter=0.8, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, gray=0.2, blur=0.5
    )
    assert build(SimclrViewsOptions()).views == (paper, paper)


def test_it_learns():
    """Two noisy views of a few hidden numbers: views of images never seen are found among a thousand."""
    torch.manual_seed(0)
    model = SimCLR(Flat(), None, projector=(64, 16))
    mixing = torch.randn(8, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def views(count):
        signal = torch.randn(count, 8) @ mixing
        return [signal + 0.5 * torch.randn_like(signal) for _ in range(2)]

    def accuracy():
        with torch.no_grad():
            return model.eval()(views(500), progress=1.0)["accuracy"].item()

    before = accuracy()
    for _ in range(200):
        optimizer.zero_grad()
        model.train()(views(64), progress=0.0)["loss"].backward()
        optimizer.step()
    assert accuracy() > before + 0.2, before
