"""The cost of a training, estimated and printed before its first step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from twinsight.console import console, tell
from twinsight.data.samples import Dataset
from twinsight.device import Device
from twinsight.runs.directory import Run
from twinsight.segmentation.inference import Inference, at_once
from twinsight.segmentation.metrics import best_class
from twinsight.training.estimate import Cost, Loss, cost, fits, inference_memory, largest_batch, step_memory
from twinsight.training.trainer import explained


@dataclass(frozen=True)
class Step:
    """A training step that is traced without computing it.

    slots: numbers that the optimizer keeps per parameter. parts, autocast: see `estimate.tensor_bytes`. remedies:
    options that reduce a step's memory.
    """

    model: nn.Module
    loss: Loss
    slots: int
    autocast: torch.dtype | None
    parts: int = 1
    remedies: str = "--find-batch-size, --checkpointing"

    def cost(self) -> Cost:
        return cost(self.model, self.loss, self.slots, self.parts, self.autocast)

    def memory(self, batch: int) -> int:
        """Peak bytes. Raises UserError for a batch that the network does not accept."""
        try:
            return step_memory(self.model, self.loss, batch, self.slots, self.parts, self.autocast)
        except ValueError as error:
            raise explained(error) from error

    def largest_batch(self, images: int, device: Device) -> int:
        """The largest batch that fits on the device, of at most `images`; prints it."""
        found = largest_batch(self.cost(), images // self.parts, device.free_memory())
        tell(f"--find-batch-size: {found}")
        return found


def optimizer_slots(optimizer: str) -> int:
    """Numbers that the optimizer keeps per parameter."""
    return 2 if optimizer == "adamw" else 1


def print_plan(step: Step, batch: int, steps: int, rows: Mapping[str, object]) -> None:
    """What a dry run prints."""
    each = step.cost()
    facts = {
        **rows,
        "parameters": f"{each.parameters / 1e6:.2f} M, {each.trainable / 1e6:.2f} M of them trained",
        "step": f"{batch} images, {each.flops * batch / 1e9:.1f} GFLOP forward and backward "
        f"({each.flops / 1e9:.2f} per image)",
        "memory": f"about {size(each.memory(batch))}: {size(each.fixed)} for weights, gradients and optimizer, "
        f"{size(each.per_image)} per image of the batch",
        "steps": f"{steps}",
    }
    print_facts(facts)


def print_facts(facts: Mapping[str, object]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        table.add_row(f"[bold]{name}[/bold]", str(value))
    console.print(table)


def updates(images: int, processes: int, batch: int, accumulate: int, epochs: int, parts: int = 1) -> int:
    """Updates of a whole training: each epoch ends with one, even after fewer than `accumulate` steps.

    parts: steps that a loss sees at once.
    """
    batches = images // processes // batch // parts
    return -(-batches * parts // accumulate) * epochs


def tell_schedule(epochs: int, run: Run) -> None:
    """Print how the schedule changes if a resumed run gets another number of epochs."""
    before = run.begun.get("epochs", epochs)
    if before != epochs:
        tell(
            f"--epochs: {epochs} instead of {before}: from here on, the learning rate and everything else with a "
            f"schedule follow that of a run of {epochs} epochs"
        )


def validation_memory(step: Step, inference: Inference, val: Dataset, device: Device) -> int:
    """Bytes to validate on the largest of three images, with validation's batch size for that size."""
    shapes = [val.image(place).shape[:2] for place in (0, len(val) // 2, len(val) - 1)]
    height, width = max(shapes, key=lambda shape: shape[0] * shape[1])

    def predict(shadow: Any) -> Tensor:
        few = torch.zeros(at_once(height * width, device.torch), 3, height, width, dtype=torch.uint8)
        return best_class(inference.scores(shadow, few))

    return inference_memory(step.model, predict, step.slots, step.autocast)


def tell_memory(step: Step, batch: int, free: float, validation: int = 0) -> None:
    """Print what a training will need of the `free` bytes, and what to do if it does not fit.

    validation: its peak bytes.
    """
    needed = step.memory(batch)
    whole = f", {size(validation)} to validate on whole images" if validation > needed else ""
    tell(f"memory: needs about {size(needed)}{whole}; {size(free)} free")
    if not fits(validation, free):
        tell("memory: validation will hardly fit; make room with --window 512")
    if not fits(needed, free):
        tell(f"memory: training will hardly fit; make room with {step.remedies}")


def size(count: float) -> str:
    """A number of bytes for display."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
