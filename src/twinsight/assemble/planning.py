"""What a training will cost, printed before its first step."""

from collections.abc import Mapping
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from twinsight.assemble.training import count_processes
from twinsight.console import console, told
from twinsight.data.samples import Dataset
from twinsight.device import Device
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.training import TrainingOptions
from twinsight.runs.directory import Run
from twinsight.segmentation.inference import Inference, at_once
from twinsight.segmentation.metrics import best_class
from twinsight.training.estimate import Cost, Loss, fits, inference_memory, step_memory
from twinsight.training.trainer import explained


def print_plan(model: nn.Module, each: Cost, batch: int, steps: int, rows: Mapping[str, object]) -> None:
    """What a dry run prints."""
    table = Table(show_header=False, box=None, pad_edge=False)
    facts = {
        **rows,
        "parameters": f"{each.parameters / 1e6:.2f} M, {each.trainable / 1e6:.2f} M of them trained",
        "step": f"{each.flops * batch / 1e9:.1f} GFLOP forward and backward ({each.flops / 1e9:.2f} an image)",
        "memory": f"about {each.memory(batch) / 1e9:.2f} GB: {each.fixed / 1e9:.2f} for weights, gradients and "
        f"optimizer, {each.per_image / 2**20:.1f} MB an image of the batch",
        "steps": f"{steps}",
    }
    for name, value in facts.items():
        table.add_row(f"[bold]{name}[/bold]", str(value))
    console.print(table)


def updates(images: int, options: TrainingOptions, parts: int = 1) -> int:
    """Updates of a whole training: an epoch ends with one, however few steps it adds up.

    parts: steps that a loss sees at once.
    """
    batches = images // count_processes(options) // options.batch_size // parts
    return -(-batches * parts // options.accumulate) * options.epochs


def tell_schedule(options: TrainingOptions, run: Run) -> None:
    """What becomes of the schedule of a resumed run that is to have another number of epochs."""
    before = run.begun.get("epochs", options.epochs)
    if before != options.epochs:
        told(
            f"--epochs: {options.epochs} instead of {before}: from here on, learning rate and all else that follows a "
            f"schedule are where a run of {options.epochs} epochs would have them at this step"
        )


def validation_memory(options: Segment, model: nn.Module, inference: Inference, val: Dataset, device: Device) -> int:
    """Bytes to validate on the largest of three images, as many at a time as validation takes of its size."""
    shapes = [val.image(place).shape[:2] for place in (0, len(val) // 2, len(val) - 1)]
    height, width = max(shapes, key=lambda shape: shape[0] * shape[1])

    def predict(shadow: Any) -> Tensor:
        few = torch.zeros(at_once(height * width, device.torch), 3, height, width, dtype=torch.uint8)
        return best_class(inference.scores(shadow, few))

    return inference_memory(model, predict, optimizer_slots(options), device.autocast_dtype(options.precision))


def optimizer_slots(options: TrainingOptions) -> int:
    """Numbers that the optimizer keeps of each parameter."""
    return 2 if options.optimizer == "adamw" else 1


def tell_memory(options: TrainingOptions, model: nn.Module, loss: Loss, parts: int = 1, validation: int = 0) -> None:
    """What a training will take of the memory, before the first step; what to do if it does not fit.

    validation: bytes at its fullest moment.
    """
    device = Device(options.accelerator)
    slots, dtype = optimizer_slots(options), device.autocast_dtype(options.precision)
    try:
        needed = step_memory(model, loss, options.batch_size, slots, parts, dtype)
    except ValueError as error:
        raise explained(error) from error
    free = device.free_memory(device.processes(options.devices))
    whole = f", {validation / 1e9:.1f} GB to validate on whole images" if validation > needed else ""
    told(f"memory: about {needed / 1e9:.1f} GB{whole} of the {free / 1e9:.1f} GB that are free")
    if not fits(validation, free):
        told("memory: that hardly suffices to validate; make room with --window 512")
    if not fits(needed, free):
        exact = " or --accumulate N --accumulate-exact" if isinstance(options, Pretrain) else ""
        told(f"memory: that hardly fits; make room with --find-batch-size, --checkpointing{exact}")
