"""Every option of every command. A field is a flag of the same name and a key of a recipe.

No torch here: `--help` must come at once.
"""

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Literal

from twinsight.options.backbones import Backbone, TimmOptions
from twinsight.options.data import Bits, Data, Megapixels, PairOptions, ShapesOptions
from twinsight.options.heads import Head, LinearOptions
from twinsight.options.marks import FLAT, POSITIONAL, REPEATED
from twinsight.options.methods import AttentionTermOptions, BarlowTwinsOptions, Method
from twinsight.options.probes import PROBES
from twinsight.options.ranges import (
    Count,
    Images,
    NotNegative,
    Pixels,
    Range,
    Seed,
    Share,
    Whole,
)
from twinsight.options.training import InferenceOptions, RunOptions, TrainingOptions


@dataclass(kw_only=True)
class Pretrain(RunOptions, TrainingOptions):
    """Pretrain a backbone on images without labels."""

    weights: Path | None = None
    """Start from these weights of the same backbone: a run directory, a weights file or an official name (`twinsight
    weights` lists them)."""
    accumulate_exact: bool = False
    """With --accumulate N the loss sees the images of all N steps at once: the gradient of one large batch in the
    memory of a small one, for a second forward (gradient caching; Gao et al., 2021). Only batch norm within the
    backbone still sees one step's, and with few images a step that undoes most of it: for ViTs, Swins, ConvNeXts."""
    lr_batch: Count = 256
    """Batch size that `lr` and `bias_lr` are for: they are multiplied by (images per update) / this."""
    augment_on: Literal["auto", "workers", "device"] = "auto"
    """What colors, blurs and solarizes views: the workers, or the device that trains; auto: that device, if a GPU."""
    attention: AttentionTermOptions = field(default_factory=AttentionTermOptions)
    method: Method = field(default_factory=BarlowTwinsOptions)
    backbone: Backbone = field(default_factory=TimmOptions)
    data: Data = field(default_factory=ShapesOptions)


@dataclass(kw_only=True)
class Segment(RunOptions, TrainingOptions, InferenceOptions):
    """Train a segmentation head on a backbone, frozen or fine-tuned."""

    epochs: Count = 50
    batch_size: Count = 16
    lr: NotNegative = 1e-4
    """Peak learning rate of the backbone."""
    head_lr: NotNegative = 1e-3
    """Peak learning rate of the head."""
    warmup_epochs: NotNegative | None = 1
    weight_decay: NotNegative | tuple[NotNegative, NotNegative] = 0.01
    weights: Path | None = None
    """Weights of the backbone: a run directory, a file or an official name (`twinsight weights` lists them). Default:
    as --backbone.pretrained says."""
    freeze: Whole | Literal["all"] = 0
    """Freeze the whole backbone (all), or its stem and first blocks."""
    loss: str = "cross-entropy"
    """A weighted sum, such as cross-entropy+0.5*dice, of cross-entropy, dice, focal, jaccard, lovasz."""
    class_weights: tuple[NotNegative, ...] | None = None
    """Weight of each class in the cross-entropy and focal losses."""
    label_smoothing: Share = 0.0
    """Of the cross-entropy."""
    focal_gamma: NotNegative = 2.0
    """Exponent of the focal loss."""
    aux_weight: NotNegative = 0.0
    """Weight of an auxiliary FCN head on a shallower level; 0 for none."""
    augment: PairOptions = field(default_factory=PairOptions)
    head: Head = field(default_factory=LinearOptions)
    backbone: Backbone = field(default_factory=TimmOptions)
    data: Data = field(default_factory=ShapesOptions)


