import numpy as np
import pytest
import torch
from by_hand import Flat, Trunk, batches, derivatives
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import two_views
from twinsight.methods.vicreg import VICReg, vicreg_terms


def method():
    torch.manual_seed(0)
    return VICReg(Trunk(), None, projector=(10, 10, 8))


def reference(z1, z2):
    """The paper's pseudocode, a number at a time, in float64, but for the official code's halved variance term."""
    n, d = z1.shape
    invariance = sum((z1[i, j] - z2[i, j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    variance = covariance = 0.0
    for z in (z1, z2):
        z = z - sum(z) / n
        c = [[sum(z[:, i] * z[:, j]) / (n - 1) for j in range(d)] for i in range(d)]
        variance += sum(max(0.0, 1 - np.sqrt(c[i][i] + 1e-4)) for i in range(d)) / d / 2
        covariance += sum(c[i][j] ** 2 for i in range(d) for j in range(d) if i != j) / d
    return invariance, variance, covariance


def weighed(invariance, variance, covariance):
    return 25 * invariance + 25 * variance + covariance


@pytest.fixture(params=[(9, 7), (7, 7), (5, 16)], ids=str)
def pair(request):
    """Correlated, off center, of deviations above and below 1; more images than features, and fewer."""
    rng = np.random.default_rng(0)
    z1 = rng.normal(size=request.param) * np.linspace(0.1, 3, request.param[1]) + 3
    return z1, z1 * 0.7 + 0.3 * rng.normal(size=request.param)


def test_terms_and_gradient_equal_the_reference_in_float32(pair):
    z1, z2 = (torch.tensor(z, dtype=torch.float32, requires_grad=True) for z in pair)
    terms = vicreg_terms(z1, z2)
    weighed(*terms.values()).backward()
    np.testing.assert_allclose([term.item() for term in terms.values()], reference(*pair), rtol=1e-5)
    for z, expected in zip((z1, z2), derivatives(lambda a, b: weighed(*reference(a, b)), *pair)):
        np.testing.assert_allclose(z.grad, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_equals_lightly(pair):
    losses = pytest.importorskip("lightly.loss")
    z1, z2 = (torch.tensor(z) for z in pair)
    torch.testing.assert_close(weighed(*vicreg_terms(z1, z2).values()), losses.VICRegLoss()(z1, z2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_under_autocast(pair, dtype):
    z1, z2 = (torch.tensor(z).to(dtype) for z in pair)
    expected = vicreg_terms(z1.float(), z2.float())
    with torch.autocast("cpu", dtype):
        found = vicreg_terms(z1, z2)
    assert found == expected
    assert {term.dtype for term in found.values()} == {torch.float32}


def test_a_collapse_shows_in_the_variance_term():
    z = torch.ones(6, 5, requires_grad=True)
    terms = vicreg_terms(z, torch.ones(6, 5))
    sum(terms.values()).backward()
    assert terms["variance"].item() == pytest.approx(0.99)  # the root of the epsilon is missing
    assert terms["covariance"] == terms["invariance"] == 0
    assert z.grad.isfinite().all()


def test_the_method_weighs_and_reports_the_terms():
    out = method().double()(batches(), progress=0.0)
    torch.testing.assert_close(out["loss"], weighed(out["invariance"], out["variance"], out["covariance"]))
    assert [name for name, value in out.items() if value.requires_grad] == ["loss"]


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_backbones(name):
    made = VICReg(Backbone(name), two_views(size=40), projector=(16, 16))
    made([torch.rand(4, 3, 40, 40) for _ in range(2)], 0.5)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())
    assert made.project(torch.rand(2, 3, 40, 40)).shape == (2, 16)


def test_it_learns():
    """Two noisy views of a few hidden numbers: they agree, and vary in all directions."""
    torch.manual_seed(0)
    model = VICReg(Flat(), None, projector=(64, 16))
    mixing = torch.randn(24, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def views(count):
        signal = torch.randn(count, 24) @ mixing
        return [signal + 0.1 * torch.randn_like(signal) for _ in range(2)]

    for _ in range(300):
        optimizer.zero_grad()
        model(views(128), progress=0.0)["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        out = model.eval()(views(2048), progress=1.0)
    assert out["invariance"] < 0.1
    assert out["variance"] < 0.1
    assert out["covariance"] < 1
    assert isinstance(model.projector[-1], nn.Linear)
