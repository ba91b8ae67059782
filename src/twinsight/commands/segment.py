"""twinsight segment: images with masks -> a segmenter, on a backbone that is frozen or fine-tuned."""

from pathlib import Path

from twinsight.assemble.checks import Checked, check_segment
from twinsight.console import loading
from twinsight.data.samples import Dataset
from twinsight.options.commands import Segment


def run(options: Segment) -> Path | None:
    """The run's directory, also of a resumed run that had ended; None for a dry run.

    Raises UserError for what cannot be, before anything is written, and KeyboardInterrupt after Ctrl-C.
    """
    return train(options, check_segment(options))  # all that needs no PyTorch, which takes seconds to load


def train(options: Segment, checked: Checked[tuple[Dataset, Dataset]]) -> Path | None:
    """As `run`, with options that have been checked."""
    loading("PyTorch and Lightning")
    from twinsight.assemble import segmenting

    plan = segmenting.plan(options, checked)
    if plan.complete:
        return plan.run.folder
    parts = segmenting.build_parts(plan)
    if options.dry_run:
        return segmenting.show(parts)
    return segmenting.fit(parts)
