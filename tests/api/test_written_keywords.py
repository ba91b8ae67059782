"""The keywords of the Python functions are the options of the commands."""

import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

from twinsight.api import keywords

ROOT = Path(__file__).parents[2]


def test_they_are_what_make_stubs_writes():
    line = [sys.executable, str(ROOT / "tools/write_keywords.py"), "--print"]
    written = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    assert Path(keywords.__file__).read_text() == written, "options have changed: run make stubs"


def test_editors_can_read_them():
    for name in ("PretrainKeywords", "SegmentKeywords", "EvaluateKeywords", "PredictKeywords", "LookKeywords"):
        hints = get_type_hints(getattr(keywords, name))
        assert len(hints) > 5
        assert "data" not in hints
