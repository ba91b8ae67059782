import pytest
import torch
from torch import nn

from twinsight.layers import GlobalBatchNorm1d, cosine, each_view, mean_over_ranks, mlp, standardize


def test_mean_over_one_rank_is_the_tensor():
    x = torch.ones(3)
    assert mean_over_ranks(x) is x


def test_standardize_equals_batch_norm():
    x = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 2
    torch.testing.assert_close(standardize(x), nn.BatchNorm1d(5, affine=False, dtype=x.dtype)(x))


def test_standardize_gradient():
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(standardize, x)


def test_standardize_widens_half_precision_only():
    x = torch.randn(4, 2)
    assert standardize(x.half()).dtype == torch.float32
    assert torch.equal(standardize(x.bfloat16()), standardize(x.bfloat16().float()))
    assert standardize(x.double()).dtype == torch.float64


def test_global_batch_norm_of_one_process_is_batch_norm():
    torch.manual_seed(0)
    ours, theirs = GlobalBatchNorm1d(4), nn.BatchNorm1d(4)
    x = torch.randn(6, 4)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_mlp():
    layers = mlp([3, 5, 5, 2])
    kinds = [nn.Linear, GlobalBatchNorm1d, nn.ReLU] * 2 + [nn.Linear]
    assert [type(layer) for layer in layers] == kinds
    assert [layer.weight.shape for layer in layers if isinstance(layer, nn.Linear)] == [
        (5, 3),
        (5, 5),
        (2, 5),
    ]
    assert all(layer.bias is None for layer in layers if isinstance(layer, nn.Linear))
    assert [type(layer) for layer in mlp([3, 2])] == [nn.Linear]


def test_views_at_once_are_views_one_after_another():
    torch.manual_seed(0)
    one, other = mlp([6, 10, 10, 4]).double(), mlp([6, 10, 10, 4]).double()
    other.load_state_dict(one.state_dict())
    first = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    together, apart = each_view(one, list(first)), [other(view) for view in second]
    for found, expected in zip(together, apart, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    (together[0] * together[1]).sum().backward()
    (apart[0] * apart[1]).sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-10, atol=1e-12)
    for (name, value), expected in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, msg=name)
    for value, expected in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(value.grad, expected.grad, rtol=1e-10, atol=1e-12)


def test_cosine_stays_at_its_end():
    assert cosine(2.0, 1.0, 0.5) == pytest.approx(1.5)
    assert cosine(2.0, 1.0, 1.17) == cosine(2.0, 1.0, 1.0) == 1.0
