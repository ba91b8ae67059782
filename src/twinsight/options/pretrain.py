"""Options of `twinsight pretrain`."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from twinsight.errors import UserError
from twinsight.options.auto import AUTO, Scale, Setting, settle
from twinsight.options.backbones import Backbone, TimmOptions
from twinsight.options.data import Data, ShapesOptions
from twinsight.options.marks import FIRST, Heading
from twinsight.options.methods import Method
from twinsight.options.methods.attention_term import AttentionTermOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.ranges import Count, PositiveShare
from twinsight.options.training import Minutes, RunOptions, TrainingOptions

Settings = dict[str, Setting]

UPDATES = 2000
"""Fewer do not suffice for a method to show, on the built-in scenes."""

RATES = {"adamw": (1e-3, 0.5), "lars": (0.2, 1.0), "sgd": (0.05, 1.0)}
"""Peak learning rate at 256 images an update, and the power of the images with which it grows: AdamW's with the square
root (Malladi et al., 2022), the others' linearly (Goyal et al., 2017), from the values of Barlow Twins and SimSiam."""


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
    time_budget: Annotated[Minutes | None, FIRST, Heading("Training")] = None
    """Minutes that training should take: --epochs auto becomes as many as fit, by the measured time of a step."""
    layer_decay: PositiveShare = 1.0
    """Factor applied to the learning rate from each layer of the backbone to the layer before it."""
    augment_on: Annotated[Literal["auto", "workers", "device"], Heading("Speed and memory")] = "auto"
    """Where views are colored, blurred and solarized. auto: on the GPU if there is one, otherwise in the workers."""

    def check(self) -> None:
        super().check()
        if self.time_budget is not None and self.epochs != AUTO:
            raise UserError(f"--time-budget {self.time_budget:g}: --epochs {self.epochs} fixes the time; leave one out")

    def settled(self, images: int, side: int, processes: int = 1, step: float | None = None) -> tuple[Self, Settings]:
        """The options with a value for each "auto", and these values by their flags, with reasons.

        images: to train on. side: shorter side of a usual image, in pixels. step: seconds that a step takes, to fit
        `time_budget`.
        """
        found: Settings = {}
        if self.batch_size == AUTO:
            found["--batch-size"] = self.auto_batch(images // processes)
        batch = found["--batch-size"].value if self.batch_size == AUTO else self.batch_size
        together = batch * processes * self.accumulate
        steps = max(1, images // together)
        if self.epochs == AUTO:
            found["--epochs"] = self.auto_epochs(images // processes // batch, steps, step)
        epochs = found["--epochs"].value if self.epochs == AUTO else self.epochs
        if self.lr == AUTO:
            found["--lr"] = self.auto_lr(together)
        values = {flag[2:].replace("-", "_"): setting.value for flag, setting in found.items()}
        method, settings = settle(self.method, Scale(images, together, epochs * steps, side), "--method.")
        return replace(self, **values, method=method, time_budget=None), found | settings

    def auto_epochs(self, batches: int, updates: int, step: float | None) -> Setting:
        """batches, updates: in an epoch."""
        if step is not None and self.time_budget is not None:
            fitting = int(60 * self.time_budget / (max(1, batches) * step))
            return Setting(max(1, fitting), f"{self.time_budget:g} minutes with {step:.2g} s for each step")
        if 100 * updates >= UPDATES:
            return Setting(100, "the usual number")
        return Setting(math.ceil(UPDATES / updates), f"{UPDATES} updates, of which an epoch has {updates}")

    def auto_lr(self, images: int) -> Setting:
        """For so many images in an update."""
        rate, power = RATES[self.optimizer]
        peak = rate * (images / 256) ** power
        how = "with the root of the images" if power == 0.5 else "with the images"
        why = f"{peak:.3g} for {images} images an update: {rate:g} for 256, growing {how}"
        return Setting(peak * self.lr_batch / images, why)
