"""Files with the keys and shapes of the projects' public code, and what comes out of them."""

import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.segmentation.deeplabv3 import DeepLabHead, DeepLabV3
from torchvision.models.segmentation.fcn import FCNHead

from twinsight.backbones import hub, weights
from twinsight.backbones.backbone import Backbone
from twinsight.backbones.hub import fetch, official
from twinsight.backbones.layouts import read_layout
from twinsight.backbones.likely import RESNETS, likely
from twinsight.backbones.parts import part_of
from twinsight.backbones.weights import load_backbone
from twinsight.errors import UserError

WIDTH, HEADS, DEPTH, PATCH, GRID = 32, 4, 2, 8, 4
VIT = {"img_size": GRID * PATCH, "patch_size": PATCH, "embed_dim": WIDTH, "num_heads": HEADS, "depth": DEPTH}


@pytest.fixture
def images():
    return torch.rand(2, 3, GRID * PATCH, GRID * PATCH, generator=torch.Generator().manual_seed(0))


def randomized(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * 0.2 for name, shape in shapes.items()}


def normalized(images: Tensor) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((images - mean.view(3, 1, 1)) / std.view(3, 1, 1)).double()


# Residual networks


def resnet(**options) -> ResNet:
    """torchvision's own, thin, with statistics that are not those of a new network."""
    torch.manual_seed(0)
    network = ResNet(Bottleneck, [2, 1, 2, 2], width_per_group=16, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
    return network


def thin_resnet(**options) -> Backbone:
    return Backbone("resnet50", layers=(2, 1, 2, 2), base_width=16, **options).eval()


def stages(network: ResNet, images: Tensor) -> list[Tensor]:
    x = network.maxpool(network.relu(network.bn1(network.conv1(normalized(images).float()))))
    found = []
    for layer in (network.layer1, network.layer2, network.layer3, network.layer4):
        x = layer(x)
        found.append(x)
    return found


@torch.no_grad()
def same_stages(backbone: Backbone, network: ResNet, images: Tensor) -> bool:
    features = backbone.features(images, levels=range(1, 5))
    expected = stages(network, images)
    pooled = network.avgpool(expected[-1]).flatten(1)
    return torch.allclose(features.embedding, pooled, atol=1e-4, rtol=1e-4) and all(
        torch.allclose(one, other, atol=1e-4, rtol=1e-4) for one, other in zip(features.maps, expected, strict=True)
    )


def test_torchvision_classifier(tmp_path, images):
    network, backbone = resnet(), thin_resnet()
    torch.save(network.state_dict(), tmp_path / "resnet.pth")
    assert not same_stages(backbone, network, images)
    remarks = load_backbone(backbone, tmp_path / "resnet.pth")
    assert same_stages(backbone, network, images)
    assert remarks == [f"{tmp_path}/resnet.pth: left out: fc (classifier), 2 tensors"]


def test_torchvision_weights_of_old_have_no_counters(tmp_path, images):
    network, backbone = resnet(), thin_resnet()
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "resnet.pth", _use_new_zipfile_serialization=False)
    load_backbone(backbone, tmp_path / "resnet.pth")
    assert same_stages(backbone, network, images)
    torch.save({k: v for k, v in state.items() if k != "bn1.running_var"}, tmp_path / "resnet.pth")
    with pytest.raises(UserError, match=r"lacks 1 of the network's \d+ tensors \(bn1.running_var\)"):
        load_backbone(backbone, tmp_path / "resnet.pth")


def test_deeplab(tmp_path, images):
    network = resnet(replace_stride_with_dilation=[False, True, True])
    trunk = IntermediateLayerGetter(network, {"layer4": "out", "layer3": "aux"})
    model = DeepLabV3(trunk, DeepLabHead(2048, 3), FCNHead(1024, 3))
    torch.save(model.state_dict(), tmp_path / "deeplab.pth")
    backbone = thin_resnet(output_stride=8)
    remarks = load_backbone(backbone, tmp_path / "deeplab.pth")
    assert same_stages(backbone, network, images)
    parts = [remark.partition("left out: ")[2].partition(",")[0] for remark in remarks]
    assert sorted(parts) == ["aux_classifier (decoder)", "classifier (decoder)"]
    assert read_layout(model.state_dict()).layout.endswith("in a segmentation model of torchvision")


