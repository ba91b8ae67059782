"""Every option of every command is described: what help, documentation and signatures are made of."""

from dataclasses import fields, is_dataclass

import pytest
from every_number import CHOSEN, chosen

from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS, Evaluate, Pretrain, Segment
from twinsight.options.describe import REQUIRED, describe
from twinsight.options.heads import FcnOptions
from twinsight.options.marks import FLAT, notes
from twinsight.options.values import understand

CHOOSING = {f"{command} {choice}".strip(): (command, choice) for command, choice in CHOSEN}


def described(command: str, choice: str):
    options, cls = chosen(command, choice), COMMANDS[command]
    return describe(cls, {kind: type(getattr(options, kind)) for kind in choices_of(cls)})


def every_field(options, prefix=""):
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            yield from every_field(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


@pytest.mark.parametrize("case", CHOOSING)
def test_each_option_is_described_once(case):
    options = described(*CHOOSING[case])
    names = [option.name for option in options]
    assert sorted(names) == sorted(every_field(chosen(*CHOOSING[case])))
    assert len({option.flag for option in options}) == len(options)


@pytest.mark.parametrize("case", CHOOSING)
def test_a_default_is_written_as_the_command_line_takes_it(case):
    for option in described(*CHOOSING[case]):
        assert option.words
        if option.shown_default and not option.chooses and not option.repeated:
            assert understand(option.shown_default.split(), option.kind) == option.default, option.flag


def option(cls, flag, **choices):
    return next(option for option in describe(cls, choices) if option.flag == flag)


def test_what_is_told_of_an_option():
    epochs = option(Pretrain, "--epochs")
    assert (epochs.name, epochs.default, epochs.words, epochs.range) == (
        "epochs",
        "auto",
        "a whole number or auto",
        "1 or more",
    )
    assert (epochs.section, epochs.group) == ("", "Training")
    precision = option(Pretrain, "--precision")
    assert precision.choices == ("auto", "bf16", "fp16", "fp32")
    assert "bf16" in precision.help
    ema = option(Segment, "--ema")
    assert (ema.words, ema.range, ema.shown_default) == ("a number or none", "at least 0, below 1", "")
    channels = option(Segment, "--head.channels", head=FcnOptions)
    assert (channels.name, channels.section) == ("head.channels", "head")
    assert "convolution" in channels.group
    head = option(Segment, "--head")
    assert (head.name, head.default, head.chooses, head.choices[:2]) == (
        "head.name",
        "linear",
        True,
        ("linear", "setr-naive"),
    )
    run = option(Evaluate, "run")
    assert (run.positional, run.default) == (True, REQUIRED)
    assert option(Pretrain, "--resume").control


def test_help_of_an_option_that_a_command_changes_is_inherited():
    assert option(Segment, "--weight-decay").help == option(Pretrain, "--weight-decay").help
    assert option(Segment, "--lr").help != option(Pretrain, "--lr").help


def test_options_of_a_probe_have_no_prefix():
    cls = COMMANDS["look attention"]
    assert any(FLAT in notes(field.type) for field in fields(cls))
    assert option(cls, "--blocks").name == "probe.blocks"
