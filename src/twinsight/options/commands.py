"""Every option of every command. A field is a flag of the same name and a key of a recipe.

A docstring says first what the command does, then gives examples; `--help` shows both.
No torch here: `--help` must come at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from twinsight.options.backbones import Backbone, TimmOptions
from twinsight.options.data import Data, PairOptions, ShapesOptions
from twinsight.options.data_commands import DataCheck, DataConvert, DataDetect, DataList, DataMake, DataShow
from twinsight.options.files import Bits, Megapixels
from twinsight.options.heads import Head, LinearOptions
from twinsight.options.look import look
from twinsight.options.marks import FIRST, POSITIONAL, Heading
from twinsight.options.methods import AttentionTermOptions, BarlowTwinsOptions, Method
from twinsight.options.probes import PROBES
from twinsight.options.ranges import BelowOne, Count, NotNegative, Pixels, Range, Seed, Share, Whole
from twinsight.options.training import InferenceOptions, RunOptions, TrainingOptions

OUTPUT = Heading("Output")


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
    augment_on: Annotated[Literal["auto", "workers", "device"], Heading("Speed and memory")] = "auto"
    """Where views are colored, blurred and solarized. auto: on the GPU if there is one, otherwise in the workers."""


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
    backbone: Annotated[Backbone, FIRST] = field(default_factory=TimmOptions)
    """Any timm model, such as resnet50 or vit_small_patch16_224, or vit-pytorch."""
    weights: Annotated[Path | None, FIRST] = None
    """Weights to start from: a run directory, a weights file or an official name (listed by `twinsight weights`)."""
    freeze: Annotated[Whole | Literal["all"], FIRST] = 0
    """Freeze the whole backbone (all), or its stem and this many of its first blocks; 0 freezes nothing."""
    epochs: Annotated[Count, FIRST] = 50
    usual_batch: ClassVar = 16
    batch_size: Annotated[Count | None, FIRST] = None
    """Images per step per process. Default: 16, or all images if there are fewer."""
    lr: Annotated[NotNegative, FIRST] = 1e-4
    """Peak learning rate of the backbone."""
    head_lr: Annotated[NotNegative, FIRST, Heading("Training")] = 1e-3
    """Peak learning rate of the head."""
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


@dataclass(frozen=True, kw_only=True)
class Evaluate(InferenceOptions):
    """Measure a segmenter on a data set; with --probe, judge a backbone without a head.

    twinsight evaluate runs/street
    twinsight evaluate runs/photos street --probe attention,patches
    """

    heading: ClassVar = "Model and data"
    run: Annotated[Path, POSITIONAL, FIRST]
    """Run directory of `twinsight segment`. With --probe also one of `twinsight pretrain`, a weights file (of
    --backbone), an official or timm name, or random: before a run or name for the same model, untrained."""
    data: Annotated[Data, FIRST] = field(default_factory=ShapesOptions)
    """Data set to measure on, or folder of your own. Default: the one that the run was trained on."""
    checkpoint: Annotated[Literal["best", "last"], FIRST] = "best"
    """Checkpoint to take from a run of `twinsight segment`."""
    backbone: Backbone = field(default_factory=TimmOptions)
    """Network of a weights file that does not name its own."""
    probe: Annotated[str | None, FIRST, Heading("Judging a backbone")] = None
    """Judge the backbone, beside the same network untrained. Names separated by commas: attention, patches and linear
    for data with masks; knn and linear for a class-folder."""
    size: Annotated[Pixels | None, FIRST, Heading("Judging a backbone")] = None
    """Shrink images so that the shorter side has at most this many pixels. Default: 480 with masks, otherwise 224, of
    which the central square is used."""
    protocol: Annotated[Literal["foreground", "public"], Heading("Judging a backbone")] = "foreground"
    """What --probe attention compares heads with. foreground: everything but the background, as one region. public:
    each class with its own best head, as in the public script for DINO on VOC."""
    json: Annotated[Path | None, FIRST, OUTPUT] = None
    """Write all numbers to this file too."""
    overwrite: Annotated[bool, FIRST, OUTPUT] = False
    """Replace that file if it exists."""
    workers: Annotated[Annotated[int, Range(0, 1024)] | None, Heading("Speed and memory")] = None
    """Processes that load images. Default: set automatically."""
    accelerator: Annotated[Literal["auto", "cpu", "gpu", "mps"], FIRST, Heading("Speed and memory")] = "auto"
    """cpu, gpu, mps or auto (GPU if present)."""
    precision: Annotated[Literal["auto", "bf16", "fp16", "fp32"] | None, Heading("Speed and memory")] = None
    """Number format: bf16, fp16, fp32, or auto (bf16 on hardware that supports it natively, otherwise fp32). Default:
    that of the training."""


@dataclass(frozen=True, kw_only=True)
class Predict(InferenceOptions):
    """Segment images: write a mask, and an overlay of it, for each.

    twinsight predict runs/street photos --out predictions
    """

    heading: ClassVar = "Model and images"
    run: Annotated[Path, POSITIONAL, FIRST]
    """Run directory of `twinsight segment`."""
    images: Annotated[tuple[Path, ...], POSITIONAL, FIRST]
    """Image files and folders."""
    checkpoint: Annotated[Literal["best", "last"], FIRST] = "best"
    """Checkpoint to take from the run."""
    out: Annotated[Path, FIRST, OUTPUT] = Path("predictions")
    """Folder for NAME.png (class indices, in the palette of the data set) and NAME.overlay.jpg."""
    overlay: Annotated[bool, FIRST, OUTPUT] = True
    """Write overlays; --no-overlay leaves them out."""
    opacity: Annotated[Share, FIRST, OUTPUT] = 0.6
    """Opacity of the mask in an overlay."""
    overwrite: Annotated[bool, FIRST, OUTPUT] = False
    """Replace existing predictions."""
    bits: Bits | None = None
    """Bits in use of 16-bit images. Default: as in the training, otherwise found from a sample's largest value."""
    max_megapixels: Megapixels | None = None
    """Refuse larger images before decoding them. Default: as in the training."""
    accelerator: Annotated[Literal["auto", "cpu", "gpu", "mps"], FIRST, Heading("Speed and memory")] = "auto"
    """cpu, gpu, mps or auto (GPU if present)."""
    batch_size: Annotated[Count | None, Heading("Speed and memory")] = None
    """Images of one size to segment at once. Default: chosen by their size."""
    precision: Annotated[Literal["auto", "bf16", "fp16", "fp32"] | None, Heading("Speed and memory")] = None
    """Number format: bf16, fp16, fp32, or auto (bf16 on hardware that supports it natively, otherwise fp32). Default:
    that of the training."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Identify a weights file: its format, the network it fits and how much matches; or list official names.

    twinsight weights dino_deitsmall16_pretrain.pth
    """

    file: Annotated[Path | None, POSITIONAL] = None
    """A weights file, a run directory or an official name."""
    backbone: str | None = None
    """timm model to match the file with. Default: the most likely one."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Make one page about one or several runs: options, scores, curves and figures.

    twinsight report runs/street
    twinsight report runs/street runs/street-dino --out comparison.html
    """

    runs: Annotated[tuple[Path, ...], POSITIONAL]
    """Run directories."""
    out: Path | None = None
    """File to write. Default: report.html in the run's directory, or in the current folder for several runs."""
    overwrite: bool = False
    """Replace an existing page. The one in a run's own directory is always replaced."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Pretrain, segment and report on a built-in data set, in minutes.

    twinsight demo
    """

    out: Path = Path("runs/demo")
    """Directory for the data, the runs and the page, index.html."""
    seed: Seed = 0
    """Seed of the scenes and the trainings."""
    overwrite: bool = False
    """Replace an existing demo. It is deleted once the new one is finished."""
    quick: bool = False
    """Run only a few steps of each stage, to see that everything works. Its scores mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Print a script that completes twinsight's commands, options and names on Tab.

    twinsight completion bash > ~/.local/share/bash-completion/completions/twinsight
    twinsight completion zsh > "${fpath[1]}/_twinsight"
    twinsight completion fish > ~/.config/fish/completions/twinsight.fish
    """

    shell: Annotated[Literal["bash", "zsh", "fish"], POSITIONAL]
    """Shell to print it for."""


COMMANDS = {
    "demo": Demo,
    "pretrain": Pretrain,
    "segment": Segment,
    "evaluate": Evaluate,
    "predict": Predict,
    **{f"look {name}": look(name, options) for name, options in PROBES.items()},
    "weights": Weights,
    "report": Report,
    "data list": DataList,
    "data detect": DataDetect,
    "data check": DataCheck,
    "data show": DataShow,
    "data convert": DataConvert,
    "data make": DataMake,
    "completion": Completion,
}
"""What one can type after `twinsight`; `commands/WORD.py` holds what it does."""
