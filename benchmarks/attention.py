"""Where the class token of a ViT-S/8's last block looks in an image of 480 pixels: time, and the peak of memory.

Beside the way of DINO's visualize_attention.py, whose blocks write out every token's attention.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.memory import peak
from benchmarks.table import Row
from benchmarks.timing import beside
from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone

MODEL = "vit_small_patch8_224"


def run(quick: bool) -> list[Row]:
    side, rounds = (64, 1) if quick else (480, 3)
    claim = f"attention of ViT-S/8's last block at {side} pixels"
    ours, theirs = last_block(side), official(side)
    torch.testing.assert_close(ours(), theirs(), atol=1e-5, rtol=1e-3)
    rows = beside(claim, ours, {"DINO's visualize_attention": theirs}, 3, rounds, warm=False)
    lean, rich, all_blocks = (peak(make, side, apart=not quick) for make in (last_block, official, every_block))
    name = "DINO's visualize_attention"
    rows.append(Row(f"{claim}: peak of memory", lean, rich, "MB", rich / lean, None, name, 7))
    name += ", last block"
    rows.append(Row(f"{claim}: peak for all 12 blocks", all_blocks, rich, "MB", rich / all_blocks, None, name, 7))
    return rows


def ready(side: int) -> tuple[Backbone, Tensor]:
    torch.manual_seed(0)
    backbone = Backbone(MODEL).eval()
    attention_maps(backbone, torch.rand(1, 3, 32, 32), (-1,))  # the kernels' first call is not of the image's making
    return backbone, torch.rand(1, 3, side, side)


def last_block(side: int) -> Callable[[], Tensor]:
    """Ours: (heads, h, w)."""
    backbone, image = ready(side)
    return lambda: attention_maps(backbone, image, (-1,)).maps[0][0]


def every_block(side: int) -> Callable[[], object]:
    backbone, image = ready(side)
    return lambda: attention_maps(backbone, image)


def official(side: int) -> Callable[[], Tensor]:
    backbone, image = ready(side)
    return partial(last_selfattention, backbone, image)


@torch.no_grad()
def last_selfattention(backbone: Backbone, image: Tensor) -> Tensor:
    """As `get_last_selfattention` of DINO's vision_transformer.py, and the rows that visualize_attention.py takes."""
    network = backbone.network
    x = network._pos_embed(network.patch_embed(backbone.normalize(image)))
    for block in network.blocks[:-1]:
        x = x + attend(block.attn, block.norm1(x))[0]
        x = x + block.mlp(block.norm2(x))
    last = network.blocks[-1]
    weights = attend(last.attn, last.norm1(x))[1]
    side = int((weights.shape[-1] - 1) ** 0.5)
    return weights[0, :, 0, 1:].reshape(-1, side, side)


def attend(module: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """`Attention.forward` there, which returns the weights too."""
    attention: Any = module
    batch, tokens, dim = x.shape
    heads = attention.num_heads
    q, k, v = attention.qkv(x).reshape(batch, tokens, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
    weights = (q @ k.transpose(-2, -1)) * attention.scale
    weights = weights.softmax(dim=-1)
    x = (weights @ v).transpose(1, 2).reshape(batch, tokens, dim)
    return attention.proj(x), weights
