import re

import pytest
import torch
from torch import nn

from twinsight.data.views import two_views
from twinsight.errors import UserError
from twinsight.heads.head import check_head
from twinsight.methods.method import AfterBackward, AfterStep, check_method, projects, scalars_of
from twinsight.training.optim import Optimization
from twinsight.training.pretrainer import Pretrainer


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(3, 2)

    def views(self):
        return two_views(size=16)

    def forward(self, views, progress):
        return {"loss": self.trunk(views[0]).mean()}


class NoTrunk(Whole):
    def __init__(self):
        nn.Module.__init__(self)


class NoViews(nn.Module):
    trunk = nn.Identity()

    def forward(self, views, progress):
        return {}


class NoProgress(Whole):
    def forward(self, views):
        return {}


class Bare(nn.Module):
    pass


@pytest.mark.parametrize(
    ("method", "parts"),
    [(NoTrunk, ["trunk"]), (NoViews, ["views"]), (NoProgress, ["forward"]), (Bare, ["trunk", "views", "forward"])],
)
def test_a_missing_part_is_named(method, parts):
    with pytest.raises(UserError, match=f"--method: {method.__name__} lacks {'.* and '.join(parts)}"):
        Pretrainer(method(), Optimization())


def test_optional_parts():
    class Hooked(Whole):
        def after_step(self, progress):
            pass

    check_method(Whole())
    method = Hooked()
    assert isinstance(method, AfterStep)
    assert not isinstance(method, AfterBackward)
    assert not projects(method)
    method.project = nn.Linear(3, 2)  # a submodule is a function of images too
    assert projects(method)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (torch.zeros(()), 'Whole\'s forward must return a dict with "loss", not a tensor of shape (); return'),
        (None, "not a NoneType"),
        ({}, 'returned no "loss", only an empty dict'),
        ({"invariance": torch.zeros(())}, 'returned no "loss", only invariance'),
        ({"loss": torch.zeros(3)}, 'returned a tensor of shape (3,) as "loss"; make it a tensor of one number'),
        ({"loss": torch.zeros(()), "contrast": 0.5}, 'returned a float as "contrast"'),
    ],
)
def test_a_wrong_return_is_named(returned, said):
    with pytest.raises(UserError, match=re.escape(said)):
        scalars_of(Whole(), returned)


def test_a_return_of_scalars_passes():
    scalars = {"loss": torch.zeros(()), "contrast": torch.zeros(1)}
    assert scalars_of(Whole(), scalars) is scalars


class Head(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        vars(self).update(parts)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, "Head lacks levels"),
        ({"levels": ()}, "Head lacks levels"),
        ({"levels": torch.ones(2)}, "Head lacks levels"),
        ({"levels": (3, 1)}, r"Head.levels is \(3, 1\); set it to ascending"),
        ({"levels": (-1,)}, "ascending indices from 0"),
        ({"levels": (0,), "attention": -1}, "Head.attention is not"),
    ],
    ids=str,
)
def test_a_head(parts, said):
    with pytest.raises(UserError, match=said):
        check_head(Head(**parts))
    check_head(Head(levels=[0, 2], attention=((-1,), "patches")))
