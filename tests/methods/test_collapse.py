import numpy as np
import pytest
import torch

from twinsight.methods.collapse import collapse


@pytest.mark.parametrize("shape", [(9, 5), (5, 9)])
def test_equals_the_formulas(shape):
    z = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    unit = z.numpy() / np.linalg.norm(z.numpy(), axis=1, keepdims=True)
    values = np.linalg.eigvalsh(np.cov(unit.T))
    found = collapse(z)
    assert found["spread"].item() == pytest.approx(unit.std(0).mean() * shape[1] ** 0.5, rel=1e-10)
    assert found["dimensions"].item() == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-10)


def test_what_is_known():
    z = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0))
    free = collapse(z)
    assert free["spread"].item() == pytest.approx(1, abs=0.01)
    assert free["dimensions"].item() == pytest.approx(6, abs=0.1)
    assert collapse(torch.ones(8, 6))["spread"] < 1e-3
    line = collapse(torch.tensor([1.0, -1.0]).repeat(4)[:, None] * z[0])
    assert line["dimensions"].item() == pytest.approx(1, abs=1e-5)
    assert collapse(torch.zeros(4, 6))["dimensions"].isfinite()
