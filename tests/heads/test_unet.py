import pytest
import torch

from twinsight.backbones.backbone import Features
from twinsight.heads.unet import UNet


@pytest.mark.parametrize(
    ("strides", "levels", "out_stride"),
    [
        ((2, 4, 8, 16, 32), (0, 1, 2, 3, 4), 2),  # every skip
        ((4, 8, 16, 32), (0, 1, 2, 3), 2),  # three skips, one stage without
        ((2, 4, 8, 8, 8), (0, 1, 2, 3, 4), 2),
        ((16,) * 12, (2, 5, 8, 11), 2),
        ((8,) * 12, (2, 5, 8, 11), 1),
        ((4,) * 12, (3, 7, 11), 1),  # never beyond stride 1
        ((32,), (0,), 2),  # no skip at all
    ],
)
def test_levels_and_stride_of_the_logits(strides, levels, out_stride):
    head = UNet((8,) * len(strides), strides, 5, channels=(16, 12, 8, 4))
    assert head.levels == levels
    maps = [torch.randn(1, 8, 64 // strides[k], 96 // strides[k]) for k in levels]
    assert head(Features(torch.zeros(1, 8), maps, (64, 96))).shape == (
        1,
        5,
        64 // out_stride,
        96 // out_stride,
    )


def test_every_skip_reaches_the_logits():
    torch.manual_seed(0)
    head = UNet((8,) * 12, (16,) * 12, 5, channels=(16, 12, 8, 4)).eval()
    maps = [torch.randn(1, 8, 4, 6) for _ in head.levels]
    full = head(Features(torch.zeros(1, 8), maps, (64, 96)))
    for k in range(4):
        changed = [m + (i == k) for i, m in enumerate(maps)]
        assert (head(Features(torch.zeros(1, 8), changed, (64, 96))) - full).abs().max() > 1e-4
