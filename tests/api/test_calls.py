"""Errors in the caller's words."""

import inspect

import numpy as np
import pytest

import twinsight
from twinsight.api.calls import in_python, public
from twinsight.console import tell
from twinsight.errors import Interrupted, UserError


@pytest.mark.parametrize(
    ("command_line", "python"),
    [
        ("--batch-size 1: the loss needs 2 or more", "batch_size=1: the loss needs 2 or more"),
        ("--data.max-megapixels: too few", "data.max_megapixels: too few"),
        ("--data.radius 0.5 0.3: the smaller comes first", "data.radius=(0.5, 0.3): the smaller comes first"),
        ("--backbone resnt18: timm has no such model", "backbone='resnt18': timm has no such model"),
        ("make room with --window 512", "make room with window=512"),
        ("make room with --find-batch-size, --checkpointing or --accumulate N --accumulate-exact",
         "make room with find_batch_size, checkpointing or accumulate=N accumulate_exact"),
        ("choose others or a head without attention: --head setr-pup",
         "choose others or a head without attention: head='setr-pup'"),
        ("go on with: twinsight segment --resume 'my runs/a'", "go on with: twinsight.segment(resume='my runs/a')"),
        ("train one with: twinsight segment --weights runs/a --data NAME",
         "train one with: twinsight.segment(weights='runs/a', data=NAME)"),
        ("runs/a: exists; choose another --run, go on with it by --resume runs/a, or give --overwrite",
         "runs/a: exists; choose another run, go on with it by resume='runs/a', or give overwrite"),
        ("see where it looks with: twinsight look erf --weights 'my runs/a'",
         "see where it looks with: twinsight.look('erf', 'my runs/a')"),
        ("Next:\ntwinsight evaluate runs/a --probe knn", "Next:\ntwinsight evaluate runs/a --probe knn"),
        ("Next:\n    twinsight look erf --weights runs/a", "Next:\n    twinsight look erf --weights runs/a"),
        ("--queries 4, --k 6: need 7 images", "queries=4, k=6: need 7 images"),
        ("a-b --- c: not a flag", "a-b --- c: not a flag"),
    ],
)  # fmt: skip
def test_flags_become_arguments(command_line, python):
    assert in_python(command_line, {}) == python


def test_an_argument_that_is_called_otherwise():
    assert in_python("--weights x/y: no such file", {"weights": "source"}) == "source='x/y': no such file"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: twinsight.segment("shapes.py", data={"root": "x"}),
         'data: is given twice, without its name and with it; give it in one mapping, data={"name": "shapes.py", ...}'),
        (lambda: twinsight.pretrain("shapes", limit=3), "limit: no such option; see help(twinsight.pretrain)"),
        (lambda: twinsight.pretrain("shapes", head="fcn"),
         "head: belongs to `twinsight.segment`, not to `twinsight.pretrain`; leave it out"),
        (lambda: twinsight.pretrain("shapes", views={"size": 96}), "views: no such option; did you mean method.views?"),
        (lambda: twinsight.pretrain("shapes", **{"views.size": 96}),
         "views.size: no such option; did you mean method.views.size?"),
        (lambda: twinsight.Dataset.open("voc", rooot="x"), "data.rooot: no such option; did you mean data.root?"),
    ],
)  # fmt: skip
def test_bad_calls_are_explained_as_python_has_it(call, sentence):
    with pytest.raises(twinsight.UserError) as caught:
        call()
    assert str(caught.value) == sentence


def test_the_traceback_has_no_frames_of_ours_but_the_call():
    @public()
    def deep(level: int = 5) -> None:
        if level:
            inner(level)

    def inner(level: int) -> None:
        if level == 0:
            raise UserError("--epochs: bad")
        inner(level - 1)

    with pytest.raises(twinsight.UserError, match=r"^epochs: bad$") as caught:
        deep()
    assert [entry.name for entry in caught.traceback][1:] == ["call"]
    assert caught.value.__suppress_context__


def test_an_interrupt_is_a_keyboard_interrupt():
    @public()
    def stopped() -> None:
        raise Interrupted(2)

    with pytest.raises(KeyboardInterrupt) as caught:
        stopped()
    assert type(caught.value) is KeyboardInterrupt


def test_remarks_speak_python_too(capsys):
    @public()
    def remark() -> None:
        tell("memory: that hardly fits; make room with --batch-size 8")

    remark()
    tell("--batch-size 8")
    assert capsys.readouterr().err.splitlines() == [
        "memory: that hardly fits; make room with batch_size=8",
        "--batch-size 8",
    ]


def test_what_a_stream_raises_later_is_translated_too():
    @public()
    def stream():
        return iter_bad()

    def iter_bad():
        yield 1
        raise UserError("--bits: bad")

    found = stream()
    assert next(found) == 1
    with pytest.raises(UserError, match=r"^bits: bad$"):
        next(found)


def test_signatures_name_every_option_with_its_default():
    options = inspect.signature(twinsight.pretrain).parameters
    assert options["epochs"].default == "auto"
    assert options["backbone"].default == "resnet18"
    assert "dry_run" not in options
    assert inspect.signature(twinsight.Model.predict).parameters["overlap"].default == 0.5
    assert {"blocks", "sample", "k"} <= inspect.signature(twinsight.look).parameters.keys()


@pytest.mark.parametrize("call", [lambda: twinsight.Run(None), lambda: figure().save(None), lambda: drawn().save(None)])
def test_what_is_no_path(call):
    with pytest.raises(twinsight.UserError, match=r"^(file|folder): NoneType is not a path"):
        call()


def figure():
    return twinsight.Dataset.open("shapes", val_count=2, split="val").show()


def drawn():
    mask, palette = np.zeros((2, 2), np.uint8), np.zeros((1, 3), np.uint8)
    return twinsight.Prediction(mask, mask.astype(np.float32), ("sky",), palette, np.zeros((2, 2, 3), np.uint8))
