"""Resizes position embeddings to other image sizes as DINO does."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.light_timm import VisionTransformer
from twinsight.errors import UserError

# timm resizes with antialiasing to the exact size. The official code of DINO, and of DINOv2 without registers, scales
# to 0.1 patches more to avoid rounding errors, which shifts all positions slightly: attention differs by about 1 %.
# DINOv2 with registers resizes as timm does.
OFFSET = 0.1


def resized_as_dino(positions: Tensor, old: Sequence[int], new: Sequence[int]) -> Tensor:
    """(1, 1 + old height * old width, C), class token first -> the same for the grid `new`."""
    if tuple(old) == tuple(new) and new[0] == new[1]:
        return positions
    grid = positions[:, 1:].float().transpose(1, 2).unflatten(2, tuple(old))
    scale = [(each + OFFSET) / before for each, before in zip(new, old)]
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2).to(positions.dtype)], 1)


class DinoPositions(VisionTransformer):
    """timm's ViT, except for the resizing."""

    cls_token: nn.Parameter
    pos_embed: nn.Parameter

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Patches (B, h, w, C) -> tokens (B, 1 + h*w, C) with their positions."""
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), x.flatten(1, 2)], 1)
        return self.pos_drop(tokens + resized_as_dino(self.pos_embed, self.patch_embed.grid_size, x.shape[1:3]))


def resize_as_dino(network: nn.Module, name: str) -> None:
    """Make a ViT resize its positions as DINO does. Raises UserError if its tokens differ from those of DINO's ViT."""
    if type(network) is not VisionTransformer or network.no_embed_class or network.num_prefix_tokens != 1:
        raise UserError(
            f"--backbone.positions dino: requires a ViT whose class token has a position and no registers, unlike "
            f"{name}; leave it out"
        )
    # The class, not a bound method: copies of the network (a teacher) would call the original's.
    network.__class__ = DinoPositions
