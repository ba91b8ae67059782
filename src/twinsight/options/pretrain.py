"""Options of `twinsight pretrain`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from twinsight.options.backbones import Backbone, TimmOptions
from twinsight.options.data import Data, ShapesOptions
from twinsight.options.marks import FIRST, Heading
from twinsight.options.methods import Method
from twinsight.options.methods.attention_term import AttentionTermOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.ranges import Count
from twinsight.options.training import RunOptions, TrainingOptions


@dataclass(frozen=True, kw_only=True)
class Pretrain(RunOptions, TrainingOptions):
    """Pretrain a backbone on images without labels.

    twinsight pretrain photos --backbone vit_small_patch16_224 --method dino
    """

    heading: ClassVar = "Data and model"
    data: Annotated[Data, FIRST] = field(default_factory=ShapesOptions)
    """Folder of images, or a data set by name."""
    method: Annotated[Method, FIRST] = field(default_factory=BarlowTwinsOptions)
    """Self-supervised method, or FILE.py with one of your own."""
    backbone: Annotated[Backbone, FIRST] = field(default_factory=TimmOptions)
    """Any timm model, such as resnet50 or vit_small_patch16_224, or vit-pytorch."""
    weights: Annotated[Path | None, FIRST] = None
    """Weights to start from: a run directory, a weights file or an official name (listed by `twinsight weights`)."""
    attention: AttentionTermOptions = field(default_factory=AttentionTermOptions)
    accumulate_exact: Annotated[bool, Heading("Training")] = False
    """With --accumulate N, compute the loss over the images of all N steps: the gradient of one large batch in the
    memory of a small one, at the cost of a second forward pass (Gao et al., 2021). Batch norm in the backbone still
    sees one step at a time, which undoes most of the benefit in small steps: use it with ViTs, Swins and ConvNeXts."""
    lr_batch: Annotated[Count, Heading("Training")] = 256
    """Batch size that --lr and --bias-lr refer to. Both are scaled by (images per update) / this."""
    augment_on: Annotated[Literal["auto", "workers", "device"], Heading("Speed and memory")] = "auto"
    """Where views are colored, blurred and solarized. auto: on the GPU if there is one, otherwise in the workers."""
