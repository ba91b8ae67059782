"""A training's state at its last update, so that it can be saved during the next step or validation."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor


@dataclass
class Boundary:
    """Everything that changes between two updates, as it was after the first.

    Forward and backward leave weights, optimizer and weight averages alone. What they change is kept here: buffers
    (batch-norm statistics), the position in the data (in `callbacks`) and Lightning's counters.

    loops: counters of the fit loop. callbacks: states by Lightning's keys. buffers: the module's, in its order.
    """

    loops: dict[str, Any]
    callbacks: dict[str, Any]
    buffers: list[Tensor]

    @classmethod
    def of(cls, trainer: pl.Trainer, before: "Boundary | None" = None) -> "Boundary":
        """The present state; `before`: a boundary whose memory is reused."""
        live = list(trainer.lightning_module.buffers())
        if before is None:
            buffers = [buffer.detach().clone() for buffer in live]
        else:
            buffers = before.buffers
            copy(live, buffers)
        return cls(trainer.fit_loop.state_dict(), states(trainer), buffers)

    @classmethod
    def ahead_of_validation(cls, trainer: pl.Trainer, before: "Boundary | None") -> "Boundary":
        """The state at the start of a validation; a training resumed from it starts with this validation."""
        found = cls.of(trainer, before)
        # Lightning validates first when the restored counters say that a first batch was started but not completed.
        progress = found.loops["epoch_loop.val_loop.batch_progress"]
        progress["total"] |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}
        progress["current"] |= {"ready": 0, "started": 0, "processed": 0, "completed": 0}
        return found

    def write_into(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["loops"]["fit_loop"] = self.loops
        checkpoint["callbacks"] = self.callbacks

    def roll_back(self, module: pl.LightningModule) -> None:
        """Restore the module's buffers."""
        copy(self.buffers, list(module.buffers()))


def states(trainer: pl.Trainer) -> dict[str, Any]:
    return {c.state_key: deepcopy(state) for c in trainer.callbacks if (state := c.state_dict())}  # pyright: ignore[reportAttributeAccessIssue]


@torch.no_grad()
def copy(source: list[Tensor], target: list[Tensor]) -> None:
    if source:
        torch._foreach_copy_(target, source)  # pyright: ignore[reportPrivateImportUsage] (one kernel for all on a GPU)
