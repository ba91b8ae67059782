from pathlib import Path

import pytest
from segmenting_runs import segment_options

from twinsight.commands import segment


@pytest.fixture(scope="session")
def segmenter_run(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("segment") / "run"
    segment.run(segment_options(run, epochs=2, lr=1e-2, head_lr=1e-1))
    return run
