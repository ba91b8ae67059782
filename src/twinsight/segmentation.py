"""A backbone and a head, together a segmenter; knows nothing of training."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone


class SegmentationModel(nn.Module):
    """Images (B, 3, H, W), RGB, uint8 or float in [0, 1] -> logits (B, classes, H, W).

    aux: a further head, on shallower levels, that helps training and is not used afterwards.
    """

    def __init__(self, backbone: Backbone, head: nn.Module, aux: nn.Module | None = None):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.aux = aux

    def forward(self, images: Tensor) -> Tensor:
        return self.every_logits(images, [self.head])[0]

    def every_logits(self, images: Tensor, heads: Sequence[Any]) -> list[Tensor]:
        """The logits (B, classes, H, W) of several heads from one pass through the backbone."""
        levels = [level for head in heads for level in head.levels]
        features = self.backbone.features(images, levels)
        height, width = images.shape[-2:]
        logits, first = [], 0
        for head in heads:
            last = first + len(head.levels)
            small = head(features._replace(maps=features.maps[first:last]))
            large = F.interpolate(small.float(), features.extent, mode="bilinear", align_corners=False)
            logits.append(large[..., :height, :width])
            first = last
        return logits


def save_classes(file: Path, classes: tuple[str, ...], palette: np.ndarray) -> None:
    """What the channels of the logits mean, beside the weights."""
    file.write_text(json.dumps({"classes": classes, "palette": palette.tolist()}, indent=1) + "\n", encoding="utf-8")


def load_classes(file: Path) -> tuple[tuple[str, ...], np.ndarray]:
    content = json.loads(file.read_text(encoding="utf-8"))
    return tuple(content["classes"]), np.array(content["palette"], np.uint8).reshape(-1, 3)
