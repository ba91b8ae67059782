"""Positions of patches as sines and cosines, which are not learned, as in MoCo v3 and MAE."""

from typing import Any

import torch
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.masking import has_patches
from twinsight.backbones.vit_pytorch import VitPytorch


@torch.no_grad()
def fix_positions(backbone: Backbone) -> None:
    """Stop the training of a plain transformer's positions; make them sines and cosines if its weights are random.

    Those of class and register tokens become 0. Networks without position embeddings, or of a width that is not a
    multiple of 4, stay as they are.
    """
    network: Any = backbone.network
    if not has_patches(network):
        return
    ours = isinstance(network, VitPytorch)
    positions = network.vit.pos_embedding if ours else network.pos_embed
    if positions is None or positions.shape[-1] % 4:
        return
    positions.requires_grad_(False)
    if backbone.weights.startswith("random:"):
        rows, columns = (network.grid, network.grid) if ours else network.patch_embed.grid_size
        patches = sincos_positions(rows, columns, positions.shape[-1]).to(positions)
        positions.zero_()[..., -len(patches) :, :] = patches


def sincos_positions(rows: int, columns: int, dim: int) -> Tensor:
    """(rows * columns, dim): sines and cosines of the column, then of the row, at dim / 4 frequencies from 1 down to
    near 1/10000."""
    frequencies = 10000 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [place.flatten()[:, None] * frequencies for place in (x, y)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
