"""twinsight weights: what a weights file is, which network it fits, and what of it."""

from typing import TYPE_CHECKING

from twinsight.assemble.networks import check_backbone, check_source
from twinsight.console import loading
from twinsight.options.commands import Weights

if TYPE_CHECKING:
    from twinsight.backbones.matching import Match


def run(options: Weights) -> "Match | None":
    """How the file fits; None if no file was given or no network is known to fit it."""
    if options.backbone is not None:
        check_backbone(options.backbone)
    if options.file is not None:
        check_source(options.file)
    loading("PyTorch")
    from twinsight.assemble.identify import identify, list_official

    if options.file is None:
        list_official()
        return None
    return identify(options.file, options.backbone)
