"""MAE: a vision transformer that sees a quarter of the patches lets a small decoder paint the others."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.masking import check_patches, patch_grid, random_patches
from twinsight.backbones.sincos import fix_positions
from twinsight.data.views import MultiView
from twinsight.layers import at_least_float32
from twinsight.methods.mae_decoder import MAEDecoder


class MAE(nn.Module):
    """Masked Autoencoders Are Scalable Vision Learners (He et al., 2022).

    backbone: a plain vision transformer; becomes `trunk`, the encoder, which is kept after training.
    views: a single one.
    mask_ratio: fraction of the patches that the encoder does not see.
    decoder_width, decoder_depth, decoder_heads: of the decoder; None: two thirds of the backbone's width and depth, up
        to the paper's 512 and 8, which a ViT-B has, and a head for a width of 32.
    norm_pix: predict each patch's pixels with mean 0 and variance 1.

    Positions are not learned, see `fix_positions`. Raises UserError if the backbone has no patches to mask.
    """

    masks = True

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        mask_ratio: float = 0.75,
        decoder_width: int | None = None,
        decoder_depth: int | None = None,
        decoder_heads: int | None = None,
        norm_pix: bool = True,
    ):
        super().__init__()
        check_patches("mae", backbone.network, backbone.name)
        fix_positions(backbone)
        self.trunk = backbone
        self.patch = backbone.strides[-1]
        dim, blocks = backbone.dims[-1], max(backbone.layer_ids().values())
        width = decoder_width or min(512, 32 * math.ceil(dim / 48))
        depth = decoder_depth or min(8, math.ceil(blocks * 2 / 3))
        self.decoder = MAEDecoder(dim, 3 * self.patch**2, width, depth, decoder_heads or max(1, width // 32))
        self.mask_ratio = mask_ratio
        self.norm_pix = norm_pix
        self._views = views

    def views(self) -> MultiView:
        """The transform that makes the view of an image."""
        return self._views

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: one (B, 3, H, W) batch, uint8 or float in [0, 1]; progress is not used.

        Logs "baseline" too, the loss of the best constant patch: a loss that stays there has learned nothing.
        """
        (images,) = views
        grid = patch_grid(images, self.patch)
        patches = grid[0] * grid[1]
        keep = random_patches(len(images), patches, max(1, int(patches * (1 - self.mask_ratio))), images.device)
        seen = self.trunk.tokens(images, keep=keep)
        target = self.target(images)
        errors = (at_least_float32(self.decoder(seen.prefix, seen.patches, keep, grid)) - target).square().mean(2)
        masked = torch.ones_like(errors).scatter(1, keep, 0.0)
        constant = (target * masked[..., None]).sum((0, 1)) / masked.sum()
        return {
            "loss": (errors * masked).sum() / masked.sum(),
            "baseline": ((target - constant).square().mean(2) * masked).sum() / masked.sum(),
        }

    def target(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, N, 3 * patch^2): normalized pixels of each patch, by rows, the colors innermost."""
        rows = self.trunk.normalize(images).unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        target = rows.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)
        if not self.norm_pix:
            return target
        variance, mean = torch.var_mean(target, dim=2, keepdim=True)
        return (target - mean) * torch.rsqrt(variance + 1e-6)
