"""Options of `twinsight segment`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from twinsight.options.backbones import Backbone, TimmOptions
from twinsight.options.data import Data, PairOptions, ShapesOptions
from twinsight.options.heads import Head, LinearOptions
from twinsight.options.lora import LoraOptions
from twinsight.options.marks import FIRST, Heading
from twinsight.options.ranges import BelowOne, Count, Index, NotNegative, Range
from twinsight.options.training import InferenceOptions, RunOptions, TrainingOptions


@dataclass(frozen=True, kw_only=True)
class Segment(RunOptions, InferenceOptions, TrainingOptions):
    """Train a segmentation head on a backbone, frozen or fine-tuned.

    twinsight segment street --weights runs/photos --head deeplabv3
    """

    heading: ClassVar = "Data and model"
    data: Annotated[Data, FIRST] = field(default_factory=ShapesOptions)
    """Folder of images and masks, or a data set by name."""
    head: Annotated[Head, FIRST] = field(default_factory=LinearOptions)
    """Segmentation head, or FILE.py with one of your own."""
    match_parameters: Annotated[float, Range(1, 10**9)] | Path | None = None
    """Choose the head's width so that it has this many parameters: a number, those of a run's head, or those of another
    head by name."""
    backbone: Annotated[Backbone, FIRST] = field(default_factory=TimmOptions)
    """Any timm model, such as vit_small_patch16_224, or vit-pytorch."""
    weights: Annotated[Path | None, FIRST] = None
    """Weights to start from: a run directory, a weights file or an official name (listed by `twinsight weights`)."""
    freeze: Annotated[Index | Literal["all"], FIRST] = 0
    """Freeze all, or the stem and first N blocks; -2: all but the last 2 blocks; 0: nothing."""
    lora: LoraOptions = field(default_factory=LoraOptions)
    epochs: Annotated[Count, FIRST] = 50
    usual_batch: ClassVar = 16
    batch_size: Annotated[Count | Literal["auto"], FIRST] = "auto"
    """Images per step per process. auto: 16, or fewer if the images are few."""
    lr: Annotated[NotNegative, FIRST] = 1e-4
    """Peak learning rate of the backbone."""
    head_lr: Annotated[NotNegative, FIRST, Heading("Training")] = 1e-3
    """Peak learning rate of the head."""
    warmup_epochs: NotNegative | None = 1
    """Epochs of linear warm-up, before the learning rate follows a cosine."""
    weight_decay: NotNegative | tuple[NotNegative, NotNegative] = 0.01
    loss: Annotated[str, FIRST, Heading("Training")] = "cross-entropy"
    """Sum of cross-entropy, dice, focal, jaccard, lovasz, such as cross-entropy+0.5*dice."""
    class_weights: Annotated[tuple[NotNegative, ...] | Literal["auto"] | None, Heading("Loss")] = None
    """Weight of each class in the cross-entropy and focal losses; auto: the median class frequency over each class's
    own. Default: 1 for each."""
    label_smoothing: Annotated[BelowOne, Heading("Loss")] = 0.0
    """Label smoothing of the cross-entropy."""
    focal_gamma: Annotated[NotNegative, Heading("Loss")] = 2.0
    """Exponent of the focal loss."""
    aux_weight: Annotated[NotNegative, Heading("Loss")] = 0.0
    """Weight of the loss of an auxiliary FCN head on a shallower level; 0 for no such head."""
    sampling: Annotated[Literal["uniform", "rarity"], Heading("Loss")] = "uniform"
    """Order of the images. rarity: a class is drawn first, rare ones most often, then one of its images (DAFormer)."""
    augment: PairOptions = field(default_factory=PairOptions)
