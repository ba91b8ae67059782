"""Options from Python: the same dataclass, checks and sentences as from the command line."""

from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np
import pytest

from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import COMMANDS, Evaluate, Predict, Pretrain, Segment
from twinsight.options.heads import DeepLabV3Options
from twinsight.options.parse import from_keywords, parse


def segment(**keywords):
    return from_keywords(Segment, "segment", keywords)


def test_nothing_is_the_defaults():
    assert segment() == Segment() == parse(Segment, "segment", [])


@pytest.mark.parametrize(
    "head",
    [
        {"name": "deeplabv3", "channels": 128},
        {"channels": 128, "name": "deeplabv3"},
        DeepLabV3Options(channels=128),
    ],
)
def test_a_choice_with_options(head):
    want = parse(Segment, "segment", ["--head", "deeplabv3", "--head.channels", "128", "--epochs", "3"])
    assert segment(head=head, epochs=3) == want


def test_a_choice_by_its_name():
    assert segment(head="deeplabv3").head == DeepLabV3Options()
    assert segment(backbone="resnet50").backbone == TimmOptions(name="resnet50")


def test_a_method_within_its_views():
    given = {"name": "dino", "views": {"local_views": 2, "scale": [0.5, 1]}}
    views = from_keywords(Pretrain, "pretrain", {"method": given}).method.views
    assert (views.local_views, views.scale, views.size) == (2, (0.5, 1.0), "auto")


@pytest.mark.parametrize("path", ["a/b", Path("a/b"), PurePosixPath("a/b"), SimpleNamespace(__fspath__=lambda: "a/b")])
def test_paths(path):
    if isinstance(path, SimpleNamespace):
        path = type("Place", (), {"__fspath__": lambda self: "a/b"})()
    assert segment(run=path, weights=path).run == Path("a/b")
    assert segment(data={"name": "folder", "root": path}).data.root == Path("a/b")
    assert from_keywords(Predict, "predict", {"run": path, "images": [path, "c"]}).images == (Path("a/b"), Path("c"))


def test_numbers_of_every_kind():
    options = segment(epochs=np.int64(3), lr=np.float32(0.5), weight_decay=[0, 1], scales=(1, 2), class_weights=None)
    assert (options.epochs, options.lr, options.weight_decay) == (3, 0.5, (0.0, 1.0))
    assert (options.scales, options.class_weights) == ((1.0, 2.0), None)
    assert (type(options.epochs), type(options.lr)) == (int, float)


def test_options_of_a_probe_stand_beside_those_of_look():
    look = COMMANDS["look attention"]
    options = from_keywords(look, "look attention", {"blocks": [-1, 0], "size": 96, "weights": ["runs/a"]})
    assert (options.probe.blocks, options.size, options.weights) == ((-1, 0), 96, ("runs/a",))
    assert options == parse(look, "look attention", ["--blocks", "-1", "0", "--size", "96", "--weights", "runs/a"])


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"epohcs": 3}, "--epohcs: no such option; did you mean --epochs?"),
        ({"batchsize": 3}, "--batchsize: no such option; did you mean --batch-size?"),
        ({"batch_size": 0}, "--batch-size 0: must be at least 1"),
        ({"epochs": 2.5}, "--epochs: must be a whole number, not 2.5"),
        ({"epochs": True}, "--epochs: must be a whole number, not True"),
        ({"flip": 1}, "--flip: must be true or false, not 1"),
        ({"precision": "fp17"}, "--precision: must be one of auto, bf16, fp16, fp32, not 'fp17'"),
        ({"head": "fnc"}, "--head fnc: unknown; did you mean fcn?"),
        ({"head": {"name": "fcn", "chanels": 3}}, "--head.chanels: no such option; did you mean --head.channels?"),
        ({"head": DeepLabV3Options(channels=0)}, "--head.channels 0: must be at least 1"),
        ({"augment": 3}, "--augment: needs options below it, not 3"),
        ({"augment": {"scale": [2, 1]}}, "--augment.scale 2.0 1.0: the smaller comes first"),
        ({"warmup_epochs": 9, "epochs": 3}, "--warmup-epochs 9.0: is more than --epochs 3"),
        ({"run": 3}, "--run: must be a path or none, not 3"),
    ],
)
def test_what_is_wrong_is_said_as_on_the_command_line(keywords, sentence):
    with pytest.raises(UserError) as error:
        segment(**keywords)
    assert str(error.value).startswith(sentence)


def test_what_has_no_default_is_asked_for():
    with pytest.raises(UserError, match=r"^RUN: is missing"):
        from_keywords(Evaluate, "evaluate", {})
