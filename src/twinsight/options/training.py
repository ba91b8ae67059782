"""What every training takes: where it writes, how it goes, how a whole image is segmented."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from twinsight.errors import UserError
from twinsight.options.auto import Setting, power_of_two
from twinsight.options.marks import CONTROL, FIRST
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

Minutes = Annotated[float, Range(0, 10**6, above=True)]


@dataclass(frozen=True)
class RunOptions:
    """Where a training writes its run."""

    heading: ClassVar = "Output"
    run: Annotated[Path | None, CONTROL, FIRST] = None
    """Directory for the run. Default: a new one in runs/."""
    resume: Annotated[Path | None, CONTROL, FIRST] = None
    """Continue this run from its last checkpoint, with the options in its config.yaml."""
    overwrite: Annotated[bool, CONTROL, FIRST] = False
    """Replace an existing run. It is deleted once the new run has saved its first checkpoint."""
    dry_run: Annotated[bool, CONTROL, FIRST] = False
    """Build everything, print what it is and what it costs, and stop before training."""
    keep: Count = 1
    """Number of best checkpoints to keep, besides the last one."""
    checkpoint_minutes: Minutes = 10.0
    """Save at least this often within an epoch, in minutes. The first step and the end of each epoch are saved too."""
    log: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Loggers to use besides metrics.csv. wandb stays offline unless you are logged in."""
    log_every: Count = 10
    """Steps between two rows of metrics.csv."""


@dataclass(frozen=True)
class ScheduleOptions:
    """How long a training takes and in what steps."""

    heading: ClassVar = "Training"
    usual_batch: ClassVar = 256
    epochs: Annotated[Count | Literal["auto"], FIRST] = "auto"
    """Number of passes over the training images. auto: 100, or more if the images are few."""
    batch_size: Annotated[Count | Literal["auto"], FIRST] = "auto"
    """Images per step per process. auto: 256, or fewer if the images are few."""
    accumulate: Count = 1
    """Steps whose gradients are summed before each update. Each loss still sees the images of one step only."""
    lr: Annotated[NotNegative | Literal["auto"], FIRST] = "auto"
    """Peak learning rate. auto: by --optimizer and the images per update."""
    warmup_epochs: NotNegative | None = None
    """Epochs of linear warm-up, before the learning rate follows a cosine. Default: a tenth of --epochs, at most 10."""
    final_lr: Share = 0.001
    """Learning rate at the end of the cosine, as a fraction of the peak."""
    find_lr: bool = False
    """Search for a learning rate first (Smith, 2017), print it and use it."""
    find_batch_size: bool = False
    """Search for the largest batch size that fits in memory, print it and use it."""
    max_minutes: Minutes | None = None
    """Stop and save after this many minutes, to be resumed later. Schedules still span all epochs."""
    early_stopping: Count | None = None
    """Stop after this many validations without improvement."""
    val_every: Count = 1
    """Epochs between validations."""
    seed: Seed = 0
    """Seed of the weights, the order of images and their augmentation."""

    def auto_batch(self, images: int) -> Setting:
        """For a process that has `images` of them."""
        least = min(64, self.usual_batch)
        batch = min(power_of_two(images / 64, least, self.usual_batch), max(1, images))
        part = f"{images} images / 64, as a power of two from {least} to {self.usual_batch}"
        return Setting(batch, f"all {images} images" if batch == images else part)

    @property
    def batch(self) -> int:
        """Images per step per process, once a plan has settled them."""
        assert self.batch_size != "auto"
        return self.batch_size

    @property
    def passes(self) -> int:
        """Epochs, once a plan has settled them."""
        assert self.epochs != "auto"
        return self.epochs

    @property
    def peak_lr(self) -> float:
        """The peak learning rate, once a plan has settled it."""
        assert self.lr != "auto"
        return self.lr


