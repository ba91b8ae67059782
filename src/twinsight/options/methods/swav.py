"""Options of SwAV."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.marks import RISING
from twinsight.options.methods.views import MultiCropOptions
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
    prototypes: Width = 3000
    """Number of prototypes. A batch and its queue should hold more images than this."""
    hidden: Width = 2048
    """Width of the projector's hidden layer."""
    dim: Width = 128
    """Width of the vectors that are compared with the prototypes."""
    temperature: Positive = 0.1
    """Temperature of the predictions' softmax."""
    epsilon: Positive = 0.05
    """Temperature of the assignments; smaller makes them sharper."""
    iterations: Count = 3
    """Iterations of Sinkhorn-Knopp."""
    freeze_prototypes: Share = 0.01
    """Keep the prototypes fixed for this fraction of the run at its start: 1 of 100 epochs in the official code."""
    queue_length: Whole = 0
    """Embeddings of earlier images that are assigned together with a batch; 0 for none. For batches that are much
    smaller than the number of prototypes: 3840 in the paper for batches of 256."""
    queue_start: PositiveShare = 0.0375
    """Fill the queue from this fraction of the run on, and use it once it is full: epoch 15 of 400 in the official
    code."""
    views: SwavViewsOptions = field(default_factory=SwavViewsOptions)
