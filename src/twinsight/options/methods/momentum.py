"""The momentum of teachers, which suits the length of the run."""

from twinsight.options.auto import Scale, Setting


def teacher_momentum(scale: Scale, paper: float = 0.996, batch: int = 1024) -> Setting:
    """A teacher that averages over a fiftieth of the run, and over no more images than the paper's.

    paper: its momentum with `batch` images an update; by default DINO's.
    """
    memory = min(max(scale.updates / 50, 25), max(1, batch / scale.batch) / (1 - paper))
    return Setting(round(1 - 1 / memory, 4), f"it averages over {memory:.0f} updates of {scale.updates}")
