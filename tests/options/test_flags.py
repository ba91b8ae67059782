"""Words of a command line."""

from pathlib import Path

import pytest

from twinsight.errors import UserError
from twinsight.options.commands import COMMANDS, Predict, Pretrain, Segment
from twinsight.options.look import Look
from twinsight.options.parse import parse

ATTENTION = COMMANDS["look attention"]


def segment(words: str):
    return parse(Segment, "segment", words.split())


@pytest.mark.parametrize(
    ("words", "value"),
    [("", "auto"), ("--method.batch-norm", True), ("--method.no-batch-norm", False),
     ("--method.batch-norm false", False), ("--method.batch-norm=auto", "auto"), ("--method.batch-norm auto", "auto"),
     ("--method.batch-norm --seed 3", True)],
)  # fmt: skip
def test_a_switch_with_auto(words, value):
    assert parse(Pretrain, "pretrain", ["shapes", "--method", "dino", *words.split()]).method.batch_norm == value
    assert parse(Pretrain, "pretrain", ["--method", "dino", *words.split(), "shapes"]).method.batch_norm == value


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--epochs 3", "epochs", 3),
        ("--epochs=3", "epochs", 3),
        ("--batch_size 3", "batch_size", 3),
        ("--epochs 3 --epochs 4", "epochs", 4),
        ("--flip", "flip", True),
        ("--flip --no-flip", "flip", False),
        ("--flip=false", "flip", False),
        ("--flip true", "flip", "refused"),
        ("--window 32 --window none", "window", None),
        ("--weight-decay 0.1", "weight_decay", 0.1),
        ("--weight-decay 0.1 1", "weight_decay", (0.1, 1.0)),
        ("--scales 1 2 .5", "scales", (1.0, 2.0, 0.5)),
        ("--class-weights 1 2 --flip", "class_weights", (1.0, 2.0)),
        ("--class-weights None", "class_weights", None),
        ("--freeze all", "freeze", "all"),
        ("--freeze 2", "freeze", 2),
        ("--log", "log", ()),
        ("--log wandb tensorboard", "log", ("wandb", "tensorboard")),
        ("--run=-a", "run", Path("-a")),
        ("--lr 1e-3", "lr", 1e-3),
    ],
)
def test_a_flag_and_its_value(words, name, value):
    if value == "refused":
        with pytest.raises(UserError, match=r"^--data true: unknown"):
            segment(words)
    else:
        assert getattr(segment(words), name) == value


def test_a_negative_number_is_no_flag():
    assert segment("--head fcn --head.level -2").head.level == -2
    assert segment("--head.levels -1 -2").head.levels == (-1, -2)


def test_switches_of_a_section():
    base = ["--data", "voc", "--data.download"]
    assert parse(Segment, "segment", base).data.download
    assert not parse(Segment, "segment", [*base, "--data.no-download"]).data.download


def test_words_without_a_flag():
    options = parse(Predict, "predict", ["run", "--overwrite", "a.png", "--out", "out", "b", "c"])
    assert (options.run, options.images) == (Path("run"), (Path("a.png"), Path("b"), Path("c")))
    options = parse(
        ATTENTION, "look attention", ["--weights", "a", "--at", "0.5", "0.5", "photo.jpg", "--weights", "b"]
    )
    assert (options.weights, options.probe.at, options.images) == (("a", "b"), (0.5, 0.5), (Path("photo.jpg"),))
    options = parse(Predict, "predict", ["run", "--", "-odd-.png"])
    assert options.images == (Path("-odd-.png"),)


def test_a_list_ends_where_words_are_no_longer_of_its_kind():
    options = parse(ATTENTION, "look attention", ["--weights", "a", "--blocks", "0", "-1", "photo.jpg"])
    assert (options.probe.blocks, options.images) == ((0, -1), (Path("photo.jpg"),))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--epohcs 3", "--epohcs: no such option; did you mean --epochs?"),
        ("--hlep", "--hlep: no such option; did you mean --help?"),
        ("--zzzz 3", "--zzzz: no such option; see --help"),
        ("--epochs", "--epochs: needs a value, a whole number"),
        ("--epochs --flip", "--epochs: needs a value, a whole number"),
        ("--epochs x", "--epochs x: must be a whole number"),
        ("--epochs 1.5", "--epochs 1.5: must be a whole number"),
        ("--augment.scale 1", "--augment.scale 1: needs 2 values, a list of 2, each a number"),
        ("--augment.scale 1 x", "--augment.scale 1 x: must be a list of 2, each a number"),
        ("--precision fp17", "--precision fp17: must be one of auto, bf16, fp16, fp32"),
        ("--head fcn --head.chanels 3", "--head.chanels: no such option; did you mean --head.channels?"),
        ("--head.steps 3", "--head.steps: belongs to --head fusion-affinity, which is not chosen"),
        ("shapes extra", "extra: one word too many; see --help"),
        ("--no-epochs", "--no-epochs: no such option; did you mean --epochs?"),
        ("--head", "--head: needs a value"),
        ("--limit 3", "--limit: no such option; see --help"),
        ("--lerning-rate 3", "--lerning-rate: no such option; did you mean --lr?"),
        ("--batch 3", "--batch: no such option; did you mean --batch-size?"),
        ("--rotation 3", "--rotation: no such option; see --help"),
        ("--masks x", "--masks: no such option; did you mean --data.masks?"),
        ("--jitter .5", "--jitter: no such option; did you mean --augment.jitter?"),
        ("--method dino", "--method: belongs to `twinsight pretrain`, not to `twinsight segment`; leave it out"),
        ("--sample 3", "--sample: belongs to `twinsight look`, not to `twinsight segment`; leave it out"),
        ("--out x", "--out: belongs to `twinsight demo`, `twinsight predict` and others, not to `twinsight segment`"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(words, sentence):
    with pytest.raises(UserError) as error:
        segment(words)
    assert str(error.value).startswith(sentence)


def test_what_is_missing_is_named():
    with pytest.raises(UserError, match=r"^RUN: is missing"):
        parse(Predict, "predict", [])
    with pytest.raises(UserError, match=r"^IMAGES: is missing"):
        parse(Predict, "predict", ["run"])
    with pytest.raises(UserError, match=r"^b: one word too many"):
        parse(COMMANDS["data make"], "data make", ["shapes", "a", "b"])
    assert parse(Look, "look", []).images == ()


def test_a_folder_after_a_list_is_the_data(tmp_path):
    options = parse(Pretrain, "pretrain", ["--log", "tensorboard", str(tmp_path)])
    assert (options.log, options.data.root) == (("tensorboard",), tmp_path)
    options = parse(Pretrain, "pretrain", ["--log", "tensorboard", "shapes"])
    assert options.data.name == "shapes"


def test_words_of_a_list_are_not_the_data(tmp_path):
    options = segment(f"--head unet --head.channels 64 32 --data.root {tmp_path}")
    assert (options.head.channels, options.data.root) == ((64, 32), tmp_path)
    assert segment(f"--head unet --head.channels 64 32 {tmp_path}").data.root == tmp_path
    assert segment(f"{tmp_path} --no-flip").data.root == tmp_path
    own = tmp_path / "own.py"
    own.write_text("class Own:\n    def __init__(self, dims, strides, num_classes, width: int = 3):\n        pass\n")
    options = segment(f"{tmp_path} --head {own}:Own --head.width 4")
    assert (options.data.root, options.head.width) == (tmp_path, 4)
