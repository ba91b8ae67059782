"""Options that iBOT and DINOv2 share."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from twinsight.options.auto import Scale, Setting
from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.methods.dino import few_images, prototype_count, sharpness
from twinsight.options.methods.momentum import teacher_momentum
from twinsight.options.ranges import BelowOne, Positive, Share, Width


@dataclass(frozen=True)
class MaskedDinoOptions(Buildable):
    """DINO with masked patches, for plain vision transformers."""

    masks: ClassVar = True
    most_prototypes: ClassVar = 65536
    prototypes: Width | Literal["auto"] = "auto"
    """Number of prototypes: the width of a head's output. auto: 65536, or less if the images are few."""
    hidden: Width = 2048
    """Width of a head's hidden layers."""
    bottleneck: Width = 256
    """Width of the vectors that are compared with the prototypes."""
    norm_last_layer: bool = False
    """Fix the length of the prototypes at 1, which is more stable; learned lengths can give better results."""
    separate_heads: bool = False
    """Give patches a head of their own instead of that of the class token."""
    mask_share: Share = 0.5
    """Fraction of the large views in which patches are masked for the student."""
    mask_ratio: Annotated[tuple[Share, Share], RISING] = (0.1, 0.5)
    """Smallest and largest fraction of masked patches in those."""
    momentum: BelowOne | Literal["auto"] = "auto"
    """Momentum of the teacher at the start; it rises to 1. auto: a memory of a fiftieth of the updates, up to that of
    0.996 for 1024 images and more for smaller batches."""
    centering: Literal["auto", "mean", "sinkhorn-knopp"] = "auto"
    """Protection against one prototype winning everywhere. mean: subtract a moving mean, as in iBOT's paper;
    sinkhorn-knopp: equal use of prototypes in each batch, as in DINOv2's. auto: sinkhorn-knopp for fewer than 100,000
    images."""
    student_temperature: Positive = 0.1
    """Temperature of the student's softmax."""
    teacher_temperature: tuple[Positive, Positive] | Literal["auto"] = "auto"
    """Temperature of the teacher's softmax, at the start and after a linear warm-up. auto: 0.04 and 0.07, or 0.02 for
    fewer than 100,000 images."""
    temperature_warmup: Share = 0.1
    """Length of that warm-up, as a fraction of the run."""
    freeze_last_layer: Share = 0.01
    """Keep the prototypes fixed for this fraction of the run at its start."""

    def auto(self, scale: Scale) -> dict[str, Setting]:
        few, why = few_images(scale)
        return {
            "prototypes": prototype_count(scale, self.most_prototypes),
            "centering": Setting("sinkhorn-knopp" if few else "mean", why),
            "teacher_temperature": sharpness(scale),
            "momentum": teacher_momentum(scale),
        }
