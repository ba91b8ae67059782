import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from twinsight.layers import mean_over_ranks
from twinsight.methods.barlow_twins import BarlowTwins, barlow_twins_loss, cross_correlation

LAMBDA = 0.0051


class Trunk(nn.Module):
    """Flattens images and multiplies: without batch norm, so that processes need agree on the projector's
    only."""

    dim = 12

    def __init__(self, pixels: int = 3 * 4 * 4):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 24), nn.Tanh(), nn.Linear(24, self.dim))

    def forward(self, images):
        return self.layers(images)


def method(projector=(10, 10, 8), trunk=None):
    torch.manual_seed(0)
    return BarlowTwins(trunk or Trunk(), views=None, projector=projector, lambd=LAMBDA)


def reference(z1, z2):
    """The paper's listing, a number at a time, in float64: the loss and its two terms."""

    def standardized(z):
        columns = []
        for column in z.T:
            mean = sum(column) / len(column)
            variance = sum((x - mean) ** 2 for x in column) / len(column)
            columns.append([(x - mean) / np.sqrt(variance + 1e-5) for x in column])
        return columns

    a, b = standardized(z1), standardized(z2)
    invariance = redundancy = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            c = sum(x * y for x, y in zip(a[i], b[j])) / len(z1)
            if i == j:
                invariance += (1 - c) ** 2
            else:
                redundancy += c**2
    return invariance + LAMBDA * redundancy, invariance, redundancy


def reference_gradient(z1, z2):
    """By hand, in float64: through C, then through the standardization of each feature."""

    def parts(z):
        deviation = np.sqrt(z.var(0) + 1e-5)
        return (z - z.mean(0)) / deviation, deviation

    (a, s1), (b, s2) = parts(z1), parts(z2)
    n, d = z1.shape
    c = a.T @ b / n
    g = np.where(np.eye(d, dtype=bool), 2 * (c - 1), 2 * LAMBDA * c)

    def back(through, standard, deviation):
        return (through - through.mean(0) - standard * (through * standard).mean(0)) / deviation

    return back(b @ g.T / n, a, s1), back(a @ g / n, b, s2)


@pytest.fixture(params=[(9, 7), (7, 7), (6, 40)], ids=str)
def pair(request):
    """Correlated, off center, of several scales; more images than features, and fewer."""
    rng = np.random.default_rng(0)
    z1 = rng.normal(size=request.param) * np.linspace(0.1, 5, request.param[1]) + 3
    return z1, z1 * 0.7 + rng.normal(size=request.param)


