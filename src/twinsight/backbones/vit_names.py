"""Translates other projects' tensor names for vision transformers into timm's."""

import torch

from twinsight.backbones.renaming import State, join, renaming

HUGGING_FACE_VIT = {
    r"^embeddings\.position_embeddings$": "pos_embed",
    r"^embeddings\.patch_embeddings\.(projection\.)?": "patch_embed.proj.",
    r"^embeddings\.(?!mask_token)": "",
    r"^(encoder\.|model\.)?layers?\.": "blocks.",
    r"\.attention\.(attention\.)?(query|q_proj)\.": ".attn.q.",
    r"\.attention\.(attention\.)?(key|k_proj)\.": ".attn.k.",
    r"\.attention\.(attention\.)?(value|v_proj)\.": ".attn.v.",
    r"\.attention\.(output\.dense|o_proj)\.": ".attn.proj.",
    r"\.(intermediate\.dense|mlp\.weights_in)\.": ".mlp.fc1.",
    r"\.(output\.dense|mlp\.weights_out|mlp\.down_proj)\.": ".mlp.fc2.",
    r"\.layernorm_before\.": ".norm1.",
    r"\.layernorm_after\.": ".norm2.",
    r"\.layer_scale(\d)\.lambda1$": r".ls\1.gamma",
    r"^layernorm\.": "norm.",
}
DINO = {
    r"^blocks\.\d+\.(\d+)\.": r"blocks.\1.",  # in chunks, for sharding; the second number is the block's
    r"\.mlp\.w12\.": ".mlp.fc1.",
    r"\.mlp\.w1\.": ".mlp.fc1_g.",
    r"\.mlp\.w2\.": ".mlp.fc1_x.",
    r"\.mlp\.w3\.": ".mlp.fc2.",
}
EVA = {r"\.ls(\d)\.gamma$": r".gamma_\1", r"^(storage|register)_tokens$": "reg_token"}
"""timm builds DINOv3's ViTs with its EVA class."""

OPENMMLAB_VIT = {
    r"^patch_embed\.projection\.": "patch_embed.proj.",
    r"^layers\.": "blocks.",
    r"\.attn\.attn\.in_proj_": ".attn.qkv.",
    r"\.attn\.attn\.out_proj\.": ".attn.proj.",
    r"\.attn\.gamma1\.weight$": ".ls1.gamma",
    r"\.ffn\.gamma2\.weight$": ".ls2.gamma",
    r"\.ffn\.layers\.0\.0\.": ".mlp.fc1.",
    r"\.ffn\.layers\.1\.": ".mlp.fc2.",
    r"\.ln(\d)\.": r".norm\1.",
    r"^ln1\.": "norm.",
}


def read_hugging_face_vit(tensors: State) -> State:
    tensors = join(renaming(HUGGING_FACE_VIT)(tensors), "attn.qkv", ("attn.q", "attn.k", "attn.v"))
    if "pos_embed" in tensors:
        tensors = join(tensors, "mlp.fc1", ("mlp.gate_proj", "mlp.up_proj"))
    gated = {r"\.mlp\.gate_proj\.": ".mlp.fc1_g.", r"\.mlp\.up_proj\.": ".mlp.fc1_x."}
    plain = {r"\.mlp\.up_proj\.": ".mlp.fc1."}
    return read_dino(renaming(gated if any(".gate_proj." in name for name in tensors) else plain)(tensors))


def read_dino(tensors: State) -> State:
    """The ViTs of DINO, DINOv2 and DINOv3, and of MAE, MoCo, iBOT and timm, which share DINO's names."""
    tensors = renaming(DINO)(tensors)
    if {"register_tokens", "cls_token", "pos_embed"} <= tensors.keys():
        # DINOv2 adds positions to the class token but not to registers; timm adds them to patches only.
        tensors["reg_token"] = tensors.pop("register_tokens")
        tensors["cls_token"] = tensors["cls_token"] + tensors["pos_embed"][:, :1]
        tensors["pos_embed"] = tensors["pos_embed"][:, 1:]
    elif tensors.keys() & {"storage_tokens", "register_tokens", "rope_embed.periods"}:
        tensors = read_dinov3(tensors)
    return tensors


def read_dinov3(tensors: State) -> State:
    """Rotary positions are computed, not loaded; biases of keys are masked out."""
    found: State = {}
    for name, tensor in renaming(EVA)(tensors).items():
        if name == "rope_embed.periods":
            count = len(tensor)
            if torch.allclose(tensor.float(), 100 ** (torch.arange(count) / count), rtol=0.01):  # saved in bf16
                continue
        elif name.endswith(".attn.qkv.bias_mask"):
            continue
        elif name.endswith(".attn.qkv.bias"):
            query, key, value = tensor.chunk(3)
            block = name.removesuffix("qkv.bias")
            found |= {f"{block}q_bias": query, f"{block}v_bias": value}
            if f"{name}_mask" in tensors or not key.any():
                continue
            name, tensor = f"{block}k_bias", key
        found[name] = tensor
    return found


def read_vit_pytorch(tensors: State) -> State:
    """As the backbone vit-pytorch names them; in older versions, positions and class token have a leading 1."""
    found = {f"vit.{name}": tensor for name, tensor in tensors.items() if not name.startswith("mlp_head.")}
    for name in ("vit.pos_embedding", "vit.cls_token"):
        if name in found and found[name].ndim == 3:
            found[name] = found[name][0]
    return found | {name: tensor for name, tensor in tensors.items() if name.startswith("mlp_head.")}
