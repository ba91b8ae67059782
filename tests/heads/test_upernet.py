"""UPerNet against the paper, written out, and against the public models with the same weights."""

import re

import pytest
import torch
import torch.nn.functional as F
from randomized import randomized
from torch import nn

from twinsight.backbones.backbone import Features
from twinsight.errors import UserError
from twinsight.heads.upernet import UPerNet

DIMS, STRIDES, CHANNELS = (8, 12, 16, 24), (4, 8, 16, 32), 20
SIZES = ((27, 22), (14, 11), (7, 6), (4, 3))


@pytest.fixture
def maps():
    torch.manual_seed(1)
    return [torch.randn(2, dim, *size, dtype=torch.float64) for dim, size in zip(DIMS, SIZES)]


def features(maps):
    return Features(torch.zeros(2, 1), maps, (108, 88))


def conv(x, block):
    """Convolution, batch norm, ReLU, from the last three modules of a block."""
    c, n, _ = list(block)[-3:]
    x = F.conv2d(x, c.weight, padding=c.weight.shape[-1] // 2)
    return F.relu(F.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias))


def up(x, like):
    return F.interpolate(x, like.shape[-2:], mode="bilinear")


def paper(head, maps):
    """Figure 4: pyramid pooling at 1, 2, 3 and 6 on C5; P5 down to P2 by lateral sums; all fused at the size of P2."""
    c2, c3, c4, c5 = maps
    pooled = [up(conv(F.adaptive_avg_pool2d(c5, n), pool), c5) for n, pool in zip((1, 2, 3, 6), head.pools)]
    p5 = conv(torch.cat([c5, *pooled], dim=1), head.bottleneck)
    p4 = conv(c4, head.lateral[2]) + up(p5, c4)
    p3 = conv(c3, head.lateral[1]) + up(p4, c3)
    p2 = conv(c2, head.lateral[0]) + up(p3, c2)
    levels = [conv(p, smooth) for p, smooth in zip((p2, p3, p4), head.smooth)] + [p5]
    fused = conv(torch.cat([up(level, c2) for level in levels], dim=1), head.fuse)
    return F.conv2d(fused, head.classify[1].weight, head.classify[1].bias)


@torch.no_grad()
def test_equals_the_paper(maps):
    head = randomized(UPerNet(DIMS, STRIDES, 5, CHANNELS))
    torch.testing.assert_close(head(features(maps)), paper(head, maps))


@torch.no_grad()
def test_equals_transformers_with_its_weights(maps):
    transformers = pytest.importorskip("transformers")
    public = pytest.importorskip("transformers.models.upernet.modeling_upernet")
    config = transformers.UperNetConfig(hidden_size=CHANNELS, num_labels=5)
    public = randomized(public.UperNetHead(config, list(DIMS)))
    head = UPerNet(DIMS, STRIDES, 5, CHANNELS).double().eval()
    head.load_state_dict({ours(name): value for name, value in public.state_dict().items()})
    torch.testing.assert_close(head(features(maps)), public(maps))


def ours(name):
    """Our name of a weight of transformers' UperNetHead."""
    for theirs, our in (
        (r"psp_modules\.(\d)\.1\.conv", r"pools.\1.1"),
        (r"psp_modules\.(\d)\.1\.batch_norm", r"pools.\1.2"),
        (r"lateral_convs", "lateral"),
        (r"fpn_convs", "smooth"),
        (r"fpn_bottleneck", "fuse"),
        (r"classifier", "classify.1"),
        (r"\.conv\.", ".0."),
        (r"\.batch_norm\.", ".1."),
    ):
        name = re.sub(theirs, our, name)
    return name


@torch.no_grad()
def test_the_pyramid_of_a_vit_equals_beits():
    """Patches of 16: two 2x2 deconvolutions with batch norm and GELU between, one, the map itself, 2x2 max pooling."""
    head = randomized(UPerNet((8,) * 12, (16,) * 12, 5, CHANNELS))
    assert head.levels == (2, 5, 8, 11)
    maps = [torch.randn(2, 8, 6, 4, dtype=torch.float64) for _ in range(4)]
    (first, norm, _, second), (only,) = head.rescale[0], head.rescale[1]

    def double(x, layer):
        return F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)

    x = double(maps[0], first)
    x = F.gelu(F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias))
    pyramid = [double(x, second), double(maps[1], only), maps[2], F.max_pool2d(maps[3], 2)]
    torch.testing.assert_close(head(features(maps)), paper(head, pyramid))


@pytest.mark.parametrize(
    ("patch", "blocks", "strides"),
    [(16, 12, [4, 8, 16, 32]), (14, 12, [3.5, 7, 14, 28]), (8, 6, [4, 8, 16, 32]), (2, 4, [2, 4, 8, 16]), (32, 1, [4])],
)
def test_a_vit_becomes_a_pyramid_from_stride_4(patch, blocks, strides):
    head = UPerNet((8,) * blocks, (patch,) * blocks, 5, 8)
    cells = 32
    sizes = [rescale(torch.randn(1, 8, cells, cells)).shape[-1] for rescale in head.eval().rescale]
    assert [patch * cells / size for size in sizes] == strides


def test_has_the_width_of_the_public_configurations():
    head = UPerNet((96, 192, 384, 768), STRIDES, 150)  # Swin-T
    assert head.bottleneck[0].weight.shape == (512, 768 + 4 * 512, 3, 3)
    assert head.fuse[0].weight.shape == (512, 4 * 512, 3, 3)
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in head.modules())


def test_a_batch_of_one_trains_with_an_error_and_evaluates_without():
    head, x = UPerNet((8,), (32,), 5, channels=4), [torch.randn(1, 8, 3, 2)]
    with pytest.raises(UserError, match="--batch-size 1: the batch norm of UPerNet's pooled branch"):
        head(features(x))
    assert head.eval()(features(x)).shape == (1, 5, 24, 16)