class BarlowTwins(nn.Module):
    """The modules of the official training, under DistributedDataParallel."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.module = nn.Module()
        self.module.backbone = backbone
        linear = [nn.Linear(2048, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16, bias=False)]
        self.module.projector = nn.Sequential(*linear)
        self.module.bn = nn.BatchNorm1d(16, affine=False)


@pytest.fixture
def optimizer_filter(monkeypatch):
    """As the official LARS refers to it in its state: a function of the script, in a spawned process."""

    def exclude_bias_and_norm(parameter):
        return parameter.ndim == 1

    exclude_bias_and_norm.__module__ = "__mp_main__"
    exclude_bias_and_norm.__qualname__ = "exclude_bias_and_norm"
    script = ModuleType("__mp_main__")
    script.exclude_bias_and_norm = exclude_bias_and_norm
    monkeypatch.setitem(sys.modules, "__mp_main__", script)
    return exclude_bias_and_norm


def test_barlow_twins(tmp_path, images, optimizer_filter):
    network = resnet()
    network.fc = nn.Identity()
    model = BarlowTwins(network)
    groups = [{"lr": 0.0, "weight_decay_filter": optimizer_filter, "params": [0]}]
    optimizer = {"state": {0: {"mu": torch.ones(2)}}, "param_groups": groups}
    torch.save({"epoch": 1000, "model": model.state_dict(), "optimizer": optimizer}, tmp_path / "checkpoint.pth")
    torch.save(network.state_dict(), tmp_path / "resnet50.pth")
    full, alone = thin_resnet(), thin_resnet()
    remarks = load_backbone(full, tmp_path / "checkpoint.pth")
    assert [remark.partition("left out: ")[2] for remark in remarks] == [
        "projector (projector), 7 tensors",
        "bn (projector), 3 tensors",
    ]
    assert load_backbone(alone, tmp_path / "resnet50.pth") == []
    assert same_stages(full, network, images)
    assert same_stages(alone, network, images)
    assert read_layout(model.state_dict()).layout.endswith("in a training checkpoint of Barlow Twins")


# Vision transformers

DINO = {
    "cls_token": (1, 1, WIDTH), "pos_embed": (1, 1 + GRID**2, WIDTH),
    "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH), "patch_embed.proj.bias": (WIDTH,),
    **{
        f"blocks.{i}.{name}": shape
        for i in range(DEPTH)
        for name, shape in {
            "norm1.weight": (WIDTH,), "norm1.bias": (WIDTH,),
            "attn.qkv.weight": (3 * WIDTH, WIDTH), "attn.qkv.bias": (3 * WIDTH,),
            "attn.proj.weight": (WIDTH, WIDTH), "attn.proj.bias": (WIDTH,),
            "norm2.weight": (WIDTH,), "norm2.bias": (WIDTH,),
            "mlp.fc1.weight": (4 * WIDTH, WIDTH), "mlp.fc1.bias": (4 * WIDTH,),
            "mlp.fc2.weight": (WIDTH, 4 * WIDTH), "mlp.fc2.bias": (WIDTH,),
        }.items()
    },
    "norm.weight": (WIDTH,), "norm.bias": (WIDTH,),
}  # fmt: skip
DINO_HEAD = {
    "mlp.0.weight": (8, WIDTH), "mlp.0.bias": (8,), "mlp.2.weight": (8, 8), "mlp.2.bias": (8,),
    "mlp.4.weight": (4, 8), "mlp.4.bias": (4,), "last_layer.weight_g": (16, 1), "last_layer.weight_v": (16, 4),
}  # fmt: skip
HUGGING_FACE = {
    "embeddings.cls_token": (1, 1, WIDTH), "embeddings.position_embeddings": (1, 1 + GRID**2, WIDTH),
    "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, PATCH, PATCH),
    "embeddings.patch_embeddings.projection.bias": (WIDTH,),
    **{
        f"encoder.layer.{i}.{name}.{kind}": (shape if kind == "weight" else shape[:1])
        for i in range(DEPTH)
        for name, shape in {
            **{f"attention.attention.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")},
            "attention.output.dense": (WIDTH, WIDTH),
            "intermediate.dense": (4 * WIDTH, WIDTH), "output.dense": (WIDTH, 4 * WIDTH),
            "layernorm_before": (WIDTH,), "layernorm_after": (WIDTH,),
        }.items()
        for kind in ("weight", "bias")
    },
    "layernorm.weight": (WIDTH,), "layernorm.bias": (WIDTH,),
}  # fmt: skip


def dinov2_of_hugging_face(registers: int) -> dict[str, tuple[int, ...]]:
    """Its ViT with the names that DINOv2's has otherwise."""
    names = {
        "layernorm_before": "norm1", "layernorm_after": "norm2", "intermediate.dense": "mlp.fc1",
        ".output.dense": ".mlp.fc2", ".attention.mlp.fc2": ".attention.output.dense",
    }  # fmt: skip
    found = {}
    for name, shape in HUGGING_FACE.items():
        for old, new in names.items():
            name = name.replace(old, new)
        found[name] = shape
    scales = {f"encoder.layer.{i}.layer_scale{j}.lambda1": (WIDTH,) for i in range(DEPTH) for j in (1, 2)}
    more = {"embeddings.register_tokens": (1, registers, WIDTH)} if registers else {}
    return found | scales | more | {"embeddings.mask_token": (1, WIDTH)}


