"""What the command line takes by default is what Python takes, of everything that options build."""

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import pytest

from twinsight.backbones.vit_pytorch import VitPytorch
from twinsight.data.views import View
from twinsight.options import commands
from twinsight.options.auto import AUTO, Scale
from twinsight.options.backbones import TimmOptions, VitPytorchOptions
from twinsight.options.build import Buildable
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.heads import HEADS
from twinsight.segmentation.inference import Inference
from twinsight.segmentation.losses import SegmentationLoss
from twinsight.training.optim import Optimization
from twinsight.training.trainer import Training

SCALE = Scale(images=1000, batch=64, updates=2000, side=224)


def below(cls: type) -> Iterator[type]:
    for each in cls.__subclasses__():
        yield each
        yield from below(each)


BUILT: dict[str, Any] = {
    each.__name__: each
    for each in below(Buildable)
    if "target" in vars(each) and each.__module__.startswith(commands.__name__.rpartition(".")[0])
}

GIVEN = {"backbone", "dims", "strides", "num_classes", "split", "mean", "std", "positions", "options", "shared"}
"""Parameters that are not options: what a thing is built on, and what is known only of weights."""

NO_OPTION = {
    "PairOptions": {"fill"},  # the gray around a crop, ImageNet's mean
    "VitPytorchOptions": {"pretrained", "small_stem"},  # there are none
    "AttentionScoresOptions": {"untrained"},  # the network to compare with, for those who have one
    "PredictionsOptions": {"predict"},  # how a whole image is segmented
    "CurvesOptions": {"columns"},  # the report has its own
}
"""Parameters that Python alone has, by the options' name."""


def parameters(options: Any) -> dict[str, inspect.Parameter]:
    """Of what the options build, and of that to which it hands its keywords on."""
    module, _, attribute = options.target.partition(":")
    built = getattr(import_module(module), attribute)
    found = dict(inspect.signature(built).parameters)
    if "how" in found:
        found = dict(inspect.signature(built.__mro__[1]).parameters) | found
    if "shared" in found:
        found = dict(inspect.signature(View).parameters) | found
    if options is VitPytorchOptions:
        found = dict(inspect.signature(VitPytorch).parameters) | found
    return found


def arguments(options: Any) -> dict[str, Any]:
    return {field.name: field for field in fields(options) if field.name not in options.not_arguments}


def differing(options: Any, known: dict[str, inspect.Parameter]) -> dict[str, Any]:
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    settings = set(options.auto(SCALE)) if hasattr(options, "auto") else {"epochs", "lr"}
    if values.get("blur") == 0:
        settings.add("sigma")  # unused, so it is not told
    return {
        name: (value, known[name].default)
        for name, value in values.items()
        if name in known
        and known[name].default not in (inspect.Parameter.empty, value)
        and not is_dataclass(value)
        and not (value == AUTO and name in settings)  # then what is built has the paper's value
    }


def test_all_are_found():
    assert len(BUILT) > 30
    assert {cls.__name__ for cls in HEADS.values()} <= BUILT.keys()


@pytest.mark.parametrize("name", BUILT)
def test_a_class_has_the_defaults_of_its_options(name):
    assert not differing(BUILT[name](), parameters(BUILT[name]))


@pytest.mark.parametrize("name", BUILT)
def test_each_option_is_an_argument_and_each_argument_an_option(name):
    options, known = BUILT[name], parameters(BUILT[name])
    if options is not TimmOptions:  # whose networks take what they know
        assert not arguments(options).keys() - known.keys()
    given = GIVEN | {*getattr(options, "given", ())} | NO_OPTION.get(name, set())
    defaulted = {each for each, parameter in known.items() if parameter.default is not inspect.Parameter.empty}
    views = {"threshold", "blur", "solarize", "scale"} if "shared" in known else set()  # those of each view
    assert not defaulted - given - views - arguments(options).keys() - {*options.not_arguments}


@pytest.mark.parametrize(
    ("options", "target"),
    [(Pretrain, Training), (Pretrain, Optimization), (Segment, Inference), (Segment, SegmentationLoss)],
)
def test_a_training_has_the_defaults_of_its_options(options, target):
    assert not differing(options(), dict(inspect.signature(target).parameters))
