"""Compiles blocks for training steps."""

from typing import Any

import lightning.pytorch as pl
import torch

from twinsight.backbones.backbone import Backbone
from twinsight.training.blocks import blocks


class Compiling(pl.Callback):
    """Compiles the blocks of all backbones in place, which keeps the names of weights.

    Only for training steps: validation and probes run uncompiled, since their images have many sizes and their
    attention is recorded.
    """

    def __init__(self, backend: str = "inductor"):
        self.backend = backend

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        for backbone in (module for module in pl_module.modules() if isinstance(module, Backbone)):
            for block in blocks(backbone):
                block.compile(backend=self.backend)
        torch.compiler.set_stance("force_eager")

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        torch.compiler.set_stance("default")

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        torch.compiler.set_stance("force_eager")

    def teardown(self, *args: Any, **kwargs: Any) -> None:
        torch.compiler.set_stance("default")
