"""What a training will cost, told before its first step."""

from collections.abc import Mapping

from rich.table import Table
from torch import nn

from twinsight.commands.setup import processes
from twinsight.config import Pretrain, TrainingOptions
from twinsight.console import console, told
from twinsight.device import Device
from twinsight.run import Run
from twinsight.training.estimate import Cost, Loss, fits, step_memory
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
    batches = images // processes(options) // options.batch_size // parts
    return -(-batches * parts // options.accumulate) * options.epochs


def tell_schedule(options: TrainingOptions, run: Run) -> None:
    """What becomes of the schedule of a resumed run that is to have another number of epochs."""
    before = run.begun.get("epochs", options.epochs)
    if before != options.epochs:
        told(
            f"--epochs: {options.epochs} instead of {before}: from here on, learning rate and all else that follows a "
            f"schedule are where a run of {options.epochs} epochs would have them at this step"
        )


def optimizer_slots(options: TrainingOptions) -> int:
    """Numbers that the optimizer keeps of each parameter."""
    return 2 if options.optimizer == "adamw" else 1


def tell_memory(options: TrainingOptions, model: nn.Module, loss: Loss, parts: int = 1) -> None:
    """What a step will take of the memory, before the first one; what to do if it does not fit."""
    device = Device(options.accelerator)
    slots, dtype = optimizer_slots(options), device.autocast_dtype(options.precision)
    try:
        needed = step_memory(model, loss, options.batch_size, slots, parts, dtype)
    except ValueError as error:
        raise explained(error) from error
    free = device.free_memory(device.processes(options.devices))
    told(f"memory: about {needed / 1e9:.1f} GB of the {free / 1e9:.1f} GB that are free")
    if not fits(needed, free):
        exact = " or --accumulate N --accumulate-exact" if isinstance(options, Pretrain) else ""
        told(f"memory: that hardly fits; make room with --find-batch-size, --checkpointing{exact}")