@dataclass(kw_only=True)
class Evaluate(InferenceOptions):
    """Measure a trained segmenter on a data set; with --probe, judge a backbone alone."""

    run: Annotated[Path, POSITIONAL]
    """Run directory of `twinsight segment`; with --probe also one of pretrain, a weights file (of --backbone), an
    official or a timm name, or random: before a run or a name, as `twinsight look --weights` takes them."""
    probe: str | None = None
    """Judge the backbone without a decoder, beside the same network untrained. Names separated by commas: attention,
    patches, linear on data with masks; knn, linear on a class-folder."""
    size: Pixels | None = None
    """With --probe: bring images down to so many pixels on the shorter side. Default: 480 with masks, else 224, of
    which the middle square is taken."""
    protocol: Literal["foreground", "public"] = "foreground"
    """With --probe attention: what heads are compared with. foreground: all that is not background, as one region.
    public: each class with its own best head, as the public script for DINO on VOC does."""
    checkpoint: Literal["best", "last"] = "best"
    """Of a run of `twinsight segment`."""
    json: Path | None = None
    """Write all numbers to this file too."""
    overwrite: bool = False
    """Replace that file if it is there already."""
    workers: Annotated[int, Range(0, 1024)] | None = None
    """Processes that load data. Default: by the machine."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    precision: Literal["auto", "bf16", "fp16", "fp32"] | None = None
    """Default: what the run was trained and validated in. auto: bf16 where the processor has it natively, else fp32."""
    backbone: Backbone = field(default_factory=TimmOptions)
    """Of a weights file that does not say it itself."""
    data: Data = field(default_factory=ShapesOptions)
    """Data to measure on. Default: what the run was trained on."""


@dataclass(kw_only=True)
class Predict(InferenceOptions):
    """Segment images: a mask, and the mask over the image, for each."""

    run: Annotated[Path, POSITIONAL]
    """Run directory of `twinsight segment`."""
    images: Annotated[tuple[Path, ...], POSITIONAL]
    """Image files and folders of images."""
    out: Path = Path("predictions")
    """Folder for NAME.png (class indices, in the data set's palette) and NAME.overlay.jpg."""
    checkpoint: Literal["best", "last"] = "best"
    overlay: bool = True
    """Write the overlays too."""
    opacity: Share = 0.6
    """Of the mask in the overlay, 0 to 1."""
    overwrite: bool = False
    """Replace predictions that are there already."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    batch_size: Count | None = None
    """Images of one size that are segmented at once. Default: as many as pay, by their size."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] | None = None
    """Default: what the run was trained and validated in. auto: bf16 where the processor has it natively, else fp32."""
    bits: Bits | None = None
    """How many of their bits 16-bit images fill. Default: as in the training, else by the largest value of a sample."""
    max_megapixels: Megapixels | None = None
    """Refuse larger images before they are decoded. Default: as in the training."""


@dataclass(kw_only=True)
class Look:
    """Look inside a model."""

    images: Annotated[tuple[Path, ...], POSITIONAL] = ()
    """Image files and folders. Default: images of --data, evenly chosen."""
    weights: Annotated[tuple[str, ...], REPEATED] = ()
    """The model: a run directory, a weights file (of --backbone), an official name (`twinsight weights` lists them),
    the name of a timm model (its own weights, to be downloaded), or random:RUN or random:NAME for the same untrained.
    Again for each model to set beside it."""
    checkpoint: Literal["best", "last"] = "best"
    """Of a run of `twinsight segment`."""
    out: Path = Path("look")
    """Folder for PROBE-FIGURE.png, or PROBE.png where there is one figure."""
    format: Literal["png", "svg", "pdf", "jpg"] = "png"
    numbers: bool = False
    """Print all numbers as JSON."""
    size: Pixels | None = None
    """Bring images down to so many pixels on the shorter side. Default: 480 for what is shown pixel by pixel, 224 for
    embeddings, none for predictions."""
    sample: Images | None = None
    """How many images of --data. Default: by the probe."""
    split: Literal["train", "val"] | None = None
    """Of --data. Default: val for a segmenter, else train."""
    overwrite: bool = False
    """Replace figures that are there already."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    backbone: Backbone = field(default_factory=TimmOptions)
    data: Data = field(default_factory=ShapesOptions)
    """Default: what the first run was trained on."""


def look(options: type) -> type:
    """`Look` with one probe's options beside its own."""
    probe = Annotated[options, FLAT]
    made = make_dataclass("Look", [("probe", probe, field(default_factory=options))], bases=(Look,), kw_only=True)
    made.__doc__ = options.__doc__
    return made


@dataclass(kw_only=True)
class Weights:
    """Say what a weights file is, which network it fits, and what of it; without a file, list official weights."""

    file: Annotated[Path | None, POSITIONAL] = None
    """A weights file, a run directory or an official name."""
    backbone: str | None = None
    """A timm model to fit it to. Default: the one it is most likely of."""


@dataclass(kw_only=True)
class Report:
    """One page about one run or several: what was run, scores, curves, figures."""

    runs: Annotated[tuple[Path, ...], POSITIONAL]
    """Run directories."""
    out: Path | None = None
    """Where to write it. Default: report.html in the run's directory, or here for several runs."""
    overwrite: bool = False
    """Replace a page that is there already; that in a run's own directory always is."""


@dataclass(kw_only=True)
class Demo:
    """The whole road on the embedded data set, in minutes: pretrain, segment, and a page of results."""

    out: Path = Path("runs/demo")
    """Directory for the data, the runs and index.html."""
    seed: Seed = 0
    overwrite: bool = False
    """Replace the demo that is there, which goes once the new one is done."""
    quick: bool = False
    """A few steps of each part, to see that everything works; its scores mean nothing."""


@dataclass(kw_only=True)
class DataList:
    """Name every data set, what it holds and what it needs on disk."""


@dataclass(kw_only=True)
class DataCheck:
    """Read every sample; count classes and pixels; name each broken file; end with a verdict."""

    split: Literal["train", "val"] | None = None
    """Check this split only. Default: both."""
    data: Data = field(default_factory=ShapesOptions)


@dataclass(kw_only=True)
class DataShow:
    """Make a contact sheet of images with their masks."""

    split: Literal["train", "val"] = "train"
    count: Images = 24
    """Number of images, chosen at random by the seed."""
    seed: Seed = 0
    out: Path = Path("contact-sheet.png")
    """PNG, PDF or SVG file."""
    overwrite: bool = False
    """Replace it if it is there already."""
    data: Data = field(default_factory=ShapesOptions)


@dataclass(kw_only=True)
class DataMake:
    """Write a procedural data set to disk in VOC layout."""

    kind: Annotated[Literal["shapes"], POSITIONAL]
    folder: Annotated[Path, POSITIONAL]
    """Where to write; must be new or empty."""
    data: ShapesOptions = field(default_factory=ShapesOptions)


COMMANDS = {
    "demo": Demo,
    "pretrain": Pretrain,
    "segment": Segment,
    "evaluate": Evaluate,
    "predict": Predict,
    **{f"look {name}": look(options) for name, options in PROBES.items()},
    "weights": Weights,
    "report": Report,
    "data list": DataList,
    "data check": DataCheck,
    "data show": DataShow,
    "data make": DataMake,
}
"""What one can type after `twinsight`; `commands/WORD.py` holds what it does."""
