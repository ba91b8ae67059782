"""Annotation tools themselves write what the tests read: each in a Python of its own, .venv-tools (`make test`)."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

WRITERS = Path(__file__).parent / "writers"
PYTHON = os.environ.get("TWINSIGHT_TOOLS")
INSTALLED = Path(__file__).parents[3] / ".venv-tools" / "bin" / "python"


@pytest.fixture(scope="session")
def tool() -> Callable[..., None]:
    """Runs a writer with the tools' Python; skips where there is none, and fails where it, or the tool, fails."""
    if PYTHON is None and not INSTALLED.exists():
        pytest.skip("the annotation tools are not installed: run `make .venv-tools/.ready`, or set TWINSIGHT_TOOLS")

    def run(writer: str, *arguments: object) -> None:
        command = [PYTHON or str(INSTALLED), str(WRITERS / writer), *map(str, arguments)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]

    return run
