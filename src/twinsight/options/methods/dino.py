"""Options of DINO."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from twinsight.options.auto import Scale, Setting, power_of_two
from twinsight.options.build import Buildable
from twinsight.options.methods.momentum import teacher_momentum
from twinsight.options.methods.views import MultiCropOptions
from twinsight.options.ranges import BelowOne, Positive, Share, Width


@dataclass(frozen=True)
class DinoOptions(Buildable):
    """DINO (Caron et al., 2021)."""

    target: ClassVar = "twinsight.methods.dino:DINO"
    name: Literal["dino"] = "dino"
    prototypes: Width | Literal["auto"] = "auto"
    """Number of prototypes: the width of the head's output. auto: 65536, or less if the images are few."""
    hidden: Width = 2048
    """Width of the head's hidden layers."""
    bottleneck: Width = 256
    """Width of the vectors that are compared with the prototypes."""
    batch_norm: bool | Literal["auto"] = "auto"
    """Use batch norm in the head's hidden layers: an option of the official code, not used in the paper. It can help
    small batches and short runs to learn at all. auto: for fewer than 100,000 images."""
    norm_last_layer: bool = True
    """Fix the length of the prototypes at 1, which is more stable; learned lengths can give better results."""
    momentum: BelowOne | Literal["auto"] = "auto"
    """Momentum of the teacher at the start; it rises to 1. auto: a memory of a fiftieth of the updates, up to the
    paper's 0.996 for 1024 images and more for smaller batches."""
    centering: Literal["auto", "mean", "sinkhorn-knopp"] = "auto"
    """Protection against one prototype winning everywhere. mean: subtract a moving mean, as in the paper;
    sinkhorn-knopp: equal use of prototypes in each batch, as in DINOv2, which suits small batches better. auto:
    sinkhorn-knopp for fewer than 100,000 images."""
    center_momentum: Share = 0.9
    """Momentum of that moving mean, per step."""
    student_temperature: Positive = 0.1
    """Temperature of the student's softmax."""
    teacher_temperature: tuple[Positive, Positive] | Literal["auto"] = "auto"
    """Temperature of the teacher's softmax, at the start and after a linear warm-up. auto: 0.04 and 0.07, or 0.02 for
    fewer than 100,000 images."""
    temperature_warmup: Share = 0.1
    """Length of that warm-up, as a fraction of the run. The paper warms up for 30 of 300 epochs."""
    freeze_last_layer: Share = 0.01
    """Keep the prototypes fixed for this fraction of the run at its start: 1 of 100 epochs in the official code. Use
    more if the loss does not fall."""
    views: MultiCropOptions = field(default_factory=MultiCropOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        few, why = few_images(scale)
        return {
            "prototypes": prototype_count(scale, 65536),
            "batch_norm": Setting(few, why),
            "centering": Setting("sinkhorn-knopp" if few else "mean", why),
            "teacher_temperature": sharpness(scale),
            "momentum": teacher_momentum(scale),
        }


def few_images(scale: Scale) -> tuple[bool, str]:
    """Whether there are too few for the paper's temperatures, which then make all prototypes alike; and in words."""
    few = scale.images < 100_000
    return few, f"for {'fewer than' if few else 'at least'} 100,000 images"


def prototype_count(scale: Scale, paper: int) -> Setting:
    """The paper's, or what few images can fill."""
    why = f"one for 16 of {scale.images} images, from 512 to the paper's {paper}"
    return Setting(power_of_two(scale.images / 16, 512, paper), why)


def sharpness(scale: Scale) -> Setting:
    """The teacher's temperatures."""
    few, why = few_images(scale)
    return Setting((0.02, 0.02) if few else (0.04, 0.07), why)
