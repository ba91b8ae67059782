"""What `import twinsight` costs and offers."""

import subprocess
import sys

import pytest

import twinsight

HEAVY = ("torch", "numpy", "cv2", "matplotlib", "lightning", "yaml", "rich")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_nothing_is_imported_until_it_is_asked_for():
    assert run(f"import sys, twinsight; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_bad_options_are_refused_before_torch_is_imported():
    code = """
import sys, twinsight
try:
    twinsight.pretrain("shapes", epochs=0)
except ValueError as error:
    print(type(error) is twinsight.UserError, error, "torch" in sys.modules)
"""
    assert run(code) == "True epochs=0: must be at least 1 False"


def test_every_public_name_is_there():
    assert dir(twinsight) == sorted([*twinsight.__all__, "__version__"])
    for name in twinsight.__all__:
        assert getattr(twinsight, name).__doc__, name
    with pytest.raises(AttributeError, match="has no attribute 'segmnt'"):
        twinsight.segmnt  # noqa: B018


def test_types_are_ours_to_check_by():
    assert run(
        "import twinsight; from pathlib import Path; print((Path(twinsight.__file__).parent / 'py.typed').exists())"
    )
