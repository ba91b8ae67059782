"""Facts of the SETR paper and of its authors' code."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from twinsight.backbones.backbone import Features
from twinsight.heads.setr import SetrMla, SetrNaive, SetrPup

VIT = (192,) * 12, (16,) * 12


def convolutions(module):
    return [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in module.modules() if isinstance(m, nn.Conv2d)]


def features(*maps):
    return Features(torch.zeros(2, 1), list(maps), (32, 48))


def test_naive_is_two_1x1_convolutions():
    assert convolutions(SetrNaive(*VIT, 21)) == [(192, 256, 1), (256, 21, 1)]


def test_pup_is_four_3x3_convolutions_and_16_times_the_size():
    head = SetrPup(*VIT, 21)
    assert convolutions(head) == [(192, 256, 3)] + [(256, 256, 3)] * 3 + [(256, 21, 1)]
    assert head(features(torch.randn(2, 192, 2, 3))).shape == (2, 21, 32, 48)


@pytest.mark.parametrize(("stride", "steps"), [(4, 2), (8, 3), (14, 4), (16, 4), (32, 4)])
def test_pup_doubles_as_often_as_the_stride_asks_but_4_times_at_most(stride, steps):
    head = SetrPup((8,), (stride,), 5, channels=8)
    assert head(features(torch.randn(2, 8, 2, 3))).shape[-2:] == (2 * 2**steps, 3 * 2**steps)


def test_pup_equals_upsampling_before_the_classifier():
    torch.manual_seed(0)
    head, x = SetrPup(*VIT, 5, channels=16).eval(), torch.randn(2, 192, 3, 5)
    norm, *blocks = [m for m in head.decode if not isinstance(m, nn.Upsample)]
    *blocks, classifier = blocks
    expected = norm(x)
    for block in blocks:
        expected = F.interpolate(block(expected), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(head(features(x)), classifier(expected))


def test_mla_reads_every_third_block_of_12():
    assert SetrMla(*VIT, 21).levels == (2, 5, 8, 11)
    assert SetrMla((8,) * 24, (16,) * 24, 21).levels == (5, 11, 17, 23)
    assert SetrMla((8,) * 5, (2, 4, 8, 16, 32), 21).levels == (1, 2, 3, 4)
    assert SetrMla((8,), (16,), 21).levels == (0,)


def test_mla_structure():
    head = SetrMla(*VIT, 21)
    stream = [(256, 256, 3), (256, 128, 3), (128, 128, 3)]
    assert convolutions(head) == [(192, 256, 1)] * 4 + stream * 4 + [(512, 21, 1)]
    assert head(features(*(torch.randn(2, 192, 2, 3) for _ in range(4)))).shape == (2, 21, 8, 12)


def test_mla_adds_from_the_deepest_down_and_equals_upsampling_each_stream():
    torch.manual_seed(0)
    head = SetrMla(*VIT, 5, channels=16).eval()
    maps = [torch.randn(2, 192, 3, 5) for _ in range(4)]
    z3, z6, z9, z12 = (project(m) for project, m in zip(head.project, maps))
    sums = [z12, z12 + z9, z12 + z9 + z6, z12 + z9 + z6 + z3]
    streams = [F.interpolate(f(x), scale_factor=4, mode="bilinear") for f, x in zip(head.streams, sums)]
    torch.testing.assert_close(head(features(*maps)), head.classifier(torch.cat(streams, 1)))
