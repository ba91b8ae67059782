"""What DINOv2 has beyond iBOT, see test_ibot.py: block masks whose counts are known, and KoLeo."""

import numpy as np
import pytest
import torch

from twinsight.methods.block_masks import block_counts, block_masks
from twinsight.methods.koleo import koleo


def test_counts_are_spread_over_the_range():
    assert block_counts(8, 100, 0.5, (0.1, 0.5)) == [15, 25, 35, 45, 0, 0, 0, 0]
    assert block_counts(3, 4, 1.0, (0.0, 0.1)) == [1, 1, 1]
    assert block_counts(2, 100, 0.0, (0.1, 0.5)) == [0, 0]


@pytest.mark.parametrize("grid", [(14, 14), (5, 9), (2, 2), (1, 1)])
def test_masks_have_their_counts(grid):
    torch.manual_seed(0)
    patches = grid[0] * grid[1]
    counts = block_counts(64, patches, 0.5, (0.1, 0.5))
    mask = block_masks(counts, grid, torch.device("cpu"))
    assert mask.shape == (64, patches)
    assert sorted(mask.sum(1).tolist()) == sorted(counts)
    assert (mask.sum(1)[:32] > 0).any()
    assert (mask.sum(1)[:32] == 0).any()  # in random order


def test_masks_are_blocks_anywhere():
    """A masked patch has more masked neighbors than one drawn alone would; each place is masked about as often."""
    torch.manual_seed(0)
    mask = block_masks([49] * 400, (14, 14), torch.device("cpu")).unflatten(1, (14, 14))
    beside = (mask[:, :, 1:] & mask[:, :, :-1]).sum() / mask[:, :, :-1].sum()
    assert beside > 0.6  # 0.25 for single patches
    often = mask.float().mean(0)
    assert often.min() > 0  # corners, too, though less often
    assert often[4:10, 4:10].mean() < 0.45


def test_koleo_equals_the_formula():
    z = np.random.default_rng(0).normal(size=(7, 5))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    nearest = [min(np.linalg.norm(a - b) for j, b in enumerate(unit) if j != i) for i, a in enumerate(unit)]
    tensor = torch.tensor(z, requires_grad=True)
    assert koleo(tensor).item() == pytest.approx(-np.mean(np.log(nearest)), rel=1e-6)
    assert torch.autograd.gradcheck(koleo, tensor)
    with torch.autocast("cpu", torch.bfloat16):
        assert koleo(tensor.float()).item() == pytest.approx(-np.mean(np.log(nearest)), rel=1e-4)
    assert torch.isfinite(koleo(torch.ones(3, 4)))
