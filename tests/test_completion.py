"""Tab completion, in the real shells where they are installed."""

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from twinsight.backbones.hub import PROJECTS
from twinsight.completion.script import OFFICIAL, script, table
from twinsight.options.commands import COMMANDS
from twinsight.options.data import DATA
from twinsight.options.heads import HEADS
from twinsight.options.methods import METHODS
from twinsight.options.probes import PROBES

SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"))
    for name in ("bash", "zsh", "fish")
]

ASK = {
    "bash": """
        source .script
        while IFS= read -r line; do
            read -ra COMP_WORDS <<< "${line/=/ = }"
            [[ $line == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _twinsight 2>/dev/null
            printf "%s\\n" "${COMPREPLY[@]}" ---
        done
    """,
    "fish": """
        source .script
        while read -l line
            complete --do-complete $line
            echo ---
        end
    """,
}
"""Reads lines, and prints what may follow each, with --- after it."""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where completion runs: a folder of photographs, a recipe and a head of one's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("mine.py", "mine.yaml", "photo.jpg"):
        (tmp_path / name).touch()
    return tmp_path


def complete(shell: str, lines: Iterable[str], folder: Path) -> dict[str, set[str]]:
    """What the shell offers after each line."""
    (folder / ".script").write_text(script(shell))
    typed = "".join(f"{line}\n" for line in lines)
    answers = subprocess.run([shell, "-c", ASK[shell]], input=typed, capture_output=True, text=True, check=True)
    offered = answers.stdout.split("---\n")
    return {
        line: {row.partition("\t")[0].rstrip("/") for row in each.splitlines()} for line, each in zip(lines, offered)
    }


def complete_in_zsh(line: str, folder: Path) -> list[str]:
    """zsh completes in a terminal only: type the line and Tab there, and read what is listed."""
    (folder / ".zshrc").write_text("PS1='> '; autoload -U compinit; compinit -u -D; unsetopt beep; LISTMAX=9999\n"
                                   "zstyle ':completion:*' menu no; zstyle ':completion:*' verbose no\n"
                                   "zstyle ':completion:*' list-separator '#'; source .script\n")  # fmt: skip
    process, terminal = pty.fork()
    if process == 0:
        environment = {"ZDOTDIR": str(folder), "PATH": os.environ["PATH"], "TERM": "dumb"}
        os.execvpe("zsh", ["zsh", "-i"], environment)
    try:
        until(terminal, "> ")
        os.write(terminal, f"{line}\t".encode())
        shown = until(terminal, None)
        os.write(terminal, b"\t")
        return (shown + until(terminal, None)).replace(line, "", 1).split()
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def until(terminal: int, text: str | None, silence: float = 1.5) -> str:
    """What the terminal shows, until a text comes or nothing does any more."""
    shown, end = "", time.monotonic() + 20
    while time.monotonic() < end and (text is None or text not in shown):
        ready, _, _ = select.select([terminal], [], [], 20 if not shown and text else silence)
        if not ready:
            break
        shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_valid(shell, folder):
    (folder / "script").write_text(script(shell))
    assert subprocess.run([shell, "-n", "script"], capture_output=True, text=True).stderr == ""


CASES = {
    "twinsight ": ({"pretrain", "look", "data", "completion"}, {"attention", "--epochs"}),
    "twinsight pre": ({"pretrain", "predict"}, {"segment"}),
    "twinsight look ": (set(PROBES), {"pretrain"}),
    "twinsight data ": ({"list", "check", "show", "make"}, {"pretrain"}),
    "twinsight pretrain --method ": ({*METHODS, "mine.py"}, {"mine.yaml", "linear"}),
    "twinsight segment --head ": ({*HEADS, "mine.py"}, {"mine.yaml"}),
    "twinsight segment --head deep": ({"deeplabv3"}, {"linear"}),
    "twinsight pretrain --data ": ({*DATA, "photos"}, {"dino"}),
    "twinsight pretrain ph": ({"photos", "photo.jpg"}, {"shapes"}),
    "twinsight segment --epochs 3 sha": ({"shapes"}, {"voc"}),
    "twinsight pretrain --config ": ({"mine.yaml"}, {"mine.py"}),
    "twinsight segment --head deeplabv3 --head.": ({"--head.rates", "--head.channels"}, {"--head.levels"}),
    "twinsight segment --head linear --head.": ({"--head.levels"}, {"--head.rates"}),
    "twinsight segment --loss cross-entropy+0.5*d": ({"cross-entropy+0.5*dice"}, {"cross-entropy+0.5*focal"}),
    "twinsight evaluate runs --probe attention,p": ({"attention,patches"}, {"attention,knn"}),
    "twinsight pretrain --epochs 3 --prec": ({"--precision"}, {"--epochs"}),
    "twinsight pretrain --precision ": ({"auto", "bf16", "fp16", "fp32"}, {"photos"}),
    "twinsight look attention --weights dino_vits": ({"dino_vits16", "dino_vits8"}, {"photos"}),
    "twinsight look attention --que": ({"--query"}, {"--weights"}),
    "twinsight look attention --weights a ph": ({"photos", "photo.jpg"}, {"mine.py"}),
}


@pytest.mark.parametrize("shell", SHELLS[::2])
def test_what_is_offered(shell, folder):
    offered = complete(shell, [*CASES, "twinsight segment --head=un"], folder)
    for line, (wanted, unwanted) in CASES.items():
        assert wanted <= offered[line], line
        assert not unwanted & offered[line], line
    assert {word.removeprefix("--head=") for word in offered["twinsight segment --head=un"]} == {"unet"}


@pytest.mark.parametrize("shell", SHELLS[1:2])
@pytest.mark.parametrize("line", ["twinsight look ", "twinsight segment --head "])
def test_what_zsh_offers(shell, line, folder):
    (folder / ".script").write_text(script("zsh"))
    shown = complete_in_zsh(line, folder)
    wanted, _ = CASES[line]
    assert all(any(name in word for word in shown) for name in wanted), shown


def test_the_table_has_every_command_and_option():
    rows = [row.split("\t") for row in table()]
    assert all(len(row) == 6 for row in rows)
    names = {f"{row[0]} {row[1]}".strip() for row in rows}
    assert {*COMMANDS, "look", "data", "pretrain --data.root", "segment --head.rates", "look * --out"} <= names


def test_names_that_need_torch_are_repeated_right():
    assert set(OFFICIAL.split()) == set(PROJECTS)
