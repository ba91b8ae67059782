"""Options of DINO."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.methods.views import MultiCropOptions
from twinsight.options.ranges import BelowOne, Positive, Share, Width


@dataclass(frozen=True)
class DinoOptions(Buildable):
    """DINO (Caron et al., 2021)."""

    target: ClassVar = "twinsight.methods.dino:DINO"
    name: Literal["dino"] = "dino"
    prototypes: Width = 65536
    """Number of prototypes: the width of the head's output."""
    hidden: Width = 2048
    """Width of the head's hidden layers."""
    bottleneck: Width = 256
    """Width of the vectors that are compared with the prototypes."""
    batch_norm: bool = False
    """Use batch norm in the head's hidden layers: an option of the official code, not used in the paper. It can help
    small batches and short runs to learn at all."""
    norm_last_layer: bool = True
    """Fix the length of the prototypes at 1, which is more stable; learned lengths can give better results."""
    momentum: BelowOne = 0.996
    """Momentum of the teacher at the start; it rises to 1. Small batches need more, such as 0.9995 for 256 images."""
    centering: Literal["mean", "sinkhorn-knopp"] = "mean"
    """Protection against one prototype winning everywhere. mean: subtract a moving mean, as in the paper;
    sinkhorn-knopp: equal use of prototypes in each batch, as in DINOv2, which suits small batches better."""
    center_momentum: Share = 0.9
    """Momentum of that moving mean, per step."""
    student_temperature: Positive = 0.1
    """Temperature of the student's softmax."""
    teacher_temperature: tuple[Positive, Positive] = (0.04, 0.07)
    """Temperature of the teacher's softmax, at the start and after a linear warm-up."""
    temperature_warmup: Share = 0.1
    """Length of that warm-up, as a fraction of the run. The paper warms up for 30 of 300 epochs."""
    freeze_last_layer: Share = 0.01
    """Keep the prototypes fixed for this fraction of the run at its start: 1 of 100 epochs in the official code. Use
    more if the loss does not fall."""
    views: MultiCropOptions = field(default_factory=MultiCropOptions)
