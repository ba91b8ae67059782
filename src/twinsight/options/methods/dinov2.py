"""Options of DINOv2."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.auto import Scale, Setting, power_of_two
from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.methods.dino import teacher_momentum
from twinsight.options.methods.views import MultiCropOptions
from twinsight.options.ranges import BelowOne, NotNegative, Positive, Share, Width


@dataclass(frozen=True)
class DinoV2Options(Buildable):
    """DINOv2 (Oquab et al., 2023), for plain vision transformers."""

    target: ClassVar = "twinsight.methods.dinov2:DINOv2"
    masks: ClassVar = True
    name: Literal["dinov2"] = "dinov2"
    prototypes: Width | Literal["auto"] = "auto"
    """Number of prototypes: the width of a head's output. auto: 65536, or less if the images are few."""
    hidden: Width = 2048
    """Width of a head's hidden layers."""
    bottleneck: Width = 256
    """Width of the vectors that are compared with the prototypes."""
    norm_last_layer: bool = True
    """Fix the length of the prototypes at 1, which is more stable; learned lengths can give better results."""
    separate_heads: bool = True
    """Give patches a head of their own instead of that of the class token."""
    mask_share: Share = 0.5
    """Fraction of the large views in which patches are masked for the student."""
    mask_ratio: Annotated[tuple[Share, Share], RISING] = (0.1, 0.5)
    """Smallest and largest fraction of masked patches in those."""
    momentum: BelowOne | Literal["auto"] = "auto"
    """Momentum of the teacher at the start; it rises to 1. auto: a memory of a fiftieth of the updates, up to that of
    0.996 for 1024 images and more for smaller batches."""
    centering: Literal["mean", "sinkhorn-knopp"] = "sinkhorn-knopp"
    """Protection against one prototype winning everywhere. mean: subtract a moving mean; sinkhorn-knopp: equal use of
    prototypes in each batch, as in the paper."""
    student_temperature: Positive = 0.1
    """Temperature of the student's softmax."""
    teacher_temperature: tuple[Positive, Positive] | Literal["auto"] = "auto"
    """Temperature of the teacher's softmax, at the start and after a linear warm-up. auto: 0.04 and 0.07, or 0.02 for
    fewer than 100,000 images."""
    temperature_warmup: Share = 0.1
    """Length of that warm-up, as a fraction of the run."""
    freeze_last_layer: Share = 0.01
    """Keep the prototypes fixed for this fraction of the run at its start."""
    koleo_weight: NotNegative = 0.1
    """Weight of the KoLeo regularizer, which keeps embeddings of one process's batch apart."""
    views: MultiCropOptions = field(default_factory=MultiCropOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        few = scale.images < 100_000
        why = f"for {'fewer than' if few else 'at least'} 100,000 images"
        return {
            "prototypes": Setting(
                power_of_two(scale.images / 16, 512, 65536),
                f"one for 16 of {scale.images} images, from 512 to the paper's 65536",
            ),
            "teacher_temperature": Setting((0.02, 0.02) if few else (0.04, 0.07), why),
            "momentum": teacher_momentum(scale),
        }
