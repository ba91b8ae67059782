"""Options of SwAV."""

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.auto import AUTO, Scale, Setting
from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.methods.dino import few_images
from twinsight.options.methods.views import MultiCropOptions
from twinsight.options.methods.widths import hidden_width
from twinsight.options.ranges import Count, NotNegative, Positive, PositiveShare, Range, Share, Whole, Width


@dataclass(frozen=True)
class SwavViewsOptions(MultiCropOptions):
    """Two large views of each image and several small ones, as in SwAV."""

    scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.14, 1.0)
    """Smallest and largest fraction of the image's area that a large view shows."""
    local_views: Annotated[int, Range(0, 100)] = 6
    """Number of small views."""
    local_scale: Annotated[tuple[PositiveShare, PositiveShare], RISING] = (0.05, 0.14)
    """Smallest and largest fraction of the image's area that a small view shows."""
    brightness: NotNegative = 0.8
    """Brightness jitter: multiply by a factor from 1 - x to 1 + x."""
    contrast: NotNegative = 0.8
    """Contrast jitter: multiply by a factor from 1 - x to 1 + x."""
    saturation: NotNegative = 0.8
    """Saturation jitter: multiply by a factor from 1 - x to 1 + x."""
    hue: Annotated[float, Range(0, 0.5)] = 0.2
    """Hue jitter: shift by -x to x of the color circle."""
    blur: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)
    """Probability of a Gaussian blur, for the first and the second large view and for small views."""
    solarize: tuple[Share, Share, Share] = (0.0, 0.0, 0.0)
    """Probability of solarization (inverting values of 128 and above), for the first and the second large view and for
    small views."""


@dataclass(frozen=True)
class SwavOptions(Buildable):
    """SwAV (Caron et al., 2020)."""

    target: ClassVar = "twinsight.methods.swav:SwAV"
    name: Literal["swav"] = "swav"
    prototypes: Width | Literal["auto"] = "auto"
    """Number of prototypes, which a batch and its queue should exceed. auto: 3000, or less if the images are few."""
    hidden: Width | Literal["auto"] = "auto"
    """Width of the projector's hidden layer. auto: 2048, or less if the images are few."""
    dim: Width = 128
    """Width of the vectors that are compared with the prototypes."""
    temperature: Positive = 0.1
    """Temperature of the predictions' softmax."""
    epsilon: Positive | Literal["auto"] = "auto"
    """Temperature of the assignments; smaller makes them sharper. auto: 0.05, or 0.02 for fewer than 100,000 images."""
    iterations: Count = 3
    """Iterations of Sinkhorn-Knopp."""
    freeze_prototypes: Share = 0.01
    """Keep the prototypes fixed for this fraction of the run at its start: 1 of 100 epochs in the official code."""
    queue_length: Whole | Literal["auto"] = "auto"
    """Embeddings of earlier images that are assigned together with a batch; 0 for none. auto: none if a batch holds as
    many images as there are prototypes, otherwise 1.28 for each prototype, which is the paper's 3840."""
    queue_start: PositiveShare = 0.0375
    """Fill the queue from this fraction of the run on, and use it once it is full: epoch 15 of 400 in the official
    code."""
    views: SwavViewsOptions = field(default_factory=SwavViewsOptions)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        prototypes = Setting(
            min(3000, max(64, scale.images // 16)),
            f"one for 16 of {scale.images} images, from 64 to the paper's 3000",
        )
        count = prototypes.value if self.prototypes == AUTO else self.prototypes
        batches = 0 if scale.batch >= count else math.ceil(1.28 * count / scale.batch)
        why = f"{batches} batches of {scale.batch} for {count} prototypes" if batches else "a batch is large enough"
        few, why_few = few_images(scale)
        return {
            "epsilon": Setting(0.02 if few else 0.05, why_few),
            "prototypes": prototypes,
            "hidden": hidden_width(scale, 2048),
            "queue_length": Setting(batches * scale.batch, why),
        }
