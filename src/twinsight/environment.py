"""The machine, the versions and the command of a run."""

import os
import platform
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "twinsight",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "numpy",
    "opencv-python-headless",
    "pillow",
)


def environment() -> str:
    """What is needed to repeat a run elsewhere, one fact per line."""

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    facts = {
        "command": shlex.join(["twinsight", *sys.argv[1:]]),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        **{package: installed(package) for package in PACKAGES},
    }
    return "".join(f"{name}: {value}\n" for name, value in facts.items())
