"""How projects name the tensors of a network, and what else they write beside it."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor

# What stands before the network's own names, the longer ones first, and which project writes it so.
PREFIXES = {
    "method.trunk.network.": "pretraining checkpoint of twinsight",
    "model.backbone.network.": "segmentation checkpoint of twinsight",
    "backbone.network.": "segmenter of twinsight",
    "module.backbone.": "training checkpoint",
    "backbone.": "model with a backbone",
    "module.": "training checkpoint",
}

# What may stand beside a backbone, by its name without those of the modules around it.
PARTS = {
    "prototypes": r"\w*head\.last_layer|prototypes",
    "projector": r"\w*head\.mlp|projector|projection_head|bn",
    "predictor": "predictor",
    "classifier": r"(fc|heads?|head\.fc|classifier|last_linear)(?=\.(weight|bias)$)",
    "decoder": r"aux_classifier|classifier|head|aux",
    "pooler": "pooler",
    "mask token": r"(embeddings\.)?mask_token$",
}
AROUND = re.compile(r"^(module|method|model)\.")

HUGGING_FACE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.register_tokens": "register_tokens",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "encoder.layer.": "blocks.",
    ".attention.attention.": ".attn.",
    ".attention.output.dense.": ".attn.proj.",
    ".intermediate.dense.": ".mlp.fc1.",
    ".output.dense.": ".mlp.fc2.",
    ".layernorm_before.": ".norm1.",
    ".layernorm_after.": ".norm2.",
    ".layer_scale1.lambda1": ".ls1.gamma",
    ".layer_scale2.lambda1": ".ls2.gamma",
    ".mlp.weights_in.": ".mlp.fc1.",
    ".mlp.weights_out.": ".mlp.fc2.",
    "layernorm.": "norm.",
}
DINOV2 = {".mlp.w12.": ".mlp.fc1.", ".mlp.w3.": ".mlp.fc2."}

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

WIDTHS = {192: "tiny", 384: "small", 768: "base", 1024: "large"}
"""Of timm's ViTs."""

RESNETS = {
    11_176_512: "resnet18", 21_284_672: "resnet34", 23_508_032: "resnet50", 42_500_160: "resnet101",
    58_143_808: "resnet152", 22_979_904: "resnext50_32x4d", 86_742_336: "resnext101_32x8d",
    81_406_272: "resnext101_64x4d", 66_834_240: "wide_resnet50_2", 124_837_696: "wide_resnet101_2",
}  # fmt: skip
"""By the number of their parameters; timm and torchvision call them and their tensors the same."""


class Content(NamedTuple):
    """The network in a file.

    layout: in words. tensors: the network's, by timm's names. beside: what stands beside it, by part, by the file's
    names. ours: twinsight wrote it. about: what it wrote beside the file, see `save_backbone`.
    """

    layout: str
    tensors: dict[str, Tensor]
    beside: dict[str, dict[str, Tensor]]
    ours: bool = False
    about: Mapping[str, Any] = MappingProxyType({})


def read_layout(state: Mapping[str, Tensor]) -> Content:
    """Finds the network among a file's tensors and gives them timm's names."""
    prefix = next((p for p in PREFIXES if any(name.startswith(p) for name in state)), "")
    tensors = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    outside = {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}
    marker = "embeddings.cls_token"
    inner = next((name.removesuffix(marker) for name in tensors if name.endswith(marker)), None)
    if inner is None:
        tensors = renamed(tensors, DINOV2)
        names = next((words for name, words in NAMES.items() if name in tensors), "names of its own network")
    else:
        outside |= {prefix + name: tensor for name, tensor in tensors.items() if not name.startswith(inner)}
        tensors = {name.removeprefix(inner): tensor for name, tensor in tensors.items() if name.startswith(inner)}
        tensors = join_attention(renamed(tensors, HUGGING_FACE))
        names = "ViT, as Hugging Face names it"
    if {"register_tokens", "cls_token", "pos_embed"} <= tensors.keys():
        place_registers(tensors)
    beside = by_part(outside)
    project = origin(prefix, beside)
    return Content(f"{names}, in a {project}" if project else names, tensors, beside, "twinsight" in project)


