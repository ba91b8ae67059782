"""Low-rank adapters on every kind of backbone: nothing changes at first, all learn, and merging keeps outputs."""

from copy import deepcopy

import pytest
import torch

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.lora import Lora
from twinsight.errors import UserError

peft = pytest.importorskip("peft")

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2, "img_size": 32}
SWIN = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "img_size": 32, "window_size": 4}
BACKBONES = {
    "vit": ("test_vit", {}, ["attn.qkv", "attn.proj"]),
    "dinov2": ("vit_small_patch14_reg4_dinov2", SMALL | {"img_size": 28}, ["attn.qkv", "attn.proj"]),
    "dinov3": ("vit_small_patch16_dinov3", SMALL, ["attn.qkv", "attn.proj"]),
    "eva02": ("eva02_tiny_patch14_224", SMALL | {"img_size": 28}, ["attn.qkv", "attn.proj"]),
    "eva02-base": ("eva02_base_patch14_224", SMALL | {"img_size": 28}, ["q_proj", "k_proj", "v_proj", "attn.proj"]),
    "beit": ("beit_base_patch16_224", SMALL, ["attn.qkv", "attn.proj"]),
    "swin": ("swin_tiny_patch4_window7_224", SWIN, ["attn.qkv", "attn.proj"]),
    "swin-v2": ("swinv2_tiny_window8_256", SWIN, ["attn.qkv", "attn.proj"]),
    "convnext": ("convnext_tiny.dinov3_lvd1689m", {"depths": (1, 1, 1, 1), "dims": (8, 8, 8, 8)}, ["fc1", "fc2"]),
    "vit-pytorch": (
        "vit-pytorch",
        {"image_size": 32, "patch_size": 8, "dim": 16, "depth": 2, "heads": 2, "mlp_dim": 16, "dim_head": 8},
        ["to_qkv", "to_out.0"],
    ),
}
"""Networks, and how the names of the layers end that get an adapter."""


@pytest.fixture(params=BACKBONES)
def adapted(request):
    """A backbone with adapters, the same without, images, and the expected endings of names."""
    name, options, ends = BACKBONES[request.param]
    torch.manual_seed(0)
    backbone = Backbone(name, **options).eval()
    with torch.no_grad():
        for each in backbone.parameters():  # some begin so that the blocks do almost nothing
            each.uniform_(0.2, 0.8).sub_(0.4 * (each.ndim > 1))
    plain = deepcopy(backbone)
    lora = Lora(rank=3, alpha=6.0)
    lora.add(backbone)
    images = torch.rand(2, 3, 32, 32)
    return backbone, plain, lora, images, ends


def test_learns_and_merges(adapted):
    backbone, plain, lora, images, ends = adapted
    expected = plain(images)
    torch.testing.assert_close(backbone(images), expected, atol=1e-6, rtol=1e-5)

    trained = {name: each for name, each in backbone.named_parameters() if each.requires_grad}
    assert {name.rpartition(".lora_")[0].endswith(tuple(ends)) for name in trained} == {True}
    assert all(any(f"{end}.lora_A" in name for name in trained) for end in ends)
    for step in range(2):  # at the first, B is 0 and hides A
        backbone.zero_grad()
        backbone.features(images, [-1]).maps[0].square().sum().backward()
        reached = [name for name, each in trained.items() if each.grad is not None and each.grad.any()]
        assert step == 0 or reached == list(trained)
        with torch.no_grad():
            for each in trained.values():
                each.add_(0.05 * torch.randn_like(each))

    outputs = backbone(images)
    assert not torch.allclose(outputs, expected, atol=1e-3)
    before = {name: value.clone() for name, value in backbone.network.state_dict().items()}
    plain.network.load_state_dict(lora.merged(before))  # the names are those of the network without adapters
    torch.testing.assert_close(plain(images), outputs, atol=1e-5, rtol=1e-5)
    for layer in (each for each in backbone.modules() if isinstance(each, peft.tuners.lora.LoraLayer)):
        layer.merge()
    by_peft = {
        name.replace(".base_layer.", "."): value
        for name, value in backbone.network.state_dict().items()
        if ".lora_" not in name
    }
    torch.testing.assert_close(plain.network.state_dict(), by_peft)


def test_frozen_blocks_get_none_and_the_rest_stays_fixed():
    backbone = Backbone("test_vit").eval()
    backbone.freeze(-2)
    Lora(rank=2, dropout=0.5).add(backbone)
    assert not backbone.training
    assert not any(each.training for each in backbone.modules())  # peft's layers begin in training mode
    trained = [name for name, each in backbone.named_parameters() if each.requires_grad]
    blocks = len(backbone.dims)
    assert {int(name.split(".")[2]) for name in trained} == {blocks - 2, blocks - 1}
    assert not backbone.train().network.blocks[0].training
    depth = backbone.layer_ids()
    assert {depth[name] for name in trained} == {blocks - 1, blocks}  # for --layer-decay


def test_all_linear_layers():
    backbone = Backbone("test_vit")
    Lora(rank=2, layers="all").add(backbone)
    names = {name.split(".")[-4] for name, each in backbone.named_parameters() if each.requires_grad}
    assert names == {"qkv", "proj", "fc1", "fc2"}


@pytest.mark.parametrize(
    ("name", "layers", "freeze", "sentence"),
    [
        ("test_resnet", None, 0, "--lora: test_resnet has no linear layers; "),
        ("test_convnext", "attention", 0, "--lora: test_convnext has no linear layers of attention; "),
        ("test_vit", None, "all", "--lora: --freeze leaves no layer to adapt; "),
    ],
)
def test_refused(name, layers, freeze, sentence):
    backbone = Backbone(name)
    backbone.freeze(freeze)
    with pytest.raises(UserError, match=sentence):
        Lora(rank=2, layers=layers).add(backbone)
