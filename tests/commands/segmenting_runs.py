"""Trainings of segmenters that take seconds."""

from pathlib import Path
from unittest.mock import patch

from twinsight.assemble import segmenting
from twinsight.commands import segment
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Segment
from twinsight.options.data import PairOptions, ShapesOptions
from twinsight.options.heads import LinearOptions
from twinsight.segmentation.metrics import Scores

DATA = ShapesOptions(count=8, val_count=4, size=32)


def segment_options(run: Path | None, **changes) -> Segment:
    """A training of seconds."""
    given = {
        "epochs": 1, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0,
        "data": DATA, "augment": PairOptions(size=32), "head": LinearOptions(),
        "backbone": TimmOptions(name="test_resnet"), "probe": "none",
    }  # fmt: skip
    return Segment(run=run, **given | changes)


def trained(options: Segment) -> tuple[Scores, Path]:
    """The scores of the last validation, and the run."""
    with patch.object(segmenting, "print_scores", wraps=segmenting.print_scores) as printed:
        run = segment.run(options)
    return printed.call_args.args[0], run
