"""MAE's decoder: from the tokens of visible patches to the pixels of all."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from twinsight.backbones.light_timm import Block
from twinsight.backbones.sincos import sincos_positions
from twinsight.errors import UserError


class MAEDecoder(nn.Module):
    """A narrow transformer that gets a learned token for each masked patch (He et al., 2022).

    dim: of the encoder's tokens. pixels: values that it predicts per patch. width, depth, heads: of its blocks.

    Raises UserError unless width is a multiple of 4, for the positions, and of heads.
    """

    def __init__(self, dim: int, pixels: int, width: int, depth: int, heads: int):
        super().__init__()
        if width % 4 or width % heads:
            raise UserError(
                f"--method.decoder-width {width}: must be a multiple of 4 and of --method.decoder-heads {heads}; "
                f"give {math.ceil(width / (step := math.lcm(4, heads))) * step}, for instance"
            )
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        self.embed = nn.Linear(dim, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.blocks = nn.Sequential(*[Block(width, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)])
        self.norm = norm(width)
        self.predict = nn.Linear(width, pixels)
        for layer in (module for module in self.modules() if isinstance(module, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, prefix: Tensor, patches: Tensor, keep: Tensor, grid: tuple[int, int]) -> Tensor:
        """The encoder's class and register tokens (B, P, dim) and visible patches (B, K, dim) -> (B, N, pixels).

        keep: (B, K), which of the N patches are visible. grid: their rows and columns. Only patches have positions.
        """
        prefix, visible = self.embed(torch.cat([prefix, patches], dim=1)).tensor_split((prefix.shape[1],), dim=1)
        tokens = self.mask_token.to(visible.dtype).expand(len(visible), grid[0] * grid[1], -1)
        tokens = tokens.scatter(1, keep[..., None].expand_as(visible), visible)
        tokens = torch.cat([prefix, tokens + sincos_positions(*grid, tokens.shape[2]).to(tokens)], dim=1)
        return self.predict(self.norm(self.blocks(tokens)))[:, prefix.shape[1] :]
