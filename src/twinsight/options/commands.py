"""Every option of every command. A field is a flag of the same name and a key of a recipe.

A docstring says first what the command does, then gives examples; `--help` shows both.
No torch here: `--help` must come at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from twinsight.options.backbones import Backbone, TimmOptions
from twinsight.options.data import Data, ShapesOptions
from twinsight.options.data_commands import DataCheck, DataConvert, DataDetect, DataList, DataMake, DataShow
from twinsight.options.files import Bits, Megapixels
from twinsight.options.look import look
from twinsight.options.marks import FIRST, POSITIONAL, Heading
from twinsight.options.pretrain import Pretrain
from twinsight.options.probes import PROBES
from twinsight.options.ranges import Count, Pixels, Range, Seed, Share
from twinsight.options.segment import Segment
from twinsight.options.training import InferenceOptions

OUTPUT = Heading("Output")


@dataclass(frozen=True, kw_only=True)
class Evaluate(InferenceOptions):
    """Measure a segmenter on a data set; with --probe, judge a backbone without a head.

    twinsight evaluate runs/street
    twinsight evaluate runs/photos street --probe attention,patches
    """

    heading: ClassVar = "Model and data"
    by_classes: ClassVar = True
    """A folder of images without masks is useful only if its folders are classes."""
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
    for data with masks; knn and linear for a folder per class."""
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
