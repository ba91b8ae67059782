import json
import os
import pickle
import random
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.checkpoint import read_tensors
from twinsight.backbones.weights import load_backbone, save_backbone
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


def test_round_trip(tmp_path, source, target):
    file = tmp_path / "backbone.safetensors"
    save_backbone(source, file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backbone.json", "backbone.safetensors"]
    about = json.loads((tmp_path / "backbone.json").read_text())
    assert about.pop("mean") == pytest.approx([0.485, 0.456, 0.406])
    assert about.pop("std") == pytest.approx([0.229, 0.224, 0.225])
    assert about == {"backbone": "vit-pytorch", "options": SMALL, "dim": 8, "dims": [8], "strides": [8]}
    assert not same(source, target)
    load_backbone(target, file)
    assert same(source, target)


def test_pixels_normalized_otherwise_than_in_pretraining_are_refused(tmp_path):
    small = {"img_size": 32, "embed_dim": 48, "depth": 1}
    file = tmp_path / "w.safetensors"
    save_backbone(Backbone("deit_tiny_patch16_224", **small), file)
    with pytest.raises(UserError, match=r"with mean 0.485 0.456 0.406, .*, or --backbone deit_tiny"):
        load_backbone(Backbone("vit_tiny_patch16_224", **small), file)
    (tmp_path / "w.json").write_text("[1")
    with pytest.raises(UserError, match=r"w.json: is not valid JSON"):
        load_backbone(Backbone("deit_tiny_patch16_224", **small), file)


@pytest.mark.parametrize(
    "content",
    [
        lambda b: {"state_dict": prefixed("method.trunk.network.", b) | {"method.projector.0.weight": torch.ones(1)}},
        lambda b: {"state_dict": prefixed("model.backbone.network.", b) | {"model.head.bias": torch.ones(1)}},
        lambda b: {"model": prefixed("module.", b), "epoch": 3},
        lambda b: prefixed("", b),
    ],
    ids=["pretraining", "segmenting", "ddp", "plain"],
)
def test_what_stands_before_the_names(tmp_path, source, target, content):
    torch.save(content(source), tmp_path / "weights.ckpt")
    load_backbone(target, tmp_path / "weights.ckpt")
    assert same(source, target)


def test_a_runs_exported_weights_come_before_its_checkpoint(tmp_path, source, target):
    (tmp_path / "checkpoints").mkdir()
    torch.save({"state_dict": prefixed("method.trunk.network.", source)}, tmp_path / "checkpoints" / "last.ckpt")
    load_backbone(target, tmp_path)
    assert same(source, target)
    segmenter = make(2)
    save_file(
        prefixed("backbone.network.", segmenter) | {"head.bias": torch.ones(1)},
        tmp_path / "model.safetensors",
    )
    load_backbone(target, tmp_path)
    assert same(segmenter, target)
    exported = make(3)
    save_backbone(exported, tmp_path / "backbone.safetensors")
    load_backbone(target, tmp_path)
    assert same(exported, target)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"depth": 2}, "lacks"), ({"dim": 16, "mlp_dim": 8}, "of another shape")],
)
def test_another_backbone_changes_nothing(tmp_path, source, options, message):
    save_backbone(source, tmp_path / "b.safetensors")
    other, untouched = make(1, **options), make(1, **options)
    with pytest.raises(UserError, match=f"b.safetensors: not weights of vit-pytorch: .*{message}"):
        load_backbone(other, tmp_path / "b.safetensors")
    assert same(other, untouched)


def test_tensors_too_many(tmp_path, target):
    save_backbone(make(0, depth=2), tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=r"holds \d+ tensors? that the network lacks \(vit.transformer.layers.1"):
        load_backbone(target, tmp_path / "b.safetensors")


@pytest.mark.parametrize("name", ["w.safetensors", "w.ckpt"])
def test_truncated_file(tmp_path, source, target, name):
    file = tmp_path / name
    save_file(prefixed("", source), file) if name.endswith("tensors") else torch.save(prefixed("", source), file)
    content = file.read_bytes()
    for length in (0, 5, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(UserError, match=f"{name}: cannot be read as weights"):
            load_backbone(target, file)
    assert same(target, make(1))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_files_raise_nothing_else(tmp_path, legacy):
    file = tmp_path / "w.pth"
    torch.save({"a": torch.ones(3)}, file, _use_new_zipfile_serialization=not legacy)
    content, rng = file.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(100):
        damaged = bytearray(content)
        for _ in range(5):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        file.write_bytes(damaged)
        try:
            read_tensors(file)
        except UserError:
            refused += 1
    assert refused > 20


class Touch:
    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [2, pickle.DEFAULT_PROTOCOL])
