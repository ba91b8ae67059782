"""Which network of a file is taken, and what stands before its names."""

import re
from pathlib import Path

import pytest
import timm
import torch

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.weights import load_backbone
from twinsight.errors import UserError

SMALL = {"image_size": 16, "patch_size": 8, "dim": 8, "depth": 1, "heads": 1, "mlp_dim": 8}


def make(seed: int, **options) -> Backbone:
    torch.manual_seed(seed)
    return Backbone("vit-pytorch", **SMALL | options)


@pytest.fixture(scope="module")
def source():
    return make(0)


@pytest.fixture
def target():
    return make(1)


def prefixed(prefix: str, backbone: Backbone):
    return {prefix + name: tensor for name, tensor in backbone.network.state_dict().items()}


def same(one: Backbone, other: Backbone) -> bool:
    a, b = one.network.state_dict(), other.network.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


PREFIXES = [
    "_orig_mod.", "model.", "net.", "encoder.", "module.", "module.encoder_q.", "teacher_backbone.", "backbone.vit.",
    "model._orig_mod.", "method.embedding_model.wrapped_model._model.",
]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_any_prefix_is_taken_off(tmp_path, prefix, name):
    """Of networks whose names are known (ResNet, ViT) and of one that only fits (EfficientNet)."""
    torch.manual_seed(0)
    one, other = Backbone(name), Backbone(name)
    beside = {"head.0.weight": torch.ones(2), "queue": torch.ones(3)} if prefix != "model." else {}
    torch.save(prefixed(prefix, one) | beside, tmp_path / "w.pth")
    assert not same(one, other)
    load_backbone(other, tmp_path / "w.pth")
    assert same(one, other)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("teacher_backbone.", "student_backbone."), ("backbone.", "momentum_backbone."),
        ("backbone.", "backbone_momentum."),
        ("module.encoder_q.", "module.encoder_k."), ("module.base_encoder.", "module.momentum_encoder."),
        ("teacher.backbone.", "student.backbone."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("swapped", [False, True])
def test_which_of_two_networks(tmp_path, first, second, swapped):
    taken, left, target = (Backbone("test_resnet") for _ in range(3))
    parts = [prefixed(first, taken), prefixed(second, left)]
    torch.save(
        {name: tensor for part in parts[:: -1 if swapped else 1] for name, tensor in part.items()}, tmp_path / "w.pth"
    )
    remarks = load_backbone(target, tmp_path / "w.pth")
    assert same(target, taken)
    assert any("left out" in remark for remark in remarks)


def test_a_dictionary_around(tmp_path, source, target):
    torch.save(
        {"net": prefixed("encoder.", source), "epoch": 3, "optimizer": {"state": {0: torch.ones(2)}}},
        tmp_path / "w.pth",
    )
    load_backbone(target, tmp_path / "w.pth")
    assert same(source, target)


@pytest.mark.parametrize(("average", "raw"), [("state_dict_ema", "state_dict"), ("model_ema", "model")])
def test_the_average_is_taken_as_timm_does(tmp_path, average, raw):
    file = tmp_path / "w.pth.tar"
    ema, last, target = (Backbone("test_vit") for _ in range(3))
    torch.save({"epoch": 1, raw: prefixed("", last), average: prefixed("module.", ema)}, file)
    remarks = load_backbone(target, file)
    assert same(target, ema)
    assert f"using the averaged weights, {average}; for the last weights give {file}:{raw}" in remarks[0]
    peer = timm.create_model("test_vit", num_classes=0)
    timm.models.load_checkpoint(peer, str(file))
    assert all(torch.equal(tensor, target.network.state_dict()[name]) for name, tensor in peer.state_dict().items())
    remarks = load_backbone(target, Path(f"{file}:{raw}"))
    assert same(target, last)
    assert not any("averaged" in remark for remark in remarks)
    with pytest.raises(UserError, match=f"the file has no such entry; choose from {average}, {raw}"):
        load_backbone(target, Path(f"{file}:teacher"))


def test_names_of_nothing_are_shown(tmp_path, target):
    torch.save({f"strange.{i}": torch.ones(2) for i in range(5)}, tmp_path / "w.pth")
    message = (
        r"lacks 21 of the network's 21 tensors \(vit.cls_token, .* and holds 5 tensors that the network lacks "
        r"\(strange.0, strange.1, strange.2, \.\.\.\)"
    )
    with pytest.raises(UserError, match=message) as raised:
        load_backbone(target, tmp_path / "w.pth")
    assert "%" not in str(raised.value)


def test_blocks_in_chunks(tmp_path):
    """As DINOv2 shards its training: `blocks.CHUNK.BLOCK.`, blocks counted through all chunks."""
    one, other = Backbone("test_vit"), Backbone("test_vit")
    state = {re.sub(r"^blocks\.(\d+)", r"blocks.\1.\1", name): t for name, t in prefixed("", one).items()}
    assert any(name.startswith("blocks.1.1.") for name in state)
    torch.save({"teacher": {f"backbone.{name}": tensor for name, tensor in state.items()}}, tmp_path / "w.pth")
    load_backbone(other, tmp_path / "w.pth")
    assert same(one, other)


def test_moco_v3s_small_vit_has_twelve_heads(tmp_path):
    small = {"depth": 1, "img_size": 32}
    six = Backbone("vit_small_patch16_224.dino", **small)
    torch.save({"state_dict": prefixed("module.base_encoder.", six)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"12 attention heads, but .* has 6; give --backbone.num-heads 12"):
        load_backbone(six, tmp_path / "w.pth")
    load_backbone(Backbone("vit_small_patch16_224.dino", num_heads=12, **small), tmp_path / "w.pth")
