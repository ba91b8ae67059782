"""Options of `twinsight segment`."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from twinsight.options.auto import AUTO, Setting
from twinsight.options.backbones import Backbone, TimmOptions
from twinsight.options.data import Data, PairOptions, ShapesOptions
from twinsight.options.heads import EomtOptions, Head, LinearOptions
from twinsight.options.lora import LoraOptions
from twinsight.options.marks import FIRST, Heading
from twinsight.options.ranges import BelowOne, Count, Index, NotNegative, Range
from twinsight.options.training import InferenceOptions, RunOptions, TrainingOptions

FEW = 500
"""Images up to which DINOv2 and DINOv3 are not tuned."""


class Start(NamedTuple):
    """What settings follow from.

    images: to train on. pretrained: the weights are those of others, who had many images. transformer: a plain one.
    """

    images: int
    pretrained: bool
    transformer: bool


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
    freeze: Annotated[Index | Literal["all", "auto"], FIRST] = "auto"
    """Freeze all, or the stem and first N blocks; -2: all but the last 2; 0: nothing. auto: all of DINOv2 and DINOv3
    on few images, else nothing."""
    lora: LoraOptions = field(default_factory=LoraOptions)
    epochs: Annotated[Count, FIRST] = 50
    """Number of passes over the training images."""
    usual_batch: ClassVar = 16
    batch_size: Annotated[Count | Literal["auto"], FIRST] = "auto"
    """Images per step per process. auto: 16, or fewer if the images are few."""
    lr: Annotated[NotNegative | Literal["auto"], FIRST] = "auto"
    """Peak rate of the backbone (auto: 1e-4)."""
    head_lr: Annotated[NotNegative | Literal["auto"], FIRST, Heading("Training")] = "auto"
    """Peak rate of the head (auto: 1e-3)."""
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

    @property
    def peak_head_lr(self) -> float:
        """The peak learning rate of the head, once a plan has settled it."""
        assert self.head_lr != AUTO
        return self.head_lr

    def settled(self, start: Start) -> tuple[Self, dict[str, Setting]]:
        """The options with a value for each "auto", and those by their flags that are not the usual, with reasons."""
        usual = {"freeze": 0, "lr": 1e-4, "head_lr": 1e-3, "layer_decay": 1.0}
        asked = [name for name in usual if getattr(self, name) == AUTO]
        found = {name: setting for name, setting in self.suited(start).items() if name in asked}
        values = {name: found[name].value if name in found else usual[name] for name in asked}
        return replace(self, **values), {f"--{name.replace('_', '-')}": setting for name, setting in found.items()}

    def suited(self, start: Start) -> dict[str, Setting]:
        """What suits this backbone, head and number of images better than the usual, by field."""
        found: dict[str, Setting] = {}
        if isinstance(self.head, EomtOptions):
            found["head_lr"] = Setting(1e-4, "as EoMT's authors train it")
        if self.lora.rank:
            found["lr"] = Setting(1e-3, "adapters learn best at ten times the rate of weights (Schulman et al., 2025)")
        elif self.reads_frozen(start):
            why = f"its features are meant to be read frozen, and {start.images} images are few to tune it on"
            found["freeze"] = Setting("all", f"{why} (--freeze 0 does)")
        elif start.pretrained and start.transformer and self.freeze != "all":
            found["layer_decay"] = Setting(0.8, "earlier layers of a pretrained transformer should change less")
        return found

    def reads_frozen(self, start: Start) -> bool:
        """Whether the images are too few to tune DINOv2 or DINOv3, and no option asks for it."""
        asked = isinstance(self.head, EomtOptions) or self.lr != AUTO or self.freeze != AUTO
        dense = re.search("dinov[23]", self.backbone.name) is not None
        return start.pretrained and dense and start.images <= FEW and not asked
