"""How a training in other processes ends for the caller."""

import pytest

from twinsight.api import launch
from twinsight.errors import UserError
from twinsight.options.commands import Pretrain


@pytest.mark.parametrize(
    ("code", "error"),
    [(2, UserError), (130, KeyboardInterrupt), (143, KeyboardInterrupt), (1, RuntimeError), (-9, RuntimeError)],
)
def test_each_end_has_its_error(tmp_path, monkeypatch, code, error):
    """A crash is not an interruption: whoever catches KeyboardInterrupt would believe that the run is saved."""
    ended = tmp_path / "python"
    end = f"exit {code}" if code >= 0 else f"kill {code} $$"
    ended.write_text(f"#!/bin/sh\necho 'twinsight: error: said last' >&2\n{end}\n")
    ended.chmod(0o755)
    monkeypatch.setattr(launch.sys, "executable", str(ended))
    with pytest.raises(error, match="said last"):
        launch.in_others(Pretrain(), "pretrain", tmp_path / "run")