class Reader:
    """Tensors by name, in float64."""

    def __init__(self, state: dict[str, Tensor]):
        self.state = {name: tensor.double() for name, tensor in state.items()}

    def __call__(self, name: str) -> Tensor:
        return self.state[name]

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self(f"{name}.weight").T + self(f"{name}.bias")

    def norm(self, name: str, x: Tensor) -> Tensor:
        centered = x - x.mean(-1, keepdim=True)
        scaled = centered / (centered.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return scaled * self(f"{name}.weight") + self(f"{name}.bias")

    def patches(self, name: str, pixels: Tensor) -> Tensor:
        """(B, N, width): each patch times the kernel."""
        cut = F.unfold(pixels, PATCH, stride=PATCH).transpose(1, 2)
        return cut @ self(f"{name}.weight").flatten(1).T + self(f"{name}.bias")


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(B, N, width) each, heads side by side."""
    heads = [x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (query, key, value)]
    scores = heads[0] @ heads[1].mT / (WIDTH // HEADS) ** 0.5
    return (scores.softmax(-1) @ heads[2]).transpose(1, 2).flatten(2)


def dino_forward(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """(B, 1 + N, width): all tokens after the final norm."""
    r = Reader(state)
    patches = r.patches("patch_embed.proj", normalized(images))
    x = torch.cat((r("cls_token").expand(len(images), 1, -1), patches), 1) + r("pos_embed")
    for i in range(DEPTH):
        qkv = r.linear(f"blocks.{i}.attn.qkv", r.norm(f"blocks.{i}.norm1", x))
        x = x + r.linear(f"blocks.{i}.attn.proj", attend(*qkv.chunk(3, -1)))
        hidden = F.gelu(r.linear(f"blocks.{i}.mlp.fc1", r.norm(f"blocks.{i}.norm2", x)))
        x = x + r.linear(f"blocks.{i}.mlp.fc2", hidden)
    return r.norm("norm", x)


def hugging_face_forward(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """(B, 1 + registers + N, width), of its ViT and of its DINOv2."""
    r = Reader(state)
    patches = r.patches("embeddings.patch_embeddings.projection", normalized(images))
    x = torch.cat((r("embeddings.cls_token").expand(len(images), 1, -1), patches), 1)
    x = x + r("embeddings.position_embeddings")
    if "embeddings.register_tokens" in r.state:
        x = torch.cat((x[:, :1], r("embeddings.register_tokens").expand(len(images), -1, -1), x[:, 1:]), 1)
    v2 = "encoder.layer.0.norm1.weight" in r.state
    before, after = ("norm1", "norm2") if v2 else ("layernorm_before", "layernorm_after")
    first, second = ("mlp.fc1", "mlp.fc2") if v2 else ("intermediate.dense", "output.dense")
    for i in range(DEPTH):
        layer = f"encoder.layer.{i}"
        inner = r.norm(f"{layer}.{before}", x)
        parts = [r.linear(f"{layer}.attention.attention.{part}", inner) for part in ("query", "key", "value")]
        attended = r.linear(f"{layer}.attention.output.dense", attend(*parts))
        x = x + (attended * r(f"{layer}.layer_scale1.lambda1") if v2 else attended)
        hidden = r.linear(f"{layer}.{second}", F.gelu(r.linear(f"{layer}.{first}", r.norm(f"{layer}.{after}", x))))
        x = x + (hidden * r(f"{layer}.layer_scale2.lambda1") if v2 else hidden)
    return r.norm("layernorm", x)


@torch.no_grad()
def same_tokens(backbone: Backbone, tokens: Tensor, images: Tensor) -> bool:
    features = backbone.eval().features(images, levels=[-1])
    patches = features.maps[0].flatten(2).transpose(1, 2)
    return torch.allclose(features.embedding.double(), tokens[:, 0], atol=1e-4) and torch.allclose(
        patches.double(), tokens[:, backbone.prefix_tokens :], atol=1e-4
    )


def vit(name: str = "vit_small_patch16_224.dino", **options) -> Backbone:
    return Backbone(name, **VIT | options)


def test_dino(tmp_path, images):
    student, teacher = randomized(DINO, 1), randomized(DINO, 2)
    torch.save(teacher, tmp_path / "dino_deitsmall16_pretrain.pth")
    head = randomized(DINO_HEAD)
    checkpoint = {
        "student": {f"module.backbone.{k}": v for k, v in student.items()}
        | {f"module.head.{k}": v for k, v in head.items()},
        "teacher": {f"backbone.{k}": v for k, v in teacher.items()} | {f"head.{k}": v for k, v in head.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
        "epoch": 100,
        "args": Namespace(arch="vit_small", patch_size=16, global_crops_scale=(0.4, 1.0)),
        "dino_loss": {"center": torch.zeros(1, 16)},
    }
    torch.save(checkpoint, tmp_path / "full.pth")
    expected = dino_forward(teacher, images)
    alone, full = vit(), vit()
    assert not same_tokens(alone, expected, images)
    assert load_backbone(alone, tmp_path / "dino_deitsmall16_pretrain.pth") == []
    assert same_tokens(alone, expected, images)
    remarks = load_backbone(full, tmp_path / "full.pth")
    assert same_tokens(full, expected, images)
    assert [remark.partition("left out: ")[2] for remark in remarks] == [
        "head.mlp (projector), 6 tensors",
        "head.last_layer (prototypes), 2 tensors",
        f"student (further network), {len(DINO) + len(DINO_HEAD)} tensors",
    ]
    assert read_layout(checkpoint["teacher"]).layout.endswith("in a training checkpoint of DINO")
    torch.save({"student": checkpoint["student"]}, tmp_path / "student.pth")
    load_backbone(full, tmp_path / "student.pth")
    assert same_tokens(full, dino_forward(student, images), images)


@pytest.mark.parametrize(
    ("prefix", "more", "left"),
    [
        ("", {}, []),
        ("", {"pooler.dense.weight": (4, 4), "pooler.dense.bias": (4,)}, ["pooler (pooler), 2 tensors"]),
        ("vit.", {"classifier.weight": (5, 4), "classifier.bias": (5,)}, ["classifier (classifier), 2 tensors"]),
    ],
    ids=["model", "pooler", "classifier"],
)
def test_hugging_face_vit(tmp_path, images, prefix, more, left):
    state = randomized(HUGGING_FACE)
    save_file({prefix + k: v for k, v in state.items()} | randomized(more), tmp_path / "model.safetensors")
    backbone = vit()
    remarks = load_backbone(backbone, tmp_path / "model.safetensors")
    assert same_tokens(backbone, hugging_face_forward(state, images), images)
    assert [remark.partition("left out: ")[2] for remark in remarks] == left


@pytest.mark.parametrize(("registers", "name"), [(0, "vit_small_patch14_dinov2"), (4, "vit_small_patch14_reg4_dinov2")])
@pytest.mark.parametrize("prefix", ["", "dinov2."])
def test_hugging_face_dinov2(tmp_path, images, registers, name, prefix):
    state = randomized(dinov2_of_hugging_face(registers))
    save_file({prefix + k: v for k, v in state.items()}, tmp_path / "model.safetensors")
    backbone = vit(name)
    remarks = load_backbone(backbone, tmp_path / "model.safetensors")
    assert same_tokens(backbone, hugging_face_forward(state, images), images)
    assert [remark.partition("left out: ")[2] for remark in remarks] == ["embeddings.mask_token (mask token), 1 tensor"]


def test_dinov2_as_published(tmp_path, images):
    theirs = randomized(dinov2_of_hugging_face(registers=4))
    state = read_layout(theirs).tensors  # timm's names, registers placed: back to the official ones
    state["register_tokens"] = state.pop("reg_token")
    state["cls_token"] = theirs["embeddings.cls_token"]
    state["pos_embed"] = theirs["embeddings.position_embeddings"]
    torch.save(state | {"mask_token": torch.zeros(1, WIDTH)}, tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    backbone = vit("vit_small_patch14_reg4_dinov2")
    load_backbone(backbone, tmp_path / "dinov2_vits14_reg4_pretrain.pth")
    assert same_tokens(backbone, hugging_face_forward(theirs, images), images)


def test_timm_classifier(tmp_path, images):
    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch16_224.dino", num_classes=7, **VIT).eval()
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "timm.pt")
    backbone = vit().eval()
    assert [r.partition("left out: ")[2] for r in load_backbone(backbone, tmp_path / "timm.pt")] == [
        "head (classifier), 2 tensors"
    ]
    with torch.no_grad():
        expected = network.forward_head(network.forward_features(normalized(images).float()), pre_logits=True)
        assert torch.allclose(backbone(images), expected, atol=1e-6)


def test_positions_are_resized(tmp_path):
    state = randomized(DINO)
    torch.save(state, tmp_path / "dino.pth")
    backbone = vit(img_size=6 * PATCH)
    remarks = load_backbone(backbone, tmp_path / "dino.pth")
    assert remarks == [f"{tmp_path}/dino.pth: position embeddings resized from 4x4 to 6x6 patches"]
    assert torch.equal(backbone.network.pos_embed, resample_abs_pos_embed(state["pos_embed"], [6, 6]))
    assert torch.equal(backbone.network.pos_embed[:, :1], state["pos_embed"][:, :1])
    torch.save(state | {"pos_embed": torch.zeros(1, 13, WIDTH)}, tmp_path / "no_square.pth")
    with pytest.raises(UserError, match="of another shape"):
        load_backbone(backbone, tmp_path / "no_square.pth")


def test_positions_of_vit_pytorch(tmp_path):
    options = {"patch_size": 8, "dim": 8, "depth": 1, "heads": 1, "mlp_dim": 8}
    small, large = (Backbone("vit-pytorch", image_size=size, **options) for size in (32, 48))
    torch.save(small.network.state_dict(), tmp_path / "small.pth")
    assert "from 4x4 to 6x6" in load_backbone(large, tmp_path / "small.pth")[0]
    given = small.network.vit.pos_embedding.detach()
    assert torch.equal(large.network.vit.pos_embedding, resample_abs_pos_embed(given[None], [6, 6])[0])


# What does not fit


def test_an_unknown_tensor_is_refused(tmp_path):
    torch.save(randomized(DINO | {"blocks.0.gate": (1,)}), tmp_path / "dino.pth")
    backbone = vit()
    before = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    with pytest.raises(UserError, match=r"holds 1 tensor that the network lacks \(blocks.0.gate\)"):
        load_backbone(backbone, tmp_path / "dino.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.network.state_dict().items())


def test_the_network_is_named(tmp_path):
    with torch.device("meta"):
        state = Backbone("resnet18").network.state_dict()
    torch.save({name: torch.zeros(tensor.shape) for name, tensor in state.items()}, tmp_path / "resnet.pth")
    with pytest.raises(UserError, match=r"not weights of resnet50: .* give --backbone resnet18$"):
        load_backbone(Backbone("resnet50"), tmp_path / "resnet.pth")


def test_another_pixel_mean_is_told(tmp_path):
    torch.save(randomized(DINO), tmp_path / "dino.pth")
    remarks = load_backbone(vit("vit_small_patch16_224"), tmp_path / "dino.pth")
    assert len(remarks) == 1
    assert "using timm's values for vit_small_patch16_224" in remarks[0]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("fc.weight", "fc (classifier)"),
        ("head.bias", "head (classifier)"),
        ("head.fc.weight", "head.fc (classifier)"),
        ("classifier.weight", "classifier (classifier)"),
        ("classifier.0.convs.0.0.weight", "classifier (decoder)"),
        ("aux_classifier.4.bias", "aux_classifier (decoder)"),
        ("model.head.project.weight", "head (decoder)"),
        ("module.head.last_layer.weight_g", "head.last_layer (prototypes)"),
        ("dino_head.mlp.0.weight", "dino_head.mlp (projector)"),
        ("method.projector.0.weight", "projector (projector)"),
        ("method.predictor.0.weight", "predictor (predictor)"),
        ("norm.weight", None),
        ("blocks.1.mlp.fc1.weight", None),
        ("bn1.weight", None),
        ("fc_norm.weight", None),
    ],
)
def test_parts(name, part):
    assert part_of(name) == part


VITS = ("vit_small_patch16_224.dino", "vit_base_patch8_224.dino", "vit_large_patch16_224", "vit_base_patch14_dinov2")


@pytest.mark.parametrize("name", [*VITS, *RESNETS.values()])
def test_likely_network(name):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
    assert likely(read_layout(network.state_dict())) == name


def test_likely_network_of_a_classifier_is_not_dinos():
    with torch.device("meta"):
        network = timm.create_model("vit_small_patch16_224")
        other = timm.create_model("convnext_atto")
    assert likely(read_layout(network.state_dict())) == "vit_small_patch16_224"
    assert likely(read_layout(other.state_dict())) is None


# Official names


@pytest.mark.parametrize("name", ["resnet50.IMAGENET1K_V2", "deeplabv3_resnet50.COCO_WITH_VOC_LABELS_V1"])
def test_names_of_torchvision(name):
    known = official()[f"torchvision/{name}"]
    assert known.backbone == "resnet50"
    assert known.url.endswith(f"-{known.sha256}.pth")
    assert len(known.sha256) == 8


def test_every_official_backbone_takes_imagenets_pixels():
    for name in {known.backbone for known in official().values()}:
        config = timm.get_pretrained_cfg(name)
        assert config is not None, name
        assert config.mean == (0.485, 0.456, 0.406), name
    assert len({known.file for known in official().values()}) == len(official())


@pytest.fixture
def offered(monkeypatch, tmp_path):
    """`torch.hub` without a network: writes what is offered, by address."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(weights, "official", lambda: known)
    monkeypatch.setattr(hub, "official", lambda: known)
    monkeypatch.setattr(hub, "unreachable", lambda _: None)
    known = {
        "dino_vits16": hub.PROJECTS["dino_vits16"],
        "checked": hub.Official("resnet50", "https://host/checked.pth", "checked.pth", "00000000"),
    }
    found = {}

    def download(url, dst, hash_prefix=None, progress=True):
        if url not in found:
            raise OSError("no route to host")
        if hash_prefix:
            raise RuntimeError("invalid hash value")
        torch.save(found[url], dst)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return found


def test_download(offered, images, monkeypatch):
    state = randomized(DINO)
    offered[official()["dino_vits16"].url] = state
    backbone = vit()
    file = fetch("dino_vits16")
    assert file.name == "dino_deitsmall16_pretrain.pth"
    assert file.parent.name == "checkpoints"
    offered.clear()  # from now on it is there
    load_backbone(backbone, Path("dino_vits16"))
    assert same_tokens(backbone, dino_forward(state, images), images)
    with pytest.raises(UserError, match=r"dino_vits16: .* give --backbone vit_small_patch16_224.dino"):
        load_backbone(Backbone("resnet18"), Path("dino_vits16"))
    with pytest.raises(UserError, match=r"requires pixels .* or --backbone vit_small_patch16_224.dino"):
        load_backbone(vit("vit_small_patch16_224"), Path("dino_vits16"))


def test_no_network(offered):
    place = r"hub/checkpoints/dino_deitsmall16_pretrain.pth"
    with pytest.raises(
        UserError, match=rf"cannot be downloaded \(no route to host\); .* put https://dl.* at .*{place}"
    ):
        fetch("dino_vits16")


def test_checksum(offered):
    offered["https://host/checked.pth"] = {}
    with pytest.raises(UserError, match="the checksum of the download does not match"):
        fetch("checked")
    hub.official()["checked"].cached.write_bytes(b"other")
    with pytest.raises(UserError, match=r"checked.pth: its checksum does not match; delete it"):
        fetch("checked")


def test_no_such_name(tmp_path):
    with pytest.raises(UserError, match="run directory or official weights"):
        load_backbone(vit(), tmp_path / "dino_vits17")