def test_loss_and_gradients_equal_the_reference_in_float32(pair):
    z1, z2 = (torch.tensor(z, dtype=torch.float32, requires_grad=True) for z in pair)
    invariance, redundancy = barlow_twins_loss(z1, z2)
    loss = invariance + LAMBDA * redundancy
    loss.backward()
    found = [value.item() for value in (loss, invariance, redundancy)]
    np.testing.assert_allclose(found, reference(*pair), rtol=1e-5)
    for z, expected in zip((z1, z2), reference_gradient(*pair)):
        np.testing.assert_allclose(z.grad, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_gradcheck(pair):
    inputs = [torch.tensor(z, requires_grad=True) for z in pair]
    assert torch.autograd.gradcheck(barlow_twins_loss, inputs)


def test_equals_the_batch_norm_of_the_official_code(pair):
    z1, z2 = (torch.tensor(z) for z in pair)
    norm = nn.BatchNorm1d(z1.shape[1], affine=False, dtype=torch.float64)
    torch.testing.assert_close(cross_correlation(z1, z2), norm(z1).T @ norm(z2) / len(z1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_under_autocast(pair, dtype):
    z1, z2 = (torch.tensor(z).to(dtype) for z in pair)
    expected = barlow_twins_loss(z1.float(), z2.float())
    with torch.autocast("cpu", dtype):
        found = barlow_twins_loss(z1, z2)
    for one, other in zip(found, expected):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


def test_equal_and_white_views_cost_nothing():
    z = torch.linalg.qr(torch.randn(32, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    z = torch.linalg.qr(z - z.mean(0))[0] * 32**0.5
    invariance, redundancy = barlow_twins_loss(z, z)
    assert invariance < 1e-8
    assert redundancy < 1e-20


def test_a_feature_that_never_varies_gives_no_nan():
    z1 = torch.zeros(4, 3, requires_grad=True)
    invariance, redundancy = barlow_twins_loss(z1, torch.ones(4, 3))
    (invariance + redundancy).backward()
    assert invariance == 3
    assert redundancy == 0
    assert z1.grad.isfinite().all()


def test_method_weighs_and_reports_the_terms():
    out = method()([torch.rand(6, 3, 4, 4), torch.rand(6, 3, 4, 4)], progress=0.0)
    assert set(out) == {"loss", "invariance", "redundancy"}
    torch.testing.assert_close(out["loss"], out["invariance"] + LAMBDA * out["redundancy"])
    assert out["loss"].requires_grad
    assert not out["invariance"].requires_grad


def test_projector_is_the_papers():
    layers = method(projector=(16, 16, 8)).projector
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linear] == [(16, 12), (16, 16), (8, 16)]
    assert all(layer.bias is None for layer in linear)
    assert [isinstance(layer, nn.BatchNorm1d) for layer in layers] == [
        False,
        True,
        False,
        False,
        True,
        False,
        False,
    ]
    assert [isinstance(layer, nn.ReLU) for layer in layers] == [False, False, True, False, False, True, False]


def batches():
    generator = torch.Generator().manual_seed(1)
    first = torch.rand(8, 3, 4, 4, generator=generator, dtype=torch.float64)
    return first, first + 0.3 * torch.rand(8, 3, 4, 4, generator=generator, dtype=torch.float64)


def rank_of_two(rank, folder):
    """Half of the batches, under DDP -> gradients and running statistics; and the slope of a squared mean."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    model = DistributedDataParallel(method().double())
    views = [view.chunk(2)[rank] for view in batches()]
    model(views, progress=0.0)["loss"].backward()
    x = torch.tensor([1.0 + rank], requires_grad=True)
    mean_over_ranks(x).square().backward()
    dist.destroy_process_group()
    gradients = {name: parameter.grad for name, parameter in model.module.named_parameters()}
    return gradients, dict(model.module.named_buffers()), x.grad


def test_two_processes_have_the_gradient_of_one(tmp_path):
    other = mp.spawn(rank_of_two, args=(str(tmp_path),), nprocs=1, join=False)  # its rank is 0
    gradients, buffers, slope = rank_of_two(1, tmp_path)
    other.join()

    model = method().double()
    model(batches(), progress=0.0)["loss"].backward()
    expected = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert set(gradients) == set(expected)
    largest = max(gradient.abs().max().item() for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-9, atol=1e-12 * largest)
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(buffers[name], buffer, rtol=1e-12, atol=1e-12)
    # Two ranks hold 1 and 2: the square of their mean has the slope 2 * 1.5 / 2 for each; each rank's loss
    # adds it once, and DDP will divide by 2. Without the sum in the backward it would be half of this.
    assert slope.item() == 3.0


def test_it_learns():
    """Two noisy views of a few hidden numbers: the diagonal nears 1, the rest 0."""
    model = method(projector=(64, 16), trunk=Trunk(pixels=32))
    mixing = torch.randn(24, 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(300):
        signal = torch.randn(128, 24) @ mixing
        views = [signal + 0.1 * torch.randn_like(signal) for _ in range(2)]
        optimizer.zero_grad()
        model(views, progress=0.0)["loss"].backward()
        optimizer.step()
    model.eval()
    signal = torch.randn(2048, 24) @ mixing
    with torch.no_grad():
        z1, z2 = (model.projector(model.trunk(signal + 0.1 * torch.randn_like(signal))) for _ in range(2))
        c = cross_correlation(z1, z2)
    off_diagonal = c[~torch.eye(len(c), dtype=torch.bool)]
    assert c.diagonal().min() > 0.9
    assert off_diagonal.square().mean().sqrt() < 0.1
