"""The code of README and of the pages in docs: each page's commands and Python run in their order, made small.

A block marked sh holds commands, one marked python is executed; blocks of other kinds are for reading.
"""

import contextlib
import os
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinsight.cli import main
from twinsight.options.commands import COMMANDS
from twinsight.options.methods import METHODS
from twinsight.options.parse import parse

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.M | re.S)
PAGES = {
    str(page.relative_to(ROOT)): BLOCK.findall(page.read_text(encoding="utf-8"))
    for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
}

TRAINING = "--batch-size 4 --workers 0 --probe none"
SMALL = {
    "pretrain": TRAINING,
    "segment": f"--augment.size 32 {TRAINING}",
    "evaluate": "--workers 0",
    "look": "--overwrite",
    "predict": "--overwrite",
    "report": "--overwrite",
    "barlow-twins": "--method.projector 8 8",
    "vicreg": "--method.projector 8 8",
    "simclr": "--method.projector 8 8",
    "lejepa": "--method.projector 8 8 --method.slices 8 --method.views.local-views 1 --method.views.local-size 32",
    "moco-v3": "--method.projector 8 8 --method.hidden 8",
    "byol": "--method.hidden 8 --method.dim 8",
    "simsiam": "--method.dim 8 --method.hidden 8",
    "swav": "--method.prototypes 8 --method.hidden 8 --method.views.local-views 1 --method.views.local-size 32",
    "dino": "--method.prototypes 16 --method.hidden 16 --method.views.local-views 1 --method.views.local-size 32",
    "ibot": "--method.prototypes 16 --method.hidden 16 --method.views.local-views 1 --method.views.local-size 32",
    "dinov2": "--method.prototypes 16 --method.hidden 16 --method.views.local-views 1 --method.views.local-size 32",
    "mae": "--method.decoder-width 16 --method.decoder-heads 2",
    "deeplabv3": "--head.channels 8 --head.rates 1 2",
    "eomt": "--head.queries 4 --head.blocks 2 --head.points 16",
}
"""What makes each command one of seconds."""

SMALLER = {"vit_small_patch16_224.dino": "random:test_vit", "vit_tiny_patch16_224": "test_vit", "--epochs": None}
"""Networks of seconds, and without a download, in place of those that the pages name."""

NOT_RUN = ("recipes/voc", *([] if find_spec("pytorch_metric_learning") else ["arcface", "angular"]))
"""What needs data that are downloaded, or a package that is not there."""


def commands(block):
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("twinsight ")]


LINES = [line for blocks in PAGES.values() for kind, block in blocks if kind == "sh" for line in commands(block)]


def named(words):
    """The command's name and its arguments."""
    count = 2 if words[0] in ("look", "data") else 1
    return " ".join(words[:count]), words[count:]


def small(words):
    """The same command on tiny networks and images, with nothing that it has before."""
    words = [SMALLER.get(word, word) or word for word in words]
    if "--time-budget" in words:
        del words[(place := words.index("--time-budget")) : place + 2]
    command, choices = words[0], set(words)
    if "--resume" in words:
        return [*words, "--workers", "0", "--probe", "none"]
    if command == "pretrain":
        if not choices & METHODS.keys():
            choices.add("barlow-twins")
        words += ["--epochs", "1", *([] if "none" in choices else ["--method.views.size", "32"])]
    elif command == "segment":
        words += ["--epochs", "1"]
    for name, flags in SMALL.items():
        if name == command or (name in choices and command in ("pretrain", "segment")):
            words += shlex.split(flags)
    return words


def test_blocks_are_found():
    assert len(LINES) > 60
    assert {shlex.split(line)[1] for line in LINES} >= {"pretrain", "segment", "evaluate", "predict", "look", "report"}


@pytest.mark.parametrize("line", dict.fromkeys(LINES))
def test_the_line_is_understood(line, monkeypatch, world):
    monkeypatch.chdir(ROOT if "recipes/" in line else world)
    name, argv = named(shlex.split(line, comments=True)[1:])
    if "--resume" not in argv:
        parse(COMMANDS[name], name, argv)


def draw(folder):
    """Photographs, images with masks and images in folders by class, as the pages say they lie."""
    rng = np.random.default_rng(0)
    for i in range(16):
        for name in (f"photos/{i}.jpg", f"images/street/{i}.jpg", f"animals/{'cat' if i % 2 else 'dog'}/{i}.jpg"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(folder / name)
        mask = folder / f"masks/street/{i}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 3, (40, 48), np.uint8)).save(mask)
    (folder / "masks/classes.txt").write_text("background\nroad\ncar\n")


def run(line):
    words = small(shlex.split(line, comments=True)[1:])
    if "--run" in words:  # the world has one of that name already
        shutil.rmtree(words[words.index("--run") + 1], ignore_errors=True)
    with pytest.raises(SystemExit) as exit:
        main(words)
    assert not exit.value.code, line


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with data and with the runs that the quick start makes."""
    folder = tmp_path_factory.mktemp("world")
    draw(folder)
    with contextlib.chdir(folder):
        for kind, block in PAGES["docs/quickstart.md"]:
            for line in commands(block) if kind == "sh" else ():
                if "--run" in line:
                    run(line)
    return folder


def copy(source, target):
    """Weights, hundreds of megabytes, are linked: twinsight replaces such files and never writes into them."""
    (os.link if Path(source).suffix in (".ckpt", ".safetensors") else shutil.copy2)(source, target)


@pytest.mark.parametrize("page", [page for page, blocks in PAGES.items() if blocks])
def test_the_page_runs(page, world, tmp_path, monkeypatch):
    shutil.copytree(world, tmp_path, dirs_exist_ok=True, copy_function=copy)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for kind, block in PAGES[page]:
        if kind == "python":
            exec(compile(block, page, "exec"), names)
            continue
        for line in commands(block):
            if not any(part in line for part in NOT_RUN):
                run(line)