NAMES = {
    "blocks.0.attn.qkv.weight": "ViT, as timm and DINO name it",
    "layer1.0.conv1.weight": "ResNet, as torchvision and timm name it",
    "vit.transformer.norm.weight": "ViT of vit-pytorch",
}


def origin(prefix: str, beside: Iterable[str]) -> str:
    """Who writes such a file; empty if it is the network alone."""
    parts = set(beside)
    if prefix in ("module.backbone.", "backbone."):
        if "head.last_layer (prototypes)" in parts:
            return "training checkpoint of DINO"
        if {"projector (projector)", "bn (projector)"} <= parts:
            return "training checkpoint of Barlow Twins"
        if "classifier (decoder)" in parts:
            return "segmentation model of torchvision"
    return PREFIXES.get(prefix, "")


def renamed(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in tensors.items():
        for old, new in names.items():
            name = name.replace(old, new)
        found[name] = tensor
    return found


def join_attention(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Query, key and value, one below the other, as timm's qkv."""
    found = {}
    for name, tensor in tensors.items():
        query = re.sub(r"\.attn\.(key|value)\.", ".attn.query.", name)
        if ".attn.query." not in query:
            found[name] = tensor
        elif query == name:
            parts = [tensors.get(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
            whole = [part for part in parts if part is not None]
            found[name.replace(".query.", ".qkv.")] = torch.cat(whole)
    return found


def place_registers(tensors: dict[str, Tensor]) -> None:
    """DINOv2 adds a position to the class token and none to the registers; timm adds positions to patches only."""
    tensors["reg_token"] = tensors.pop("register_tokens")
    tensors["cls_token"] = tensors["cls_token"] + tensors["pos_embed"][:, :1]
    tensors["pos_embed"] = tensors["pos_embed"][:, 1:]


def part_of(name: str) -> str | None:
    """What a tensor is that no backbone has, as `NAME (KIND)`; None if it could be the network's own."""
    while AROUND.match(name):
        name = AROUND.sub("", name)
    for kind, pattern in PARTS.items():
        if found := re.match(rf"({pattern})(\.|$)", name):
            return f"{found[1]} ({kind})"
    return None


def by_part(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found.setdefault(part_of(name) or AROUND.sub("", name).partition(".")[0], {})[name] = tensor
    return found


def parameters(tensors: Mapping[str, Tensor]) -> int:
    """How many numbers are learned: all but the statistics of batch norms."""
    return sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(STATISTICS))


def likely(content: Content) -> str | None:
    """The timm model that the tensors are of, if it is a ViT or a ResNet of the usual sizes.

    A ViT that was trained without a classifier is taken for DINO's, for its pixel mean and deviation.
    """
    tensors = {name: tensor for name, tensor in content.tensors.items() if part_of(name) is None}
    if "layer1.0.conv1.weight" in tensors:
        return RESNETS.get(parameters(tensors))
    if "blocks.0.attn.qkv.weight" not in tensors or "patch_embed.proj.weight" not in tensors:
        return None
    kernel = tensors["patch_embed.proj.weight"].shape
    name = f"vit_{WIDTHS.get(kernel[0])}_patch{kernel[-1]}"
    if "blocks.0.ls1.gamma" in tensors:
        name += "_reg4_dinov2" if "reg_token" in tensors else "_dinov2"
        return name if timm.is_model(name) else None
    classified = any("classifier" in part or "pooler" in part for part in [*content.beside, *by_part(content.tensors)])
    names = [f"{name}_224"] if classified else [f"{name}_224.dino", f"{name}_224"]
    return next((found for n in names for found in timm.list_models(n) + timm.list_pretrained(n)), None)
