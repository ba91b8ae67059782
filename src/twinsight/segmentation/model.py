"""A backbone and a head as a segmenter, independent of training."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.heads.head import Head, check_head, reads_attention


class SegmentationModel(nn.Module):
    """Images (B, 3, H, W), RGB, uint8 or float in [0, 1] -> logits (B, classes, H, W).

    head: see `Head`. One that reads attention is run on a black image here, so that its lazy layers learn how many
        maps they get.
    aux: an auxiliary head on shallower levels, used only in training; without attention.

    Raises UserError if the head is incomplete, or needs attention that the backbone does not have.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, aux: nn.Module | None = None):
        super().__init__()
        for each in (head, aux):
            if each is not None:
                check_head(each)
        self.backbone = backbone
        self.head = head
        self.aux = aux
        if reads_attention(head):
            self._introduce()

    @torch.no_grad()
    def _introduce(self) -> None:
        made_for = getattr(getattr(self.backbone.network, "patch_embed", None), "img_size", None)
        size = made_for or [2 * max(self.backbone.strides)] * 2
        modes = self.backbone.training, self.head.training
        self.backbone.eval()
        self.head.eval()
        try:
            self(torch.zeros(1, 3, *size, device=self.backbone.mean.device))
        except UserError as error:
            reason = str(error).partition("; ")[0].replace("--blocks", "--head.blocks")
            raise UserError(f"{reason}; choose others or a head without attention: --head setr-pup") from error
        finally:
            self.backbone.train(modes[0])
            self.head.train(modes[1])

    @property
    def heads(self) -> list[Head]:
        """All trained heads: the head and the auxiliary head, if any."""
        return [cast(Head, each) for each in (self.head, self.aux) if each is not None]

    def forward(self, images: Tensor) -> Tensor:
        return self.every_logits(images, self.heads[:1])[0]

    def every_logits(self, images: Tensor, heads: Sequence[Head]) -> list[Tensor]:
        """The logits (B, classes, H, W) of several heads from one pass through the backbone."""
        levels = [level for head in heads for level in head.levels]
        attention, query = next((head.attention for head in heads if reads_attention(head)), ((), "auto"))
        features = self.backbone.features(images, levels, attention, query)
        height, width = images.shape[-2:]
        logits: list[Tensor] = []
        first = 0
        for head in heads:
            last = first + len(head.levels)
            small = head(features._replace(maps=features.maps[first:last]))
            large = F.interpolate(small.float(), features.extent, mode="bilinear", align_corners=False)
            logits.append(large[..., :height, :width])
            first = last
        return logits
