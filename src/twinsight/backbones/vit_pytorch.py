"""vit-pytorch's ViT with the methods that `Backbone` requires of a network."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.errors import UserError


class VitPytorch(nn.Module):
    """`vit_pytorch.ViT` without its classifier, for images whose sides are any multiple of the patch size.

    Position embeddings are made for `image_size` and resized (bicubic) to the image's grid. `forward`
    equals the original's pooled output. Raises UserError if vit-pytorch is not installed, or `image_size` is
    not a multiple of `patch_size`.
    """

    def __init__(
        self, image_size: int = 224, patch_size: int = 16, dim: int = 384, depth: int = 12, heads: int = 6,
        mlp_dim: int = 1536, dim_head: int = 64, dropout: float = 0.0, emb_dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__()
        try:
            from vit_pytorch import ViT
        except ImportError as error:
            raise UserError(
                "--backbone vit-pytorch: not installed; run: pip install 'twinsight[vit-pytorch]'"
            ) from error
        if image_size % patch_size:
            raise UserError(
                f"--backbone.image-size {image_size}: is not a multiple of --backbone.patch-size {patch_size}; "
                f"give {max(1, round(image_size / patch_size)) * patch_size}, for instance"
            )
        self.vit: Any = ViT(
            image_size=image_size, patch_size=patch_size, num_classes=0, dim=dim, depth=depth, heads=heads,
            mlp_dim=mlp_dim, dim_head=dim_head, dropout=dropout, emb_dropout=emb_dropout,
        )  # fmt: skip
        self.patch_size = patch_size
        self.grid = image_size // patch_size
        self.num_features = self.head_hidden_size = dim
        self.num_prefix_tokens = 1
        self.feature_info = [{"num_chs": dim, "reduction": patch_size} for _ in range(depth)]
        self.pretrained_cfg = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

    def forward(self, pixels: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(pixels))

    def forward_features(self, pixels: Tensor) -> Tensor:
        """As in timm: the final tokens (B, 1 + N, dim)."""
        return self.forward_intermediates(pixels, indices=())[0]

    def forward_intermediates(
        self, pixels: Tensor, indices: Sequence[int], norm: bool = True, output_fmt: str = "NCHW"
    ) -> tuple[Tensor, list[Tensor]]:
        """As in timm: the final tokens (B, 1 + N, dim) and the maps (B, dim, h, w) of the requested blocks."""
        h, w = pixels.shape[2] // self.patch_size, pixels.shape[3] // self.patch_size
        patches = self.vit.to_patch_embedding(pixels)
        tokens = torch.cat((self.vit.cls_token.expand(len(pixels), 1, -1), patches), dim=1)
        tokens = self.vit.dropout(tokens + self.position_embedding(h, w))
        maps: list[Tensor] = []
        for i, (attention, feed_forward) in enumerate(self.vit.transformer.layers):
            tokens = attention(tokens) + tokens
            tokens = feed_forward(tokens) + tokens
            if i in indices:
                patches = self.vit.transformer.norm(tokens)[:, 1:]
                maps.append(patches.transpose(1, 2).unflatten(2, (h, w)))
        return self.vit.transformer.norm(tokens), maps

    def forward_head(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]

    def position_embedding(self, h: int, w: int) -> Tensor:
        """(1 + h*w, dim)."""
        embedding = self.vit.pos_embedding
        if (h, w) == (self.grid, self.grid):
            return embedding
        grid = embedding[1:].T.unflatten(1, (self.grid, self.grid))[None]
        resized = F.interpolate(grid.float(), size=(h, w), mode="bicubic", antialias=True, align_corners=False)
        return torch.cat((embedding[:1], resized[0].flatten(1).T.to(embedding.dtype)))

    def no_weight_decay(self) -> set[str]:
        return {"vit.cls_token", "vit.pos_embedding"}

    def group_matcher(self, coarse: bool = False) -> dict[str, object]:
        """Patterns that assign parameters to layers, in timm's form: the embeddings, then one group per block."""
        return {
            "stem": r"^vit\.(?:cls_token|pos_embedding|to_patch_embedding)",
            "blocks": [(r"^vit\.transformer\.layers\.(\d+)", None), (r"^vit\.transformer\.norm", (99999,))],
        }
