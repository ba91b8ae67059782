"""twinsight pretrain: a folder of images -> a self-supervised backbone."""

from pathlib import Path

from twinsight.assemble.checks import Checked, check_pretrain
from twinsight.console import loading
from twinsight.data.samples import Dataset
from twinsight.options.commands import Pretrain
from twinsight.options.methods.untrained import UntrainedOptions


def run(options: Pretrain) -> Path | None:
    """The run's directory, also of a resumed run that had ended; None for a dry run.

    Raises UserError for what cannot be, before anything is written, and KeyboardInterrupt after Ctrl-C.
    """
    return train(options, check_pretrain(options))  # all that needs no PyTorch, which takes seconds to load


def train(options: Pretrain, checked: Checked[Dataset]) -> Path | None:
    """As `run`, with options that have been checked."""
    loading("PyTorch and Lightning")
    from twinsight.assemble import pretraining, untrained

    if isinstance(options.method, UntrainedOptions):
        return untrained.write(options, checked)
    plan = pretraining.plan(options, checked)
    if plan.complete:
        return plan.run.folder
    parts = pretraining.build_parts(plan)
    if options.dry_run:
        return pretraining.show(parts)
    return pretraining.fit(parts)
