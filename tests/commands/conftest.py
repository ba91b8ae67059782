from pathlib import Path

import pytest

from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Segment
from twinsight.options.data import PairOptions, ShapesOptions
from twinsight.options.heads import LinearOptions

DATA = ShapesOptions(count=8, val_count=4, size=32)


def segment_options(run: Path | None, **changes) -> Segment:
    """A training of seconds."""
    given = {
        "epochs": 1, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0,
        "data": DATA, "augment": PairOptions(size=32), "head": LinearOptions(),
        "backbone": TimmOptions(name="test_resnet"), "probe": "none",
    }  # fmt: skip
    return Segment(run=run, **given | changes)


@pytest.fixture(scope="session")
def segmenter_run(tmp_path_factory) -> Path:
    from twinsight.commands import segment

    run = tmp_path_factory.mktemp("segment") / "run"
    segment.run(segment_options(run, epochs=2, lr=1e-2, head_lr=1e-1))
    return run
