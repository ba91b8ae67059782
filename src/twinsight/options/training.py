"""What every training takes: where it writes, how it goes, how a whole image is segmented."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from twinsight.errors import UserError
from twinsight.options.marks import CONTROL
from twinsight.options.ranges import (
    BelowOne,
    Count,
    Factor,
    NotNegative,
    Pixels,
    Positive,
    PositiveShare,
    Range,
    Seed,
    Share,
)


@dataclass
class RunOptions:
    """Where a training writes."""

    run: Annotated[Path | None, CONTROL] = None
    """Directory of the run, made anew. Default: runs/COMMAND-WHAT-N."""
    resume: Annotated[Path | None, CONTROL] = None
    """Go on with this run from its last checkpoint; its own config.yaml is the default of every option."""
    overwrite: Annotated[bool, CONTROL] = False
    """Replace the run that is there, which goes once the new one has its first checkpoint."""
    dry_run: Annotated[bool, CONTROL] = False
    """Build everything, print what it is and what it costs, train nothing."""
    seed: Seed = 0


@dataclass
class TrainingOptions:
    """How a training goes."""

    epochs: Count = 100
    max_minutes: Annotated[float, Range(0, 10**6, above=True)] | None = None
    """Stop and save after so many minutes, to be resumed; schedules still count on all epochs."""
    checkpoint_minutes: Annotated[float, Range(0, 10**6, above=True)] = 10.0
    """Save at least every so many minutes within an epoch; the first step and the end of an epoch save too."""
    batch_size: Count = 256
    """Images per step and process."""
    accumulate: Count = 1
    """Steps whose gradients are added up before one update; a loss still sees one step's batch."""
    optimizer: Literal["adamw", "lars", "sgd"] = "adamw"
    lr: NotNegative = 5e-4
    """Peak learning rate."""
    bias_lr: NotNegative | None = None
    """Peak learning rate of biases and norms. Default: that of the weights."""
    weight_decay: NotNegative | tuple[NotNegative, NotNegative] = 0.05
    """Of weights; biases, norms, tokens and position embeddings have none. Two numbers: from the first to the second
    by a cosine over the run."""
    momentum: BelowOne = 0.9
    """Of sgd and lars; beta 1 of adamw."""
    warmup_epochs: NotNegative | None = None
    """Epochs of linear warm-up, followed by a cosine. Default: a tenth of them, at most 10."""
    final_lr: Share = 0.001
    """What the cosine ends at, as a share of the peak."""
    layer_decay: PositiveShare = 1.0
    """Factor of the learning rate from each of the backbone's layers to the one before it."""
    clip: Positive | None = None
    """Largest norm of the gradient."""
    ema: BelowOne | None = None
    """Validate and export an exponential moving average of the weights, of this decay."""
    swa: BelowOne | None = None
    """Validate and export the mean of the weights from this share of the epochs on (Izmailov, 2018)."""
    early_stopping: Count | None = None
    """Stop after so many validations without improvement."""
    keep: Count = 1
    """How many of the best checkpoints to keep, beside the last."""
    val_every: Count = 1
    """Epochs between validations."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """auto: bf16 where the processor has it natively, else fp32."""
    checkpointing: bool = False
    """Keep only what enters each block of the backbone, and compute the rest again in the backward: a fraction of the
    memory for a second forward, with the same gradients."""
    compile: bool = False
    """Compile the backbone's blocks (torch.compile): meant for GPUs, after some slow first steps; CPUs gain nothing."""
    workers: Annotated[int, Range(0, 1024)] | None = None
    """Processes that load data. Default: by the machine."""
    devices: Annotated[int, Range(1, 1024)] | None = None
    """How many GPUs (or CPU processes) to train on. Default: all GPUs, or one CPU process."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    find_lr: bool = False
    """Search a learning rate first (Smith, 2017), print it and use it."""
    find_batch_size: bool = False
    """Search the largest batch size that fits first, print it and use it."""
    log: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Further loggers beside metrics.csv; wandb stays offline where there is no login."""
    log_every: Count = 10
    """Steps between two rows of metrics.csv."""
    probe: str = "auto"
    """Looks inside while training, separated by commas: NAME, or NAME@5 for every 5 epochs, NAME@500steps, NAME@5:16
    on 16 images; auto chooses by the network, none looks at nothing. `twinsight look --help` names them."""
    probe_images: Path | None = None
    """Look at the images of this folder. Default: at images of --data, evenly chosen."""
    probe_size: Pixels | None = None
    """Bring probes' images down to so many pixels on the shorter side. Default: by the probe, 224 at most to pretrain.
    """
    probe_budget: Share = 0.05
    """Share of the training's time that probes may take; what is due waits. The first and last look are always taken.
    """

    def check(self) -> None:
        """Raises UserError for options that contradict one another."""
        if (self.warmup_epochs or 0) > self.epochs:
            raise UserError(f"--warmup-epochs {self.warmup_epochs}: is more than --epochs {self.epochs}")


@dataclass
class InferenceOptions:
    """How a whole image is segmented."""

    window: Pixels | None = None
    """Side of sliding windows in pixels. Default: the whole image at once."""
    overlap: Annotated[float, Range(0, 0.9)] = 0.5
    """Share by which neighboring windows overlap, 0 to 0.9."""
    scales: tuple[Factor, ...] = (1.0,)
    """Sizes of the image over which predictions are averaged."""
    flip: bool = False
    """Average with the prediction of the mirrored image."""
