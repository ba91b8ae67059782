"""Each command of README's code blocks is understood, and those that need no download are run, in their order."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinsight.cli import main
from twinsight.options.commands import COMMANDS
from twinsight.options.parse import parse

ROOT = Path(__file__).parents[1]

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
LINES = [
    line.partition(" #")[0].replace(" ...", "").strip()
    for language, block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if not language and line.startswith("twinsight ")
]

SMALL = {
    "pretrain": "--method.projector 8 8 --method.views.size 32 --backbone.channels 8 8 8 8 --backbone.stem-width 8 "
    "--batch-size 2 --epochs 1 --workers 0 --probe none",
    "segment": "--backbone.channels 8 8 8 8 --backbone.stem-width 8 --head.channels 8 --head.rates 1 2 "
    "--augment.size 32 --batch-size 4 --epochs 1 --workers 0 --probe none",
    "evaluate": "--workers 0",
    "data": "",
    "predict": "",
    "look": "--overwrite",
    "report": "",
}
"""What makes each command one of seconds."""

SMALLER = {"random:resnet50": "random:test_resnet", "vit_small_patch16_224.dino": "random:test_vit"}
"""Networks of seconds, and without a download, in place of those that README names."""

NOT_RUN = ("--data.download", "--config recipes/voc", "--attention.", "--probe features@5")
"""Those that download, or end in "..." and mean a network of minutes."""


def command(line: str) -> tuple[str, list[str]]:
    """The command's name and its arguments."""
    words = shlex.split(line)[1:]
    name = " ".join(words[:2]) if words[0] in ("look", "data") else words[0]
    return name, words[len(name.split()) :]


def test_they_are_found():
    assert len(LINES) > 15
    assert {command(line)[0].split()[0] for line in LINES} >= SMALL.keys() - {"data"}


@pytest.mark.parametrize("line", LINES)
def test_it_is_understood(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    name, argv = command(line)
    parse(COMMANDS[name], name, argv)


def draw(folder: Path) -> None:
    """Photographs, and images with masks, as README says they lie."""
    rng = np.random.default_rng(0)
    for i in range(24):
        for name in (f"photos/{i}.jpg", f"images/street/{i}.jpg", f"animals/{'cat' if i % 2 else 'dog'}/{i}.jpg"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(folder / name)
        mask = folder / f"masks/street/{i}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 3, (40, 48), np.uint8)).save(mask)
    (folder / "masks/classes.txt").write_text("background\nroad\ncar\n")


def test_they_run_in_their_order(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    draw(tmp_path)
    ran = 0
    for line in LINES:
        if any(part in line for part in NOT_RUN):
            continue
        words = [SMALLER.get(word, word) for word in shlex.split(line)[1:]]
        words += shlex.split(SMALL[words[0]])
        for run in ("linear", "deeplab"):  # README's two segmenters are as good as the one that it trains
            if f"runs/{run}" in words and not Path("runs", run).exists():
                shutil.copytree("runs/streets", f"runs/{run}")
        with pytest.raises(SystemExit) as exit:
            main(words)
        assert not exit.value.code, f"{line}\n{capfd.readouterr().err[-2000:]}"
        ran += 1
    assert ran >= 10
    assert {path.name for path in Path("predictions").iterdir()} >= {"0.png", "0.overlay.jpg"}
