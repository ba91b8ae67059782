"""SegFormer's decoder against the paper, written out, and against the public model with the same weights."""

import pytest
import torch
import torch.nn.functional as F
from randomized import randomized

from twinsight.backbones.backbone import Features
from twinsight.heads.segformer import SegFormer

DIMS, STRIDES, CHANNELS = (8, 12, 16, 24), (4, 8, 16, 32), 20
SIZES = ((19, 14), (10, 7), (5, 4), (3, 2))


@pytest.fixture
def maps():
    torch.manual_seed(1)
    return [torch.randn(2, dim, *size, dtype=torch.float64) for dim, size in zip(DIMS, SIZES)]


def features(maps):
    return Features(torch.zeros(2, 1), maps, (76, 56))


@torch.no_grad()
def test_equals_the_paper(maps):
    """Section 3.2: project each map, upsample to a quarter of the image, concatenate, fuse, predict."""
    head = randomized(SegFormer(DIMS, STRIDES, 5, CHANNELS))
    projected = [F.conv2d(m, p.weight, p.bias) for m, p in zip(maps, head.project)]
    joined = torch.cat([F.interpolate(x, SIZES[0], mode="bilinear") for x in projected], dim=1)
    fused = F.conv2d(joined, torch.cat([f.weight for f in head.fuse], dim=1))
    norm, classifier = head.norm, head.classify[1]
    fused = F.relu(F.batch_norm(fused, norm.running_mean, norm.running_var, norm.weight, norm.bias))
    expected = F.conv2d(fused, classifier.weight, classifier.bias)
    torch.testing.assert_close(head(features(maps)), expected)


@torch.no_grad()
def test_equals_transformers_with_its_weights(maps):
    transformers = pytest.importorskip("transformers")
    public = pytest.importorskip("transformers.models.segformer.modeling_segformer")
    config = transformers.SegformerConfig(hidden_sizes=list(DIMS), decoder_hidden_size=CHANNELS, num_labels=5)
    public = randomized(public.SegformerDecodeHead(config))
    head = SegFormer(DIMS, STRIDES, 5, CHANNELS).double().eval()
    head.load_state_dict(dict(renamed(public.state_dict())))
    torch.testing.assert_close(head(features(maps)), public(maps))


def renamed(state):
    """The weights of transformers' decoder as ours: linear layers as convolutions, the fusing one in four parts."""
    for name, value in state.items():
        if name == "linear_fuse.weight":
            for level, part in enumerate(reversed(value.split(CHANNELS, dim=1))):  # theirs takes the deepest map first
                yield f"fuse.{level}.weight", part
        elif name.startswith("linear_projections"):
            level, kind = name.split(".")[1::2]
            yield f"project.{level}.{kind}", value[..., None, None] if kind == "weight" else value
        else:
            yield name.replace("batch_norm", "norm").replace("classifier", "classify.1"), value


@pytest.mark.parametrize(
    ("dims", "channels", "millions"),
    [((32, 64, 160, 256), 256, 0.4), ((64, 128, 320, 512), 256, 0.6), ((64, 128, 320, 512), 768, 3.3)],
)
def test_has_the_parameters_of_the_paper(dims, channels, millions):
    """Table 1a, for MiT-B0, B1 and B2 to B5 with the 150 classes of ADE20K."""
    head = SegFormer(dims, STRIDES, 150, channels)
    assert round(sum(p.numel() for p in head.parameters()) / 1e6, 1) == millions


def test_reads_four_levels_and_logits_have_the_finest_size():
    assert SegFormer((8,) * 12, (16,) * 12, 5, 8).levels == (2, 5, 8, 11)
    assert SegFormer((8,) * 5, (2, 4, 8, 16, 32), 5, 8).levels == (1, 2, 3, 4)
    assert (
        SegFormer(DIMS, STRIDES, 5, 8)(features([torch.randn(2, d, *s) for d, s in zip(DIMS, SIZES)])).shape[2:]
        == SIZES[0]
    )
