"""The help pages: short first, complete on demand, in any width."""

import re
import sys
from dataclasses import fields

import pytest

from twinsight.cli import main
from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS
from twinsight.options.describe import describe, every_option, first_line
from twinsight.options.help import HEADINGS, page

CHOSEN = [
    (command, kind, name)
    for command, cls in COMMANDS.items()
    if not command.startswith("look") or command == "look attention"
    for kind, table in choices_of(cls).items()
    for name in table
]


def shown(argv: str, capfd, monkeypatch, columns: int = 80) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit) as exit:
        main(argv.split())
    out, err = capfd.readouterr()
    assert (exit.value.code, err) == (0, "")
    return out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_every_line_fits_the_terminal(command, columns, capfd, monkeypatch):
    for flag in ("--help", "--help-all"):
        text = shown(f"{command} {flag}", capfd, monkeypatch, columns)
        assert not [line for line in text.splitlines() if len(line) > columns]
        assert "\033" not in text
        assert "\N{NO-BREAK SPACE}" not in text


def test_a_long_command_is_continued(capfd, monkeypatch):
    text = shown("--help", capfd, monkeypatch, 40)
    assert max(map(len, text.splitlines())) <= 40
    assert "  twinsight look features photos \\\n      --weights RUN\n" in text


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_two_screens(command, capfd, monkeypatch):
    assert len(shown(f"{command} --help", capfd, monkeypatch).splitlines()) <= 48


@pytest.mark.parametrize("command", COMMANDS)
def test_help_all_shows_every_option(command, capfd, monkeypatch):
    text = shown(f"{command} --help-all", capfd, monkeypatch)
    for option in describe(COMMANDS[command]):
        assert f"\n  {option.flag.upper() if option.positional else option.flag}" in text


@pytest.mark.parametrize(("command", "kind", "name"), CHOSEN)
def test_a_named_choice_shows_its_own_options(command, kind, name, capfd, monkeypatch):
    text = shown(f"{command} --{kind} {name} --help", capfd, monkeypatch)
    cls = choices_of(COMMANDS[command])[kind][name]
    for option in fields(cls):
        if option.name != "name":
            assert f"--{kind}.{option.name.replace('_', '-')}" in text


@pytest.mark.parametrize("command", ["pretrain", "segment", "evaluate", "look attention", "predict"])
def test_data_comes_first_and_output_last(command, capfd, monkeypatch):
    text = shown(f"{command} --help", capfd, monkeypatch)
    headings = [line for line in text.splitlines() if line in HEADINGS]
    assert headings[0].endswith(("model", "data", "images"))
    assert headings[-1] == "Output"
    if command in ("pretrain", "segment"):
        assert text.index("--data") < text.index("--epochs")


def test_bold_in_a_terminal_only(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\033[1mOutput\033[0m" in page(COMMANDS["pretrain"], "pretrain", {})
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in page(COMMANDS["pretrain"], "pretrain", {})


ELLIPTICAL = re.compile(r"^(Of|With|In|For|At) ")
OLD = re.compile(r"\b(goes without|mend|lest|amid|one a line|has not|dear|of it|so many|share of|told)\b")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained_in_plain_english(command):
    for option in every_option(COMMANDS[command]):
        assert option.help, option.flag
        assert option.help[0].isupper() or option.help.startswith(("cpu", "pca", "timm")), option.help
        assert option.help.endswith("."), option.help
        assert not OLD.search(option.help), option.help
        if option.flag not in ("--accumulate-exact",):
            assert not ELLIPTICAL.match(option.help), option.help
        assert option.group in HEADINGS or "." in option.flag, option.group
    assert first_line(COMMANDS[command]).endswith(".")


def test_examples_are_commands():
    for command, cls in COMMANDS.items():
        examples = [line.strip() for line in (cls.__doc__ or "").splitlines()[1:] if line.strip()]
        assert all(line.startswith(f"twinsight {command}") for line in examples), command
