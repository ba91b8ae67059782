"""Options of `twinsight look PROBE`."""

from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from twinsight.options.backbones import Backbone, TimmOptions
from twinsight.options.data import Data, ShapesOptions
from twinsight.options.marks import FIRST, FLAT, POSITIONAL, REPEATED, Heading
from twinsight.options.probe import ProbeOptions
from twinsight.options.ranges import Images, Pixels

OUTPUT = Heading("Output")


@dataclass(frozen=True, kw_only=True)
class Look:
    """Look inside a model."""

    heading: ClassVar = "Model and images"
    weights: Annotated[tuple[str, ...], REPEATED, FIRST] = ()
    """Model to look into: a run directory, a weights file (of --backbone), an official name (listed by `twinsight
    weights`) or the name of a timm model (downloaded). random:RUN or random:NAME is the same model, untrained. Repeat
    the option to compare models side by side."""
    images: Annotated[tuple[Path, ...], POSITIONAL, FIRST] = ()
    """Image files and folders. Default: a spread of the images in --data."""
    data: Annotated[Data, FIRST] = field(default_factory=ShapesOptions)
    """Data set, or folder of your own. Default: the one that the first run was trained on."""
    sample: Annotated[Images | None, FIRST] = None
    """Number of images to look at, evenly chosen. Default: depends on the probe."""
    size: Pixels | None = None
    """Shrink images so that the shorter side has at most this many pixels. Default: 480 for what is shown pixel by
    pixel, 224 for embeddings, no limit for predictions."""
    split: Literal["train", "val"] | None = None
    """Split of --data. Default: val for a segmenter, otherwise train."""
    checkpoint: Literal["best", "last"] = "best"
    """Checkpoint to take from a run of `twinsight segment`."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    """cpu, gpu, mps or auto (GPU if present)."""
    backbone: Backbone = field(default_factory=TimmOptions)
    """Network of a weights file that does not name its own."""
    out: Annotated[Path, FIRST, OUTPUT] = Path("look")
    """Folder for the figures, PROBE-FIGURE.png."""
    overwrite: Annotated[bool, FIRST, OUTPUT] = False
    """Replace existing figures."""
    format: Annotated[Literal["png", "svg", "pdf", "jpg"], OUTPUT] = "png"
    """Format of the figures."""
    numbers: Annotated[bool, FIRST, OUTPUT] = False
    """Print all numbers as JSON."""


def look(name: str, options: type[ProbeOptions]) -> type:
    """`Look` with one probe's options beside its own."""
    probe = Annotated[options, FLAT]
    made = make_dataclass(
        "Look", [("probe", probe, field(default_factory=options))], bases=(Look,), frozen=True, kw_only=True
    )
    made.__doc__ = f"{options.__doc__}\n\ntwinsight look {name} {options.example}"
    return made
