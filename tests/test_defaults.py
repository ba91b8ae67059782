"""What the command line takes by default is what Python takes."""

import inspect
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import pytest

from twinsight.backbones.vit_pytorch import VitPytorch
from twinsight.data.views import View
from twinsight.options.backbones import BACKBONES, TimmOptions
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.data import DATA, PairOptions
from twinsight.options.heads import HEADS
from twinsight.options.methods import METHODS, AttentionTermOptions, MultiCropOptions, TwoViewsOptions
from twinsight.options.probes import PROBES
from twinsight.segmentation.inference import Inference
from twinsight.segmentation.losses import SegmentationLoss
from twinsight.training.optim import Optimization
from twinsight.training.trainer import Training

CHOICES = {**BACKBONES, **DATA, **HEADS, **METHODS, **{f"look {name}": kind for name, kind in PROBES.items()}}
CHOICES |= {"timm": TimmOptions, "pairs": PairOptions, "attention term": AttentionTermOptions}
CHOICES |= {"two views": TwoViewsOptions, "multi-crop": MultiCropOptions}


def constructor_defaults(target: Any) -> dict[str, Any]:
    """Of its signature and of those that it hands **keywords on to."""
    found = {}
    for parameter in inspect.signature(target).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD and parameter.name == "shared":
            found = constructor_defaults(View) | found
        elif parameter.default is not parameter.empty:
            found[parameter.name] = parameter.default
    return found


def option_defaults(options: Any) -> dict[str, Any]:
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: value for name, value in values.items() if not is_dataclass(value)}


def differing(options: Any, target: Any) -> dict[str, Any]:
    ours, theirs = option_defaults(options), constructor_defaults(target)
    return {name: (ours[name], theirs[name]) for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}


@pytest.mark.parametrize("name", CHOICES)
def test_a_class_has_the_defaults_of_its_options(name):
    kind = CHOICES[name]
    module, _, attribute = kind.target.partition(":")
    assert not differing(kind(), getattr(import_module(module), attribute))


def test_a_network_of_vit_pytorch_has_the_defaults_of_its_options():
    assert not differing(BACKBONES["vit-pytorch"](), VitPytorch)


@pytest.mark.parametrize(
    ("options", "target"),
    [(Pretrain, Training), (Pretrain, Optimization), (Segment, Inference), (Segment, SegmentationLoss)],
)
def test_a_training_has_the_defaults_of_its_options(options, target):
    assert not differing(options(), target)
