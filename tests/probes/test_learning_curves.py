import re

import numpy as np
import pytest

from twinsight.probes.learning_curves import LearningCurves, smooth


def rows(count, **scalars):
    """A row a step; scalars: a function of the step by name, with __ for /."""
    return [{"step": float(s)} | {name.replace("__", "/"): f(s) for name, f in scalars.items()} for s in range(count)]


def drawn(plot):
    """Panels with anything in them, by title: what is drawn in each, and how it is scaled."""
    figure = plot.figure()
    return {axis.get_title(): axis for axis in figure.axes if axis.get_title()}


def test_figures_and_numbers_of_a_run():
    scores = {"val__mean_iou": lambda s: [0.2, 0.6, 0.5][s], "val__mean_recall": lambda s: 0.5}
    logged = rows(3, train__loss=lambda s: 3.0 - s, train__lr=lambda s: 0.1, epoch=lambda s: s, **scores)
    finding = LearningCurves()({"run": logged})
    assert list(finding.figures) == ["loss", "rate", "scores"]
    assert finding.numbers == {
        "train/loss/last": 1.0, "val/mean_iou/last": 0.5, "val/mean_iou/best": 0.6,
    }  # fmt: skip
    panels = drawn(finding.figures["scores"])
    assert list(panels) == ["mean IoU, %"]
    assert [row[:2] for row in finding.table()] == [
        ("", "training loss (last)"), ("", "mean IoU (last), %"), ("", "mean IoU (best), %"),
    ]  # fmt: skip
    (line,) = panels["mean IoU, %"].lines
    assert line.get_xdata().tolist() == [0, 1, 2]
    assert line.get_ydata().tolist() == pytest.approx([20, 60, 50])


def test_what_probes_cost_is_no_curve():
    costs = {"probe__erf__seconds": lambda s: 1.0, "probe__share_of_time": lambda s: 0.01}
    logged = rows(3, train__loss=lambda s: 1.0, probe__features__explained1=lambda s: s / 10, **costs)
    assert list(LearningCurves()({"run": logged}).figures) == ["loss", "probe-features"]


def test_only_what_is_asked_for():
    logged = rows(3, train__loss=lambda s: 1.0, train__lr=lambda s: 0.1, val__mean_iou=lambda s: 0.5)
    finding = LearningCurves(scalars=("train/loss",))({"run": logged})
    assert list(finding.figures) == ["loss"]
    assert list(finding.numbers) == ["train/loss/last"]


@pytest.mark.parametrize(
    ("values", "scale"), [([100, 1], "log"), ([100, 30], "linear"), ([100, 0], "linear"), ([100, -1], "linear")]
)
def test_a_logarithmic_scale_where_it_fits(values, scale):
    finding = LearningCurves()({"run": rows(2, train__loss=lambda s: values[s])})
    assert drawn(finding.figures["loss"])["training loss"].get_yscale() == scale


def test_no_number_is_no_point():
    values = [1.0, float("nan"), float("inf"), 2.0]
    finding = LearningCurves()({"run": rows(4, train__loss=lambda s: values[s], val__x=lambda s: float("nan"))})
    (line,) = drawn(finding.figures["loss"])["training loss"].lines
    assert line.get_xdata().tolist() == [0, 3]
    assert finding.numbers == {"train/loss/last": 2.0}


def test_a_single_point_is_seen():
    finding = LearningCurves()({"run": [{"step": 7.0, "train/loss": 1.0}]})
    axis = drawn(finding.figures["loss"])["training loss"]
    assert axis.lines[0].get_marker() == "o"
    assert axis.get_xticks().tolist() == [7]


def test_many_points_of_a_loss_are_smoothed_over_the_raw_ones_but_a_rate_is_not():
    noise = np.random.default_rng(0).normal(10, 1, 300)
    finding = LearningCurves()({"run": rows(300, train__loss=lambda s: noise[s], train__lr=lambda s: 1e-3 * (s + 1))})
    raw, strong = drawn(finding.figures["loss"])["training loss"].lines
    assert raw.get_ydata().tolist() == noise.tolist()
    assert strong.get_ydata()[150] == pytest.approx(noise[140:160].mean())
    assert len(drawn(finding.figures["rate"])["learning rate"].lines) == 1


