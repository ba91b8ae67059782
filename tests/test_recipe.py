from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinsight.errors import UserError
from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS
from twinsight.options.config import dump, read
from twinsight.options.marks import CONTROL, notes
from twinsight.options.parse import from_keywords, parse
from twinsight.options.ranges import check_ranges


def values(kind: Any) -> st.SearchStrategy:
    """Anything of a field's type, awkward ones too."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return values(inner[0])
    if origin in (Union, UnionType):
        return st.one_of(*map(values, inner))
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        if inner[-1] is ...:
            return st.lists(values(inner[0]), max_size=3).map(tuple)
        return st.tuples(*map(values, inner))
    return {
        int: st.integers(-(10**6), 10**6),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        str: st.sampled_from(["x", "1", "null", "- a", "cross-entropy+0.5*dice", "yes", ""]),
        Path: st.sampled_from(
            [Path("-a"), Path("a b/c"), Path("--run"), Path("ü: #x"), Path("1/2")]
        ),  # 1 may be a number
        type(None): st.none(),
    }[kind]


CASES = [
    (command, kind, name)
    for command in ("pretrain", "segment", "data check")
    for kind, table in choices_of(COMMANDS[command]).items()
    for name in table
]


def rebuilt(options: Any, draw) -> Any:
    """The options with a random value of its type for each."""
    new = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            new[field.name] = rebuilt(value, draw)
        elif field.name != "name" and CONTROL not in notes(field.type):
            new[field.name] = draw(values(field.type))
    return replace(options, **new)


@pytest.mark.parametrize(("command", "kind", "name"), CASES)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_saved_options_reload(tmp_path_factory, command, kind, name, data):
    options = rebuilt(parse(COMMANDS[command], command, [f"--{kind}", name]), data.draw)
    file = tmp_path_factory.mktemp("recipe") / "config.yaml"
    file.write_text(dump(options, command), encoding="utf-8")
    with patch("twinsight.options.parse.check_ranges"):  # any number is drawn, large and small
        assert parse(COMMANDS[command], command, [], read(file, command), file) == options
        assert from_keywords(COMMANDS[command], command, read(file, command)) == options


def recipe(tmp_path: Path, text: str) -> str:
    (tmp_path / "a.yaml").write_text(text)
    return str(tmp_path / "a.yaml")


def segment(*argv: str) -> Any:
    return parse(COMMANDS["segment"], "segment", argv)


def test_flags_override_the_recipe(tmp_path):
    file = recipe(tmp_path, "epochs: 7\nlr: 1e-3\nhead: {name: setr-pup, channels: 64}\ndata: {count: 5}\n")
    options = segment("--epochs", "3", "--config", file, "--head.channels", "32")
    assert (options.epochs, options.lr, options.head.name, options.head.channels) == (3, 1e-3, "setr-pup", 32)
    assert options.data.count == 5


def test_short_form(tmp_path):
    options = segment("--config", recipe(tmp_path, "head: setr-pup\nbackbone: resnet50\n"))
    assert (options.head.name, options.head.channels, options.backbone.name) == ("setr-pup", 256, "resnet50")


def test_another_choice_drops_the_options_of_the_recipes(tmp_path):
    file = recipe(
        tmp_path, "head: {name: fcn, level: -2, channels: 64}\nbackbone: {name: resnet50, output_stride: 8}\n"
    )
    options = segment("--config", file, "--head", "unet", "--backbone", "resnet18")
    assert options.head.name == "unet"
    assert (options.backbone.name, options.backbone.output_stride) == ("resnet18", 8)  # both are timm's


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("epohcs: 3", "unknown key epohcs; did you mean epochs?"),
        ("head: {name: setr-pup, chanels: 3}", "unknown key head.chanels; did you mean head.channels?"),
        ("head: setr-pub", "--head setr-pub: unknown; did you mean setr-pup?"),
        ("epochs: three", "epochs must be a whole number, not 'three'"),
        ("epochs: [3]", "epochs must be a whole number"),
        ("epochs: null", "epochs must be a whole number"),
        ("epochs: 1.5", "epochs must be a whole number"),
        ("flip: 3", "flip must be true or false"),
        ("epochs: {a: 1}", "epochs must be a whole number"),
        ("augment: {scale: 3}", "augment.scale must be a list of 2, each a number, not 3"),
        ("augment: [3]", "augment needs options below it"),
        ("freeze: some", "freeze must be a whole number or one of all, auto, not"),
        ("precision: fp17", "precision must be one of auto, bf16, fp16, fp32"),
        ("head: [linear]", "--head"),
        ("run: here", "unknown key run; is for the command line alone: give --run there"),
        ("size: 96", "unknown key size; did you mean data.size or augment.size?"),
        ("method: dino", "unknown key method; belongs to `twinsight pretrain`, not to `twinsight segment`"),
        ("- epochs", "holds no options"),
        ("", "holds no options"),
        ("a: [", "is not valid YAML"),
        ("epochs: 3\nhead:\n  name: fcn\n  name: unet", "a.yaml: is not valid YAML; correct line 4: name occurs twice"),
        ("epochs: 3\nlr: 1\nepochs: 4", "line 3: epochs occurs twice"),
        ("lr: " + "9" * 500, "line 1: 99"),
        ("lr: 1" + "0" * 99, "--lr 1e+99: must be"),
        ("lr: .inf", "--lr inf: must be"),
        ("epochs: [" + "9, " * 9999 + "9]", "epochs must be a whole number, not [9, 9, 9, 9, 9, 9, ...]"),
        ("command: pretrain\nepochs: 3", "is for `twinsight pretrain`, not for `twinsight segment`"),
    ],
)
def test_bad_recipe(tmp_path, text, sentence):
    with pytest.raises(UserError) as error:
        segment("--config", recipe(tmp_path, text))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_recipes_are_merged_section_by_section(tmp_path):
    first = "epochs: 3\nhead: {channels: 64}\nbackbone: {output_stride: 8}\naugment: {size: 64}\n"
    second = "head: {name: setr-pup}\nbackbone: {name: resnet18}\naugment: {flip: 0.1}\nlr: 1.0\n"
    (tmp_path / "a.yaml").write_text(first)
    (tmp_path / "b.yaml").write_text(second)
    options = segment("--config", str(tmp_path / "a.yaml"), "--config", str(tmp_path / "b.yaml"))
    assert (options.epochs, options.lr, options.head.name, options.head.channels) == (3, 1.0, "setr-pup", 64)
    assert (options.backbone.name, options.backbone.output_stride) == ("resnet18", 8)
    assert (options.augment.size, options.augment.flip) == (64, 0.1)


def test_a_section_that_chooses_another_name_starts_anew(tmp_path):
    files = []
    for name, text in {
        "a": "head: {name: unet, channels: [9, 8, 7, 6]}",
        "b": "head: {name: fcn, level: -2}",
        "c": "head: unet",
    }.items():
        (tmp_path / name).write_text(text)
        files += ["--config", str(tmp_path / name)]
    assert segment(*files[:2]).head.channels == (9, 8, 7, 6)
    assert (segment(*files[:4]).head.channels, segment(*files[:4]).head.level) == (None, -2)
    assert segment(*files).head.channels == (256, 128, 64, 32)


def test_a_bad_key_is_blamed_on_its_own_file(tmp_path):
    (tmp_path / "a.yaml").write_text("epohcs: 3\n")
    (tmp_path / "b.yaml").write_text("epochs: 3\n")
    for first, second in (("a", "b"), ("b", "a")):
        with pytest.raises(UserError, match=r"--config .*/a\.yaml: unknown key epohcs; did you mean epochs\?"):
            segment("--config", str(tmp_path / f"{first}.yaml"), "--config", str(tmp_path / f"{second}.yaml"))


def test_a_bad_value_in_a_run_is_blamed_on_its_file(tmp_path):
    with pytest.raises(UserError, match=r"^runs/a/config\.yaml: epochs must be a whole number"):
        parse(COMMANDS["segment"], "segment", [], {"epochs": "x"}, "runs/a/config.yaml")


def test_missing_recipe(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        segment("--config", str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    "flags",
    ["--epochs 0", "--lr -1", "--layer-decay 0", "--ema 2", "--ema 1", "--swa 1", "--warmup-epochs 60", "--keep 0",
     "--augment.size 0", "--augment.flip 1.5", "--augment.scale 2 0.5", "--augment.scale 0 1", "--clip 0",
     "--batch-size 0", "--accumulate 0", "--val-every 0", "--max-minutes 0", "--label-smoothing 1.1", "--overlap 1",
     "--scales 1 0", "--head.dropout 1", "--class-weights 1 -1", "--early-stopping 0", "--augment.hue 0.6",
     "--momentum -0.1", "--seed -1", "--devices 0", "--log-every 0", "--window 0"],
)  # fmt: skip
def test_out_of_range(flags):
    with pytest.raises(UserError, match=flags.split()[0] + " .*: "):
        segment(*flags.split())


@pytest.mark.parametrize(
    "flags",
    ["--method.views.size 0", "--method.views.scale 1 0.5", "--method.views.scale 0.5 2",
     "--method.views.sigma 2 1", "--method.views.blur 0 2", "--method.projector 8 0"],
)  # fmt: skip
def test_out_of_range_views(flags):
    with pytest.raises(UserError, match=flags.split()[0] + " .*: "):
        parse(COMMANDS["pretrain"], "pretrain", flags.split())


@pytest.mark.parametrize(
    "command",
    sorted(
        COMMANDS.keys() - {"evaluate", "predict", "report", "data detect", "data convert", "data make", "completion"}
    ),
)
def test_defaults_are_in_range(command):
    check_ranges(COMMANDS[command]())
