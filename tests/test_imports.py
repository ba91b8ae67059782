"""Imports point one way."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import twinsight

ROOT = Path(twinsight.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

FREE = {"errors", "files", "plain", "quantities"}
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "plain": {"errors"},
    "quantities": set(),
    "device": FREE,
    "layers": FREE,
    "options": FREE | {"options", "ours", "data.exports.survey"},
    "console": {"errors"},
    "environment": set(),
    "ours": FREE,
    "outputs": FREE | {"ours"},
    "runs": FREE | {"runs", "console", "environment", "ours", "options"},
    "data": FREE | {"data", "ours"},
    "backbones": FREE | {"backbones", "layers"},
    "heads": FREE | {"heads", "backbones", "layers"},
    "methods": FREE | {"methods", "backbones", "layers", "data.views"},
    "segmentation": FREE | {"segmentation", "backbones", "heads.head", "console"},
    "probes": FREE | {"probes", "backbones", "layers", "data", "segmentation.metrics", "methods.method"},
    "training": FREE | {"training", "device", "data", "backbones", "heads", "methods", "probes", "layers",
                        "segmentation", "runs", "console"},
    "report": FREE | {"report", "runs", "options", "console", "probes", "segmentation", "training", "ours"},
    "assemble": FREE | {"assemble", "options", "runs", "console", "device", "outputs", "ours", "data", "backbones",
                        "heads", "methods", "segmentation", "probes", "training", "report"},
    "judging": FREE | {"judging", "assemble", "options", "console", "device", "data", "backbones", "segmentation",
                       "probes"},
    "cli": {"errors", "console", "dispatch"},
    "completion": {"options"},
    "dispatch": FREE | {"options", "console", "ours"},
    "api": FREE | {"api", "assemble", "commands", "console", "data", "device", "options", "ours", "backbones",
                   "judging", "probes", "runs", "segmentation"},
    "__main__": {"cli"},
    "__init__": {"api", "errors", "probes"},
}  # fmt: skip
LIGHT = [
    *(ROOT / f"{name}.py" for name in (
        "cli", "dispatch", "ours", "outputs", "console", "errors", "files", "plain", "environment",
        "assemble/checks", "assemble/looks", "assemble/looked", "assemble/measured", "assemble/networks",
        *(f"commands/{name}" for name in ("evaluate", "look", "predict", "pretrain", "segment", "weights")),
    )),
    *(file for folder in ("options", "runs") for file in sorted((ROOT / folder).rglob("*.py"))),
]  # fmt: skip

GENERATED = {"api/keywords.py"}
"""Written by `make stubs`: a list, one entry per option, that may be longer than 250 lines."""
HEAVY = {"torch", "lightning", "timm", "torchvision", "cv2", "numpy", "matplotlib"}


def imported(file: Path) -> set[str]:
    """Modules that a file imports anywhere, functions included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_one_way(file):
    part = file.relative_to(ROOT).parts[0].removesuffix(".py")
    ours = {name.removeprefix("twinsight.") for name in imported(file) if name.startswith("twinsight.")} - {
        "__version__"
    }
    if part == "commands":
        assert not any(name.split(".")[0] == "cli" for name in ours)
        return
    for name in ours:
        allowed = any(f"{name}.".startswith(f"{target}.") for target in MAY_IMPORT[part])
        assert allowed, f"{part} must not import {name}"


def test_no_circle_among_files():
    """Imports within functions and for the type checker count too."""
    names = {file: ".".join(file.relative_to(ROOT.parent).with_suffix("").parts) for file in FILES}
    graph = {
        names[file]: {ours for name in imported(file) for ours in names.values() if f"{name}.".startswith(f"{ours}.")}
        - {"twinsight.__init__", names[file]}
        for file in FILES
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_short():
    long = {str(file.relative_to(ROOT)): n for file in FILES if (n := len(file.read_text().splitlines())) > 250}
    assert not long.keys() - GENERATED, long


@pytest.mark.parametrize("file", LIGHT, ids=lambda file: str(file.relative_to(ROOT)))
def test_light(file):
    assert not {module.split(".")[0] for module in imported(file)} & HEAVY


def test_timm_comes_without_what_it_does_not_need():
    here = ROOT / "backbones" / "light_timm.py"
    for file in set(FILES) - {here}:
        assert not any(name.split(".")[0] == "timm" for name in imported(file)), f"{file}: import timm from {here}"