@dataclass(frozen=True)
class OptimizerOptions:
    """How weights are updated."""

    heading: ClassVar = "Optimizer"
    optimizer: Literal["adamw", "lars", "sgd"] = "adamw"
    """Update rule."""
    bias_lr: NotNegative | None = None
    """Peak learning rate of biases and norms. Default: that of the weights."""
    weight_decay: NotNegative | tuple[NotNegative, NotNegative] = 0.05
    """Weight decay, not applied to biases, norms, tokens and position embeddings. Two numbers: go from the first to the
    second along a cosine over the run."""
    momentum: BelowOne = 0.9
    """Momentum of sgd and lars, beta 1 of adamw."""
    layer_decay: PositiveShare | Literal["auto"] = "auto"
    """Factor applied to the learning rate from each layer of the backbone to the layer before it. auto: 0.8 for a
    transformer with weights from elsewhere, otherwise 1."""
    clip: Positive | None = None
    """Largest norm of the gradient. Default: no limit."""
    ema: BelowOne | None = None
    """Validate and export an exponential moving average of the weights with this decay."""
    swa: BelowOne | None = None
    """Validate and export the mean of the weights over the epochs after this fraction of the run (Izmailov et al.,
    2018)."""


@dataclass(frozen=True)
class MachineOptions:
    """What the training runs on."""

    heading: ClassVar = "Speed and memory"
    workers: Annotated[Annotated[int, Range(0, 1024)] | None, FIRST] = None
    """Processes that load images. Default: set automatically."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """Number format: bf16, fp16, fp32, or auto, which is bf16 on hardware that supports it natively, otherwise fp32."""
    accelerator: Annotated[Literal["auto", "cpu", "gpu", "mps"], FIRST] = "auto"
    """cpu, gpu, mps or auto (GPU if present)."""
    devices: Annotated[int, Range(1, 1024)] | None = None
    """Number of GPUs, or of CPU processes. Default: all GPUs, or one CPU process."""
    checkpointing: bool = False
    """Recompute each block of the backbone in the backward pass instead of storing its activations: less memory, one
    more forward pass, the same gradients."""
    compile: bool = False
    """Compile the backbone's blocks with torch.compile. The first steps are slow, and CPUs gain nothing."""


@dataclass(frozen=True)
class ProbingOptions:
    """How often and at what a training looks inside the model."""

    heading: ClassVar = "Looking inside while training"
    probe: str = "auto"
    """Probes to run, separated by commas: NAME, NAME@5 (every 5 epochs), NAME@500steps or NAME@5:16 (on 16 images).
    auto: those that suit the model; none: no probes."""
    probe_images: Path | None = None
    """Folder of images to probe. Default: a spread of the images in --data."""
    probe_size: Pixels | None = None
    """Shrink probed images so that the shorter side has at most this many pixels. Default: depends on the probe."""
    probe_budget: Share = 0.05
    """Largest fraction of the training time to spend on probes; those that are due wait. The first and the last look
    are always taken."""


@dataclass(frozen=True)
class TrainingOptions(ProbingOptions, MachineOptions, OptimizerOptions, ScheduleOptions):
    """How a training goes."""

    def check(self) -> None:
        """Raises UserError for options that contradict one another."""
        if self.epochs != "auto" and (self.warmup_epochs or 0) > self.epochs:
            raise UserError(f"--warmup-epochs {self.warmup_epochs}: is more than --epochs {self.epochs}")


@dataclass(frozen=True)
class InferenceOptions:
    """How a whole image is segmented."""

    heading: ClassVar = "Segmenting whole images"
    window: Pixels | None = None
    """Side of a sliding window in pixels. Default: the whole image at once."""
    overlap: Annotated[float, Range(0, 0.9)] = 0.5
    """Fraction by which neighboring windows overlap."""
    scales: tuple[Factor, ...] = (1.0,)
    """Average predictions over these scales of the image."""
    flip: bool = False
    """Average predictions over the image and its mirror image."""
