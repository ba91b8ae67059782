import numpy as np
import pytest
import torch

from twinsight.methods.sinkhorn import sinkhorn_knopp


def official_sinkhorn(logits, iterations=3):
    """facebookresearch/dinov2 (sinkhorn_knopp_teacher) and, equal to it, facebookresearch/swav: (B, K) -> (B, K)."""
    q = np.exp(logits.numpy().astype(np.float64)).T
    count, images = q.shape
    q /= q.sum()
    for _ in range(iterations):
        q /= q.sum(1, keepdims=True) * count
        q /= q.sum(0, keepdims=True) * images
    return torch.from_numpy(q.T * images)


@pytest.mark.parametrize("temperature", [1.0, 0.07, 0.02])
def test_sinkhorn_knopp_is_the_official_one(temperature):
    """Confident logits too, most of whose images are nearest to one prototype."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.rand(24, 5, dtype=torch.float64, generator=generator) + torch.linspace(0, 1, 5, dtype=torch.float64)
    logits = logits / temperature
    torch.testing.assert_close(sinkhorn_knopp(logits), official_sinkhorn(logits), rtol=1e-10, atol=1e-14)
    # Whatever is added to an image's logits is taken off again, beyond float32's exponents too.
    found = sinkhorn_knopp((logits + 600).float())
    torch.testing.assert_close(found, official_sinkhorn(logits).float(), rtol=0.01, atol=1e-5)


def test_sinkhorn_knopp_comes_to_equal_shares():
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 0.3
    torch.testing.assert_close(sinkhorn_knopp(logits, 500).sum(0), torch.full((4,), 6 / 4, dtype=torch.float64))
    extreme = sinkhorn_knopp(torch.tensor([[1e4, 0.0], [9e3, 0.0], [0.0, 1e4], [-1e4, -1e4]]))
    torch.testing.assert_close(extreme.sum(1), torch.ones(4))
