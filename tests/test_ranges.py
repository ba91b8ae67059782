"""Every number that an option takes has a range, which holds whoever starts a command."""

from dataclasses import replace
from importlib import import_module
from math import inf, nan
from typing import Any

import pytest
from every_number import CHOSEN, changed, chosen, every_number

from twinsight.assemble import checks
from twinsight.errors import UserError
from twinsight.options.commands import COMMANDS, Pretrain, Segment
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.parse import parse
from twinsight.options.ranges import Range, check_ranges


def put(pattern: Any, number: float) -> Any:
    return number if pattern is ... else tuple(number if part is ... else part for part in pattern)


@pytest.mark.parametrize(("command", "choice"), CHOSEN)
def test_every_number_has_a_range(command, choice):
    options = chosen(command, choice)
    check_ranges(options)
    for path, flag, pattern, ranged in every_number(options):
        assert ranged is not None, f"{path}: write a range at its type, as twinsight.options.ranges has them"
        outside = [inf, -inf, nan, ranged.least - 1, ranged.most + 1]
        for number in outside + [ranged.least] * ranged.above + [ranged.most] * ranged.below:
            with pytest.raises(UserError, match=rf"^{flag} .*: must be {ranged.demand(number)}$"):
                check_ranges(changed(options, path, put(pattern, number)))


@pytest.mark.parametrize(
    ("ranged", "number", "words"),
    [
        (Range(1, 10), 0, "at least 1 and at most 10"),
        (Range(0, 10**6, above=True), 0, "above 0"),
        (Range(0, 10**6, above=True), inf, "at most 1000000"),
        (Range(0, 1, below=True), 1, "at least 0 and below 1"),
        (Range(0, 2**32 - 1), -1, "at least 0"),
    ],
)
def test_only_bounds_that_matter_are_named(ranged, number, words):
    assert ranged.demand(number) == words


@pytest.mark.parametrize(
    ("command", "flags", "sentence"),
    [
        ("pretrain", "--lr inf", "--lr inf: must be at most 1000000"),
        ("pretrain", "--data.objects -3", "--data.objects -3: must be at least 1 and at most 100"),
        ("pretrain", "--data.crowding 7", "--data.crowding 7.0: must be at least 0 and at most 1"),
        ("pretrain", "--seed 4294967296", "--seed 4294967296: must be at most 4294967295"),
        ("look erf", "--count 0", "--count 0: must be at least 1"),
        ("segment", "--data.count 10000000000000", "--data.count 10000000000000: must be at most 10000000"),
    ],
)
def test_the_option_is_named_as_it_was_given(command, flags, sentence):
    with pytest.raises(UserError) as error:
        parse(COMMANDS[command], command, flags.split())
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    "options",
    [Pretrain(epochs=0), Pretrain(lr=-1.0), Pretrain(batch_size=0), Segment(epochs=0), Segment(head_lr=nan),
     Pretrain(method=replace(Pretrain().method, views=TwoViewsOptions(scale=(1.0, 0.5))))],
)  # fmt: skip
def test_ranges_hold_for_python_too(options):
    module = import_module(f"twinsight.commands.{type(options).__name__.lower()}")
    with pytest.raises(UserError, match="--"):
        module.run(options)


@pytest.mark.parametrize("command", [command for command in COMMANDS if list(every_number(chosen(command, "")))])
def test_each_command_checks_its_ranges_first(command, monkeypatch):
    class Checked(Exception):
        pass

    def stop(options: Any) -> None:
        raise Checked

    module, _, word = command.partition(" ")
    imported = import_module(f"twinsight.commands.{module}")
    checking = checks if module in ("pretrain", "segment") else imported
    monkeypatch.setattr(checking, "check_ranges", stop)
    with pytest.raises(Checked):
        getattr(imported, f"{word}_data" if module == "data" else "run")(chosen(command, ""))
