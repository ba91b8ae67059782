"""What the tests of formats share: the annotation tools themselves, and the count of pixels that docs/data.md prints.

The tools write in a Python of their own, .venv-tools (`make test`).
"""

import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
WRITERS = Path(__file__).parent / "exports" / "writers"
PYTHON = os.environ.get("TWINSIGHT_TOOLS")
INSTALLED = ROOT / ".venv-tools" / "bin" / "python"


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


@pytest.fixture(scope="session")
def compare() -> Callable[..., None]:
    """Compares pairs of a mask and its truth, pixel for pixel, and holds a line of the table in docs/data.md to it.

    tool: what wrote the masks, with its version.
    """
    page = (ROOT / "docs" / "data.md").read_text()

    def compare(form: str, tool: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        images = pixels = wrong = 0
        for mask, truth in pairs:
            assert mask.shape == truth.shape
            images, pixels = images + 1, pixels + mask.size
            wrong += int((mask != truth).sum())
        line = f"| {form} | {tool} | {images} | {pixels:,} | {wrong} |"
        assert wrong == 0, line
        assert line in page, f"docs/data.md lacks the line {line}"

    return compare


@pytest.fixture(scope="session")
def by_hand() -> str:
    """What stands in the table for a tool where none wrote the masks."""
    return "built by hand to the published layout"
