"""The width of a head that has as many parameters as another, so that heads compare at equal size."""

from bisect import bisect_left
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from twinsight.assemble.open import make_model, without_training
from twinsight.assemble.trained import trained_with
from twinsight.backbones.backbone import Backbone
from twinsight.console import tell
from twinsight.errors import UserError
from twinsight.options.build import build, called
from twinsight.options.commands import Segment
from twinsight.options.heads import HEADS
from twinsight.segmentation.classes import load_classes
from twinsight.segmentation.model import SegmentationModel

NARROWEST, WIDEST = 2, 2**20
NEAR = 0.1
"""Relative distance beyond which sizes are not called equal."""


def matched(options: Segment, backbone: Backbone, classes: int) -> Segment:
    """The options with the width that --match-parameters chooses for the head, which is printed.

    backbone: on the meta device, as all that is built here. Raises UserError if no width comes near.
    """
    wanted, head = options.match_parameters, options.head
    if wanted is None:
        return options
    target = parameters_of(wanted, backbone, classes) if isinstance(wanted, Path) else wanted

    @cache
    def size(width: int) -> int:
        return head_parameters(backbone, widened(head, width), classes)

    wide = NARROWEST
    while size(wide) < target and wide < WIDEST:
        wide *= 2
    reached = bisect_left(range(wide), target, lo=NARROWEST, key=size)
    best = min((max(NARROWEST, reached - 1), reached), key=lambda width: abs(size(width) - target))
    off = abs(size(best) / target - 1)
    chosen = widened(head, best)
    channels = " ".join(map(str, chosen.channels)) if isinstance(chosen.channels, tuple) else chosen.channels
    found = f"channels {channels}, {size(best):,} parameters"
    if off > NEAR:
        raise UserError(
            f"--match-parameters: --head {called(head)} comes no nearer to {target:,.0f} parameters than by {found}; "
            "choose another number or another --head"
        )
    of = f" of {wanted}" if isinstance(wanted, Path) else ""
    tell(f"--match-parameters: {called(head)} has {found}, {off:.1%} from the {target:,.0f}{of}")
    return replace(options, head=chosen, match_parameters=None)


def widened(head: Any, width: int) -> Any:
    """The head's options with another width; several widths keep their proportions to the first."""
    channels = head.channels
    if isinstance(channels, tuple):
        return replace(head, channels=tuple(max(1, round(width * each / channels[0])) for each in channels))
    return replace(head, channels=width)


def parameters_of(wanted: Path, backbone: Backbone, classes: int) -> int:
    """Of the head of a run, or of a head by name with its default width on this backbone."""
    if str(wanted) in HEADS:
        return head_parameters(backbone, HEADS[str(wanted)](), classes)
    options, (classes_of_run, _) = trained_with(wanted), load_classes(wanted / "classes.json")
    with torch.device("meta"):
        return trainable(make_model(without_training(options), len(classes_of_run), empty=True).head)


def head_parameters(backbone: Backbone, head: Any, classes: int) -> int:
    with torch.device("meta"):
        return trainable(SegmentationModel(backbone, build(head, backbone.dims, backbone.strides, classes)).head)


def trainable(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