@pytest.mark.parametrize("archive", [False, True])
def test_a_pickle_of_objects_is_refused_unexecuted(tmp_path, target, archive, protocol):
    file, trap = tmp_path / "w.pth", tmp_path / "executed"
    content = {"state_dict": prefixed("", target), "extra": Touch(trap)}
    if archive:
        torch.save(content, file, pickle_protocol=protocol)
    else:
        file.write_bytes(pickle.dumps({"extra": Touch(trap)}, protocol=protocol))
    with pytest.raises(UserError, match="holds objects other than tensors" if protocol == 2 else r"w.pth"):
        load_backbone(target, file)
    assert not trap.exists()


def test_no_dictionary(tmp_path, target):
    torch.save(torch.ones(3), tmp_path / "w.pth")
    with pytest.raises(UserError, match="not a dictionary of tensors"):
        load_backbone(target, tmp_path / "w.pth")


def test_nothing_there(tmp_path, target):
    with pytest.raises(UserError, match="no such file"):
        load_backbone(target, tmp_path / "missing.pth")
    with pytest.raises(UserError, match=r"holds no weights.*backbone\.safetensors"):
        load_backbone(target, tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_exported_files_are_as_readable_as_others(tmp_path):
    before = os.umask(0o022)
    try:
        save_backbone(make(0), tmp_path / "backbone.safetensors")
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"backbone.safetensors": 0o644, "backbone.json": 0o644}


def test_a_full_disk_leaves_the_export_before(tmp_path, monkeypatch):
    save_backbone(make(0), tmp_path / "backbone.safetensors")
    kept = (tmp_path / "backbone.safetensors").read_bytes()

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_backbone(make(0), tmp_path / "backbone.safetensors")
    assert (tmp_path / "backbone.safetensors").read_bytes() == kept
    assert len(list(tmp_path.iterdir())) == 2


# Damaged weights


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_a_number_that_is_not_finite(tmp_path, source, target, value, dtype):
    state = {name: tensor.clone().to(dtype) for name, tensor in prefixed("", source).items()}
    save_file(state, tmp_path / "w.safetensors")
    load_backbone(target, tmp_path / "w.safetensors")
    before = {name: tensor.clone() for name, tensor in target.network.state_dict().items()}
    state["vit.pos_embedding"][2, 3] = value
    save_file(state, tmp_path / "w.safetensors")
    message = r"w.safetensors: vit.pos_embedding has NaN or infinite values.*earlier checkpoint"
    with pytest.raises(UserError, match=message):
        load_backbone(target, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=message):
        read_tensors(tmp_path / "w.safetensors")
    assert all(torch.equal(tensor, before[name]) for name, tensor in target.network.state_dict().items())


def test_large_numbers_are_finite(tmp_path, source, target):
    state = prefixed("", source) | {"vit.pos_embedding": torch.full((5, 8), 3e38)}
    save_file(state, tmp_path / "w.safetensors")
    load_backbone(target, tmp_path / "w.safetensors")
    assert torch.equal(target.network.vit.pos_embedding, state["vit.pos_embedding"])


def test_integers_where_floats_belong(tmp_path, source, target):
    state = prefixed("", source)
    save_file(state | {"vit.cls_token": torch.ones(1, 8, dtype=torch.int8)}, tmp_path / "w.safetensors")
    message = r"holds 1 tensor of another shape or type \(vit.cls_token, int8 1x8 for float32 1x8\)"
    with pytest.raises(UserError, match=message):
        load_backbone(target, tmp_path / "w.safetensors")
    assert same(target, make(1))


@pytest.mark.filterwarnings("ignore:(Validating|Sparse|TypedStorage|.*quantize)")
@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (lambda: torch.ones(3, device="meta"), "has a shape but no data"),
        (lambda: torch.eye(3).to_sparse(), "is sparse"),
        (lambda: torch.eye(3).to_sparse_csr(), "is sparse"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "is quantized"),
        (lambda: torch.ones(3, dtype=torch.complex64), "is complex"),
        (lambda: torch.ones(1).expand(10**13), "claims 10,000,000,000,000 numbers, more than the file can hold"),
    ],
    ids=["meta", "coo", "csr", "quantized", "complex", "expanded"],
)
def test_tensors_that_no_network_can_use(tmp_path, target, tensor, message):
    torch.save(prefixed("", target) | {"vit.norm.weight": tensor()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=f"w.pth: vit.norm.weight {message}"):
        load_backbone(target, tmp_path / "w.pth")
    with pytest.raises(UserError, match=f"w.pth: vit.norm.weight {message}"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("key", [0, ("a", "b"), None])
def test_names_that_are_not_text(tmp_path, target, key):
    torch.save({key: torch.ones(3)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"w.pth: .* is not the name of a tensor"):
        load_backbone(target, tmp_path / "w.pth")


def test_what_is_no_file(tmp_path, target):
    os.mkfifo(tmp_path / "pipe.pth")  # which nobody writes to: reading would wait for ever
    with pytest.raises(UserError, match=r"pipe.pth: is not a weights file"):
        load_backbone(target, tmp_path / "pipe.pth")
