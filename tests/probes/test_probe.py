import math

import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.probes.draw import curves
from twinsight.probes.finding import Finding
from twinsight.probes.probe import effective_rank, inspecting


def test_inspecting_restores_each_modules_own_mode():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()))
    model.train()
    model[1][0].eval()
    before = [module.training for module in model.modules()]
    during = []
    with pytest.raises(ZeroDivisionError), inspecting(model):
        during.append([module.training for module in model.modules()]) or 1 / 0
    assert not any(during[0])
    assert [module.training for module in model.modules()] == before


def test_a_partly_frozen_backbone_stays_so():
    backbone = Backbone("test_resnet")
    backbone.freeze(1)
    before = [module.training for module in backbone.modules()]
    with inspecting(backbone) as device:
        assert device.type == "cpu"
    assert [module.training for module in backbone.modules()] == before


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_effective_rank_of_equal_directions(rank):
    vectors = torch.zeros(20, 8)
    vectors[:rank, :rank] = torch.eye(rank)
    assert effective_rank(vectors) == pytest.approx(rank)


def test_effective_rank_against_its_definition():
    vectors = np.random.default_rng(0).normal(size=(30, 5)) * [5, 3, 1, 0.1, 0.01]
    singular = np.linalg.svd(vectors, compute_uv=False)
    share = singular / singular.sum()
    expected = np.exp(-(share * np.log(share)).sum())
    assert effective_rank(torch.from_numpy(vectors)) == pytest.approx(expected, rel=1e-9)


def test_effective_rank_of_nothing():
    assert math.isnan(effective_rank(torch.zeros(4, 3)))


def test_a_notebook_shows_figures_and_numbers():
    finding = Finding({"a<b": curves({"x": ([1, 2], [1, 2])}, "x", "y")}, {"n/a<b": 0.25})
    page = finding._repr_html_()
    assert page.count("data:image/webp;base64,UklGR") == 1
    assert "a&lt;b" in page
    assert "<td>n</td><td>a&lt;b</td><td>0.25</td>" in page
    assert "a<b" not in page
