"""Translates other projects' tensor names for convolutional networks into timm's."""

import re

import torch

from twinsight.backbones.renaming import State, renaming

CONVNEXT = {
    r"^downsample_layers\.0\.": "stem.",
    r"^downsample_layers\.(\d)\.": r"stages.\1.downsample.",
    r"^stages\.(\d)\.(\d+)\.": r"stages.\1.blocks.\2.",
    r"\.dwconv\.": ".conv_dw.",
    r"\.pwconv(\d)\.": r".mlp.fc\1.",
    r"^norm\.": "head.norm.",
}
HUGGING_FACE_CONVNEXT = {
    r"^model\.": "",
    r"^encoder\.": "",
    r"^embeddings\.patch_embeddings\.": "stem.0.",
    r"^embeddings\.layernorm\.": "stem.1.",
    r"^stages\.0\.downsample_layers\.": "stem.",
    r"\.downsampl(e_layers|ing_layer)\.": ".downsample.",
    r"\.layers\.": ".blocks.",
    r"\.layer_scale_parameter$": ".gamma",
    r"\.(depthwise_conv|dwconv)\.": ".conv_dw.",
    r"\.(pointwise_conv|pwconv)(\d)\.": r".mlp.fc\2.",
    r"(?<=\d)\.layer_?norm\.": ".norm.",
    r"^layer_?norm\.": "head.norm.",
}
OPENMMLAB_STEM = {r"^stem\.([0-6])\.": r"conv1.\1.", r"^stem\.7\.": "bn1."}
NUMBERED = {r"^0\.": "conv1.", r"^1\.": "bn1."} | {rf"^{i}\.": f"layer{i - 3}." for i in (4, 5, 6, 7)}


def read_convnext(tensors: State) -> State:
    """DINOv3's checkpoints store the last norm twice."""
    norm = tensors.get("norm.weight")
    twice = re.compile(r"^norms\.\d\.")
    same = {name for name in tensors if twice.match(name) and norm is not None}
    kept = {n: t for n, t in tensors.items() if n not in same or not torch.equal(t, tensors[twice.sub("norm.", n)])}
    return renaming(CONVNEXT)(kept)


def read_hugging_face_resnet(tensors: State) -> State:
    def name_of(name: str) -> str:
        name = re.sub(r"^embedder\.embedder\.", "layer.0.", name)
        name = re.sub(r"^encoder\.stages\.(\d)\.layers\.", lambda m: f"layer{int(m[1]) + 1}.", name)
        name = name.replace("shortcut.convolution", "downsample.0").replace("shortcut.normalization", "downsample.1")
        kinds = {"convolution": "conv", "normalization": "bn"}
        return re.sub(r"layer\.(\d)\.(convolution|normalization)", lambda m: f"{kinds[m[2]]}{int(m[1]) + 1}", name)

    return {name_of(name): tensor for name, tensor in tensors.items()}


def read_efficientnet(tensors: State) -> State:
    """Blocks are numbered consecutively; timm starts a new stage wherever the width changes."""
    found, places, width = {}, {}, None
    stage, block = -1, 0
    for name, tensor in tensors.items():
        if number := re.match(r"_blocks\.(\d+)\._project_conv\.weight", name):
            stage, block = (stage, block + 1) if tensor.shape[0] == width else (stage + 1, 0)
            width = tensor.shape[0]
            places[number[1]] = (stage, block)
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
    squeeze = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
    expanding = {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_project_conv": "conv_pwl", "_bn2": "bn3",
    }  # fmt: skip
    plain = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    for name, tensor in tensors.items():
        if inner := re.match(r"_blocks\.(\d+)\.(\w+)\.(.+)", name):
            number, module, kind = inner.groups()
            names = squeeze | (expanding if f"_blocks.{number}._expand_conv.weight" in tensors else plain)
            stage, block = places.get(number, (number, "?"))
            name = f"blocks.{stage}.{block}.{names.get(module, module)}.{kind}"
        else:
            module, _, kind = name.partition(".")
            name = f"{top.get(module, module)}.{kind}"
        found[name] = tensor
    return found
