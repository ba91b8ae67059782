"""A backbone and a head as a segmenter, independent of training."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.heads.head import Head, check_head, has_loss, reads_attention, runs_blocks

VOID = 255


class Output(NamedTuple):
    """What a head returned. extent: see `Features`. size: (height, width) of the images."""

    head: Any
    value: Any
    extent: tuple[int, int]
    size: tuple[int, int]

    def logits(self) -> Tensor:
        """(B, classes, H, W)."""
        small = self.head.logits(self.value) if has_loss(self.head) else self.value
        large = F.interpolate(small.float(), self.extent, mode="bilinear", align_corners=False)
        return large[..., : self.size[0], : self.size[1]]

    def loss(self, masks: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The head's own loss if it has one, otherwise `loss(logits, masks)`."""
        if not has_loss(self.head):
            return loss(self.logits(), masks)
        padding = (0, self.extent[1] - self.size[1], 0, self.extent[0] - self.size[0])
        return self.head.loss(self.value, F.pad(masks, padding, value=VOID))


class SegmentationModel(nn.Module):
    """Images (B, 3, H, W), RGB, uint8 or float in [0, 1] -> logits (B, classes, H, W).

    head: see `Head`. One that reads attention is run on a black image here, so that its lazy layers learn how many
        maps they get.
    aux: an auxiliary head on shallower levels, used only in training; without attention.

    Raises UserError if the head is incomplete, or needs attention or blocks that the backbone does not have.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, aux: nn.Module | None = None):
        super().__init__()
        for each in (head, aux):
            if each is not None:
                check_head(each)
        self.backbone = backbone
        self.head = head
        self.aux = aux
        if runs_blocks(head):
            backbone.check_last(head.last_blocks)
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
        return [output.logits() for output in self._outputs(images, heads)]

    def losses(self, images: Tensor, masks: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
        """The loss of each head: its own if it has one, otherwise `loss(logits, masks)`. masks: (B, H, W)."""
        return [output.loss(masks, loss) for output in self._outputs(images, self.heads)]

    def _outputs(self, images: Tensor, heads: Sequence[Head]) -> Iterator[Output]:
        size = (images.shape[2], images.shape[3])
        if runs_blocks(first := heads[0]):
            last = self.backbone.before_last(images, first.last_blocks)
            yield Output(first, first(last), last.extent, size)
            heads = heads[1:]
        if not heads:
            return
        levels = [level for head in heads for level in head.levels]
        attention, query = next((head.attention for head in heads if reads_attention(head)), ((), "auto"))
        features = self.backbone.features(images, levels, attention, query)
        begin = 0
        for head in heads:
            end = begin + len(head.levels)
            yield Output(head, head(features._replace(maps=features.maps[begin:end])), features.extent, size)
            begin = end
