"""Probes and scores from Python."""

import numpy as np
import pytest
from tiny_runs import SHAPES

import twinsight
from twinsight.commands import evaluate
from twinsight.options.commands import Evaluate
from twinsight.options.parse import from_keywords

pytest_plugins = ("tiny_runs",)

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 65, 3), np.uint8)


def test_one_model_gives_a_finding_several_give_findings(vit):
    one = twinsight.look("attention", vit, [IMAGE, IMAGE])
    assert isinstance(one, twinsight.Finding)
    several = twinsight.look("attention", {"a": vit, "b": "random:test_vit"}, IMAGE)
    assert isinstance(several, twinsight.Findings)
    assert list(several) == ["a", "b"]
    assert several.numbers["a"] == several.numbers["b"]
    assert several.figures.keys() == several["a"].figures.keys() == one.figures.keys()
    html = several._repr_html_()
    assert html.count("<img") == len(several.figures)
    assert html.count("<th>") == 3
    listed = twinsight.look("filters", [vit])
    assert list(listed) == [vit.name]


def test_images_of_the_run_s_own_data(segmenter):
    finding = twinsight.look("predictions", segmenter, sample=2)
    assert len(finding.scenes) == 2
    assert 0 <= finding.numbers["mean_iou"] <= 1


def test_a_data_set_brings_its_masks(vit):
    data = twinsight.Dataset.open("shapes", count=8, size=32)
    finding = twinsight.look("scores", vit, data, sample=4, blocks=[0])
    assert finding.numbers


def test_curves_are_of_runs(pretrained, segmented):
    assert "loss" in twinsight.look("curves", [pretrained, segmented]).figures


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda vit: twinsight.look("atention", vit, IMAGE), "probe atention: .*did you mean attention"),
        (lambda vit: twinsight.look("attention", vit), "images: none given"),
        (lambda vit: twinsight.look("attention", [], IMAGE), "models: none given"),
        (lambda vit: twinsight.look("attention", vit, IMAGE, k=3), "k.*attention|k: no such option|unknown key"),
        (lambda vit: twinsight.look("predictions", vit, IMAGE), "needs a segmenter"),
        (lambda vit: twinsight.evaluate(vit), "data: none given"),
        (lambda vit: twinsight.evaluate(vit, SHAPES), "is a backbone without a segmentation head"),
    ],
)
def test_what_cannot_be_asked_is_refused(vit, call, sentence):
    with pytest.raises(twinsight.UserError, match=sentence):
        call(vit)


def test_scores_are_those_of_the_command(segmenter, segmented):
    found = twinsight.evaluate(segmenter, workers=0)
    data = segmented.options["data"]
    options = from_keywords(Evaluate, "evaluate", {"run": segmented.folder, "data": data, "workers": 0})
    expected = evaluate.run(options)
    assert dict(found) == expected.scalars()
    assert np.array_equal(found.matrix, expected.matrix)
    assert [row["class"] for row in found.table] == list(segmenter.classes)
    assert "mean IoU" in repr(found)
    assert "recall)" in found._repr_html_()
    assert "mean recall" not in found._repr_html_()
    assert found.measured["split"] == "val"
    assert "striped disk" in found._repr_html_()
    assert (segmented / "evaluations.json").is_file()


def test_the_model_itself_is_measured_not_its_file(segmented):
    model = twinsight.load(segmented, device="cpu")
    for parameter in model.module.head.parameters():
        parameter.data.zero_()
    assert len(np.flatnonzero(twinsight.evaluate(model, SHAPES, workers=0).matrix.sum(0))) == 1


def test_a_backbone_is_judged(vit):
    numbers = twinsight.evaluate(vit, SHAPES, probe="linear", workers=0)
    assert set(numbers["linear"]) >= {"model", "untrained"}
