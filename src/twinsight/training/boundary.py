"""A training's state at its last update, so that it can be saved in the middle of the next step or validation."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor


@dataclass
class Boundary:
    """All that changes between two updates, as it was after the first of them.

    Forward and backward leave weights, optimizer and averages alone. What they do change is kept here: buffers (the
    statistics of batch norms), the place in the data (in `callbacks`), Lightning's counters.

    loops: counters of the fit loop. callbacks: their states by Lightning's keys. buffers: of the module, in its order.
    """

    loops: dict[str, Any]
    callbacks: dict[str, Any]
    buffers: list[Tensor]

    @classmethod
    def of(cls, trainer: pl.Trainer, before: "Boundary | None" = None) -> "Boundary":
        """Now; `before`: the one whose memory is used again."""
        live = list(trainer.lightning_module.buffers())
        if before is None:
            buffers = [buffer.detach().clone() for buffer in live]
        else:
            buffers = before.buffers
            copy(live, buffers)
        return cls(trainer.fit_loop.state_dict(), states(trainer), buffers)

    @classmethod
    def ahead_of_validation(cls, trainer: pl.Trainer, before: "Boundary | None") -> "Boundary":
        """At the start of a validation: a training that is resumed from here begins with this validation."""
        found = cls.of(trainer, before)
        # Lightning validates at once when it resumes counters that say a first batch was begun and not ended.
        progress = found.loops["epoch_loop.val_loop.batch_progress"]
        progress["total"] |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}
        progress["current"] |= {"ready": 0, "started": 0, "processed": 0, "completed": 0}
        return found

    def write_into(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["loops"]["fit_loop"] = self.loops
        checkpoint["callbacks"] = self.callbacks

    def roll_back(self, module: pl.LightningModule) -> None:
        """Give the module's buffers the values of the boundary."""
        copy(self.buffers, list(module.buffers()))


def states(trainer: pl.Trainer) -> dict[str, Any]:
    return {c.state_key: deepcopy(state) for c in trainer.callbacks if (state := c.state_dict())}  # pyright: ignore[reportAttributeAccessIssue]


@torch.no_grad()
def copy(source: list[Tensor], target: list[Tensor]) -> None:
    if source:
        torch._foreach_copy_(target, source)  # pyright: ignore[reportPrivateImportUsage] (one kernel for all on a GPU)
