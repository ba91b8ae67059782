"""Heads that use attention, against what they are without it and against their formulas written out."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from twinsight.backbones.attention import recording_attention
from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone, Features
from twinsight.errors import UserError
from twinsight.heads.fusion import FusionAffinity, FusionConcat, FusionGate, HeadMix, channels_of, input_maps
from twinsight.heads.setr import SetrPup
from twinsight.segmentation.model import SegmentationModel

HEADS = {"concat": FusionConcat, "gate": FusionGate, "affinity": FusionAffinity}
SOURCES = ("attention", "uniform", "shuffled")
TINY = {"depth": 2, "embed_dim": 32, "num_heads": 2}
SWIN = {"depths": (2, 2), "embed_dim": 16, "num_heads": (2, 4), "window_size": 7}
BACKBONES = {
    "vit_tiny_patch16_224": TINY,
    "vit_small_patch14_reg4_dinov2": TINY | {"img_size": 98},  # class token and registers
    "vit_medium_patch16_reg4_gap_256": TINY,  # registers, no class token
    "swin_tiny_patch4_window7_224": SWIN,
    "vit-pytorch": {"image_size": 32, "patch_size": 8, "dim": 16, "depth": 2, "heads": 2, "mlp_dim": 16},
}


def sharp(name, **options):
    """A network whose attention is far from uniform."""
    torch.manual_seed(0)
    backbone = Backbone(name, **options)
    for parameter in backbone.parameters():
        if parameter.ndim == 2:
            parameter.data *= 4
    return backbone


def noise(head, batch=2, h=3, w=5, dim=8, heads=2, dtype=torch.float32):
    queries = [h * w] if head.attention[1] == "patches" else []
    attention = torch.randn(batch, heads, *queries, h * w, dtype=dtype).softmax(-1).unflatten(-1, (h, w))
    features = torch.randn(batch, dim, h, w, dtype=dtype)
    return Features(features.mean((2, 3)), [features], (h * 16, w * 16), [attention])


def made(build, **options):
    """A head of 8 channels for maps of 8 channels at stride 4, its parameters complete, in eval mode."""
    head = build((8,), (4,), 3, channels=8, **options).eval()
    head(noise(head))
    return head


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("build", HEADS.values(), ids=HEADS)
def test_on_real_networks_of_odd_sizes(build, name):
    backbone = sharp(name, **BACKBONES[name])
    model = SegmentationModel(backbone, build(backbone.dims, backbone.strides, 3, blocks=(-2, -1), channels=8))
    for parameter in model.head.parameters():
        nn.init.normal_(parameter, 0, 0.1)  # the gates' are 0 at first
    images = torch.rand(2, 3, 50, 99).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images)
    assert logits.shape == (2, 3, 50, 99)
    logits.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    for p in model.head.parameters():
        assert p.grad is not None
    copy.deepcopy(model).load_state_dict(model.state_dict())  # as averaging and reloading do


@pytest.mark.parametrize("build", HEADS.values(), ids=HEADS)
def test_a_frozen_backbone_gets_no_gradient(build):
    backbone = sharp("test_vit")
    backbone.freeze("all")
    model = SegmentationModel(backbone, build(backbone.dims, backbone.strides, 3, channels=8))
    model(torch.rand(2, 3, 32, 32)).mean().backward()
    assert all(p.grad is None for p in backbone.parameters())
    assert all(p.grad is not None for p in model.head.parameters())


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("build", HEADS.values(), ids=HEADS)
def test_gradients_reach_the_attention_itself(build, source):
    torch.manual_seed(0)
    head = made(build, source=source)
    for parameter in head.parameters():
        nn.init.normal_(parameter)  # the gates' are 0 at first
    features = noise(head)
    features.attention[0].requires_grad_()
    head(features).square().sum().backward()
    reached = features.attention[0].grad
    assert (reached is not None and bool(reached.any())) == (source != "uniform")


@torch.no_grad()
@pytest.mark.parametrize("name", BACKBONES)
def test_patches_maps_are_the_rows_of_each_patch(name):
    backbone = sharp(name, **BACKBONES[name]).eval()
    images = torch.rand(2, 3, 50, 99)
    with recording_attention(backbone, images, query="patches") as found:
        backbone(images)
    assert backbone.features(images, (-1,), (0,), "patches").attention[0].equal(found.maps[0])
    for block, maps in zip(found.blocks, found.maps):
        h, w = maps.shape[-2:]
        for row, column in [(0, 0), (h // 2, w - 1), (h - 1, w // 2)]:
            at = ((column + 0.5) / w * found.extent[1] / 99, (row + 0.5) / h * found.extent[0] / 50)
            if max(at) < 1:
                expected = attention_maps(backbone, images, (block,), at=at).maps[0]
                torch.testing.assert_close(maps[:, :, row * w + column], expected, atol=1e-6, rtol=1e-5)


def test_channels_are_standardized_logits():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5)
    share = torch.rand(2, 3, 1, 1)  # what the class token's own takes away cancels
    attention = logits.flatten(2).softmax(-1).view_as(logits) * share
    deviation = logits.std((2, 3), correction=0, keepdim=True)
    expected = (logits - logits.mean((2, 3), keepdim=True)) / deviation
    torch.testing.assert_close(channels_of([attention], (4, 5)), expected, atol=1e-4, rtol=1e-4)
    assert channels_of([torch.full((2, 3, 4, 5), 1 / 20)], (4, 5)).abs().max() < 1e-3
    assert channels_of([torch.eye(4)[None, None]], (4, 4)).isfinite().all()
    assert channels_of([attention, attention[:, :1, ::2]], (4, 5)).shape == (2, 4, 4, 5)


def test_small_pieces_have_the_gradients_of_finite_differences():
    torch.manual_seed(0)
    attention = torch.rand(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: channels_of([a], (6, 5)), attention)
    for convex in (False, True):
        mix = HeadMix(3, convex).double()
        mix(attention)
        weight = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)

        def mixed(weight, attention, mix=mix):
            return torch.func.functional_call(mix, {"weight": weight}, (attention,))

        assert torch.autograd.gradcheck(mixed, (weight, attention))
    head = made(FusionAffinity, steps=2).double()
    features = noise(head, h=2, w=3, dtype=torch.float64)
    inputs = (features.maps[0].requires_grad_(), features.attention[0].requires_grad_())
    assert torch.autograd.gradcheck(lambda m, a: head(features._replace(maps=[m], attention=[a])), inputs)


def test_shuffling_moves_patches_and_nothing_else():
    torch.manual_seed(0)
    maps, pairs = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 20, 4, 5)
    state = torch.get_rng_state()
    moved, again = (input_maps([maps, pairs], "shuffled", training=False) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(moved, again))
    order = [(maps[0, 0].flatten() == value).nonzero().item() for value in moved[0][0, 0].flatten()]
    assert sorted(order) == list(range(20)) != order
    assert torch.equal(moved[0].flatten(2), maps.flatten(2)[..., order])
    matrix, before = moved[1].flatten(3), pairs.flatten(3)
    order = [(before[0, 0].diagonal() == value).nonzero().item() for value in matrix[0, 0].diagonal()]
    assert torch.equal(matrix, before[:, :, order][..., order])
    first, second = (input_maps([maps], "shuffled", training=True)[0] for _ in range(2))
    assert not torch.equal(first, second)


def test_uniform_forgets_the_maps():
    (maps,) = input_maps([torch.rand(2, 3, 4, 5)], "uniform", training=True)
    assert torch.equal(maps, torch.full((2, 3, 4, 5), 1 / 20))


def pup_like(head):
    """SETR-PUP with the weights of a concat or gate head, less those of the attention."""
    pup = SetrPup((8,), (4,), 3, channels=8).eval()
    state = [value for name, value in head.state_dict().items() if name not in ("mix.weight", "bias")]
    names = pup.state_dict()
    pup.load_state_dict({name: v[:, :8] if v.ndim == 4 else v for name, v in zip(names, state, strict=True)})
    return pup


@torch.no_grad()
@pytest.mark.parametrize("build", [FusionConcat, FusionGate])
def test_without_information_it_is_setr_pup(build):
    """Concat on uniform maps; a gate of zero weights whatever the maps."""
    torch.manual_seed(0)
    head = made(build, source="uniform" if build is FusionConcat else "attention")
    features = noise(head)
    torch.testing.assert_close(head(features), pup_like(head)(features), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_gate_is_the_formula():
    torch.manual_seed(0)
    head = made(FusionGate)
    nn.init.normal_(head.mix.weight)
    nn.init.normal_(head.bias)
    features = noise(head)
    channels, x = channels_of(features.attention, (3, 5)), head.norm(features.maps[0])
    for k, step in enumerate(head.steps):
        mixed = sum(head.mix.weight[k, i] * channels[:, i : i + 1] for i in range(2)) + head.bias[k]
        size = (3 * 2**k, 5 * 2**k)
        gate = 2 / (1 + (-F.interpolate(mixed, size, mode="bilinear")).exp())
        x = F.interpolate(gate * step(x), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(head(features), head.classifier(x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 3])
def test_affinity_is_the_formula(steps):
    torch.manual_seed(0)
    head = made(FusionAffinity, steps=steps)
    nn.init.normal_(head.mix.weight)
    nn.init.constant_(head.blend, -0.7)
    features = noise(head)
    features = features._replace(attention=[0.6 * features.attention[0]])  # the rest goes to the class token
    weights = head.mix.weight[0].double().softmax(0)
    affinity = sum(weights[i] * features.attention[0][:, i].flatten(2).double() for i in range(2)) / 0.6
    own = head.classify(features.maps[0]).double().flatten(2).mT
    share = 1 / (1 + torch.tensor(0.7, dtype=torch.float64).exp())
    expected = (1 - share) * own + share * torch.linalg.matrix_power(affinity, steps) @ own
    torch.testing.assert_close(head(features).double().flatten(2).mT, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_affinity_of_known_answer():
    torch.manual_seed(0)
    head = made(FusionAffinity)
    features = noise(head)
    own = head.classify(features.maps[0])
    to_itself = torch.eye(15).view(1, 1, 15, 3, 5).expand(2, 2, -1, -1, -1)
    torch.testing.assert_close(head(features._replace(attention=[to_itself])), own)
    head.source = "uniform"
    torch.testing.assert_close(head(features), (own + own.mean((2, 3), keepdim=True)) / 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert head(features).dtype == torch.float32


def test_affinity_refuses_what_cannot_be():
    with pytest.raises(UserError, match=r"--head\.steps 0: must be at least 1"):
        FusionAffinity((8,), (4,), 3, steps=0)
    backbone = Backbone("swin_tiny_patch4_window7_224", **SWIN)
    with pytest.raises(UserError, match="the blocks have grids of 28x28, 56x56 patches; choose others or"):
        SegmentationModel(backbone, FusionAffinity(backbone.dims, backbone.strides, 3, blocks=(0, -1), channels=8))


@pytest.mark.parametrize("build", HEADS.values(), ids=HEADS)
def test_no_block_is_an_error(build):
    backbone = Backbone("test_vit")
    with pytest.raises(UserError, match=r"--head\.blocks: none given; choose others"):
        SegmentationModel(backbone, build(backbone.dims, backbone.strides, 3, blocks=(), channels=8))


@pytest.mark.parametrize("build", HEADS.values(), ids=HEADS)
def test_sources_have_equal_parameters_and_those_of_setr_pup(build):
    """Three heads a block, as in a ViT-Ti/16, at its width."""
    counts = []
    for source in SOURCES:
        head = build((192,) * 12, (16,) * 12, 11, blocks=(3, 7, 11), source=source, channels=128).eval()
        features = noise(head, dim=192, heads=3)
        head(features._replace(attention=features.attention * 3))
        counts.append(count(head))
    pup = count(SetrPup((192,) * 12, (16,) * 12, 11, channels=128))
    assert len(set(counts)) == 1
    assert 0 < counts[0] - pup < 0.02 * pup


def scene(head):
    """Foreground on half of 36 patches without any order: only the attention tells which.

    The maps of concat and gate look at the foreground; affinity's patches look at their own kind, and the features
    hold a hint of it that is lost in noise unless it is averaged.
    """
    truth = torch.stack([torch.randperm(36) < 18 for _ in range(8)])
    features = torch.randn(8, 4, 6, 6)
    if head.attention[1] == "patches":
        features[:, 0] += 0.5 * (2 * truth.view(8, 6, 6) - 1)
        logits = 5.0 * (truth[:, :, None] == truth[:, None])
    else:
        logits = 2.0 * truth
    heads = torch.stack([logits, torch.zeros_like(logits)], dim=1)
    attention = (heads + 0.3 * torch.randn_like(heads)).softmax(-1).unflatten(-1, (6, 6))
    return Features(features.mean((2, 3)), [features], (24, 24), [attention]), truth.view(8, 6, 6).long()


@pytest.mark.parametrize("build", HEADS.values(), ids=HEADS)
def test_what_only_attention_tells_is_learnt_from_attention_only(build):
    scores = {}
    for source in SOURCES:
        torch.manual_seed(0)
        head = build((4,), (4,), 2, source=source, channels=16)
        head(scene(head)[0])
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
        for _ in range(150):
            features, truth = scene(head)
            optimizer.zero_grad()
            F.cross_entropy(F.adaptive_avg_pool2d(head(features), 6), truth).backward()
            optimizer.step()
        head.eval()
        with torch.no_grad():
            fresh = [scene(head) for _ in range(10)]
            right = [(F.adaptive_avg_pool2d(head(f), 6).argmax(1) == t).float().mean() for f, t in fresh]
        scores[source] = torch.stack(right).mean().item()
    assert scores["attention"] > 0.9
    assert max(scores["uniform"], scores["shuffled"]) < 0.75