@pytest.mark.parametrize(("count", "window"), [(60, 4), (61, 5), (75, 5), (100, 1)])
def test_smoothing_is_the_mean_of_the_nearest_points(count, window):
    values = np.random.default_rng(0).normal(size=count)
    before = window // 2
    expected = [values[max(0, i - before) : i - before + window].mean() for i in range(count)]
    assert smooth(values, window) == pytest.approx(np.array(expected))
    assert smooth(np.full(count, 3.0), window) == pytest.approx(np.full(count, 3.0))


def test_several_runs_share_panels_and_keep_their_colors():
    runs = {
        "Run $x^{2$ A": rows(3, train__loss=lambda s: 1.0, val__mean_iou=lambda s: 0.1),
        "_hidden": rows(2, train__loss=lambda s: 2.0),
        "only scores": rows(2, val__mean_iou=lambda s: 0.3),
        "empty": [],
    }
    finding = LearningCurves()(runs)
    losses = drawn(finding.figures["loss"])["training loss"].lines
    scores = drawn(finding.figures["scores"])["mean IoU, %"].lines
    assert len(losses) == len(scores) == 2
    assert losses[0].get_color() == scores[0].get_color()
    assert len({line.get_color() for line in (*losses, *scores)}) == 3
    (legend,) = finding.figures["loss"].figure().legends
    assert [text.get_text().strip() for text in legend.get_texts()] == ["Run $x^{2$ A", "_hidden"]
    assert finding.numbers["only-scores/val/mean_iou/best"] == 0.3
    assert all(re.fullmatch(r"[a-z0-9_./-]+", name) for name in finding.numbers)


def test_places_of_a_network_are_lines_and_measures_are_panels():
    names = [f"block{b}/{measure}" for b in range(1, 5) for measure in ("entropy", "distance")]
    logged = rows(2, **{f"probe__attention__{name.replace('/', '__')}": (lambda s: 1.0 + s) for name in names})
    panels = drawn(LearningCurves()({"run": logged}).figures["probe-attention"])
    entropy = "entropy of attention (0 one patch, 1 uniform)"
    assert {title: len(axis.lines) for title, axis in panels.items()} == {entropy: 4, "distance": 4}
    shallow = [{name: value for name, value in row.items() if "block4" not in name} for row in logged]
    panels = drawn(LearningCurves()({"deep": logged, "shallow": shallow}).figures["probe-attention"])
    assert {title: len(axis.lines) for title, axis in panels.items()} == {
        f"block 4 or block 3: {entropy}": 2, "block 4 or block 3: distance": 2,
    }  # fmt: skip


def test_classes_are_lines_of_one_run_and_panels_of_several():
    names = ["class/car/iou", "class/sky/iou", "class/road/iou", "mean_iou"]
    logged = rows(2, **{f"probe__patches__{name.replace('/', '__')}": (lambda s: 0.5 + s / 10) for name in names})
    panels = drawn(LearningCurves()({"run": logged}).figures["probe-patches"])
    assert {title: len(axis.lines) for title, axis in panels.items()} == {"IoU, %": 3, "mean IoU, %": 1}
    assert panels["mean IoU, %"].lines[0].get_ydata().tolist() == pytest.approx([50, 60])
    panels = drawn(LearningCurves()({"a": logged, "b": logged}).figures["probe-patches"])
    titles = ["car: IoU, %", "sky: IoU, %", "road: IoU, %", "mean IoU, %"]
    assert {title: len(axis.lines) for title, axis in panels.items()} == dict.fromkeys(titles, 2)


def test_a_number_that_never_changes_is_no_curve():
    measured = {"probe__health__images": lambda s: 128.0, "probe__health__embedding__spread": lambda s: 0.5 + s / 10}
    figures = LearningCurves()({"run": rows(3, **measured)}).figures
    assert list(drawn(figures["probe-health"])) == ["spread of images (0 to 1)"]
    assert "probe-views" not in LearningCurves()({"run": rows(1, probe__views__mean_iou=lambda s: 0.5)}).figures


@pytest.mark.parametrize("runs", [{}, {"new": []}, {"new": [{"step": 0.0}]}])
def test_nothing_logged_yet(runs):
    finding = LearningCurves()(runs)
    assert finding.figures == {}
    assert finding.numbers == {}


def test_no_label_is_cut():
    runs = {
        f"a rather long name of a run, number {i}": rows(30, train__loss=lambda s: 1e5 / (s + 1)) for i in range(14)
    }
    figure = LearningCurves()(runs).figures["loss"].figure()
    figure.draw_without_rendering()
    assert len(figure.legends[0].get_texts()) == 14
    box = figure.get_tightbbox()  # inches
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.get_figwidth()
    assert box.y1 <= figure.get_figheight()
