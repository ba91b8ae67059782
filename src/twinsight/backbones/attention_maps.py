"""Attention of a backbone as maps over its patches."""

import torch
from torch import Tensor

from twinsight.backbones.attention import CHUNK, AttentionMaps, Query, Reader, recording_attention
from twinsight.backbones.attention_calls import Call, seeing_attention
from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError


@torch.no_grad()
def attention_maps(
    backbone: Backbone,
    images: Tensor,
    blocks: tuple[int, ...] | None = None,
    query: Query = "auto",
    at: tuple[float, float] | None = None,
) -> AttentionMaps:
    """Where the heads of each block look in (B, 3, H, W) images, uint8 or float in [0, 1].

    blocks: from 0; negative numbers count from the last; None: all. Each attention counts as one block.
    query: see `Query`. at: (x, y), fractions of the images' width and height in [0, 1): the row of the patch there.

    Each map is a row of softmax(q k^T) without class and register tokens, not renormalized: 1 minus its sum is the
    attention on those tokens. In a Swin, a patch sees only its window: for `at`, the map is zero elsewhere; for "mean",
    each window is averaged over its own queries, all windows with equal weight. Attention beyond the image, where a
    Swin's windows are padded, is cut off.

    Raises UserError if the network has no attention, or its keys are not the image's patches (XCiT, PVT, MaxViT), and
    for an invalid block, `query` or `at`.
    """
    with recording_attention(backbone, images, blocks, query, at) as found:
        backbone(images)
    return found


@torch.no_grad()
def attention_rollout(
    backbone: Backbone, images: Tensor, query: Query = "auto", at: tuple[float, float] | None = None
) -> Tensor:
    """(B, h, w) float32: attention through all blocks (Abnar and Zuidema, 2020); arguments as for `attention_maps`.

    The product of 0.5 A + 0.5 I over the blocks, where A is the mean over heads; class and register tokens are dropped.
    Also raises UserError if blocks attend within windows or to different tokens.
    """
    reader = Reader(backbone, images, query, at)
    rolled = torch.empty(0)

    def see(call: Call) -> None:
        nonlocal rolled
        reader.grid(call)
        tokens = call.shape[-1]
        if not len(rolled):
            rolled = torch.eye(tokens, device=images.device).repeat(len(images), 1, 1)
        if call.windows or tokens != rolled.shape[1]:
            reader.refuse("rollout requires blocks that all attend to the same tokens", "leave out --rollout")
        product = torch.empty_like(rolled)
        for i in range(0, tokens, CHUNK):
            chunk = slice(i, i + CHUNK)
            product[:, chunk] = (call.rows(chunk).mean(1) @ rolled + rolled[:, chunk]) / 2
        rolled = product

    with seeing_attention(backbone.network, see):
        backbone(images)
    if not len(rolled):
        reader.refuse("has no attention to record")
    tokens = rolled.shape[1]

    def rows(queries: slice) -> Tensor:
        return rolled[:, None, queries]

    return reader.read(Call((len(images), 1, tokens, tokens), rows))[:, 0]


def attention_blocks(backbone: Backbone) -> int:
    """The number of blocks with attention that can be recorded; 0 if there is none, or not between the image's patches.

    Tried on a black image; on the meta device it costs nothing.
    """
    built_for = getattr(getattr(backbone.network, "patch_embed", None), "img_size", None)
    size = built_for or [2 * max(backbone.strides)] * 2
    training = [module for module in backbone.modules() if module.training]
    try:
        return len(attention_maps(backbone.eval(), torch.zeros(1, 3, *size, device=backbone.mean.device)).blocks)
    except UserError:
        return 0
    finally:
        for module in training:
            module.training = True
