"""Probes from Python."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, overload

from twinsight.api.calls import public, takes
from twinsight.api.keywords import LookKeywords, Probe
from twinsight.api.kinds import Source
from twinsight.errors import UserError
from twinsight.options.choose import suggest
from twinsight.options.commands import COMMANDS
from twinsight.options.parse import from_keywords
from twinsight.options.probes import PROBES

if TYPE_CHECKING:
    from twinsight.api.inputs import Images
    from twinsight.probes.finding import Finding
    from twinsight.probes.side_by_side import Findings


@overload
def look(
    probe: Probe, models: Source, images: "Images | None" = None, **options: Unpack[LookKeywords]
) -> "Finding": ...
@overload
def look(
    probe: Probe,
    models: Sequence[Source] | Mapping[str, Source],
    images: "Images | None" = None,
    **options: Unpack[LookKeywords],
) -> "Findings": ...
@public(weights="models")
@takes(LookKeywords, *PROBES.values())
def look(probe: str, models: Any, images: Any = None, **options: Any) -> Any:
    """Put a probe to a model, or to several to set them side by side.

    Args:
        probe: its name; `twinsight look --help` says what each shows.
        models: what `load` returned, or what it takes; a list, or a mapping from names to models, for several.
        images: see `Model`; a `Dataset` gives its masks too, which some probes need. Default: images that the first
            model's run was trained on.
        **options: `size`, pixels that the shorter side of an image is shrunk to; `sample`, how many images of a data
            set, evenly chosen; and those of the probe, as `twinsight look PROBE --help` lists them.

    Returns:
        A `Finding` of figures and numbers, which a notebook shows; for several models, `Findings`.

    Example:
        >>> finding = twinsight.look("features", "random:test_resnet", [np.zeros((64, 64, 3), np.uint8)] * 2)
        >>> list(finding.figures)
        ['components', 'channels']
    """
    if probe not in PROBES:
        raise UserError(f"probe {probe!s:.60}: there is no such probe; {suggest(str(probe), list(PROBES))}")
    asked = from_keywords(COMMANDS[f"look {probe}"], f"look {probe}", options)
    from twinsight.api.asking import ask

    return ask(probe, asked, models, images)
