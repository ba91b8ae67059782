import math

import numpy as np
import pytest
import torch

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import Box, MultiView, Params, View, two_views
from twinsight.errors import UserError
from twinsight.methods.barlow_twins import BarlowTwins
from twinsight.probes.views.crops import AugmentedViews, applied, iou, views_of

PLAIN = Params(Box(0, 0, 4, 4), False, (), None, False, False, None, False)


def images(*sizes):
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.integers(0, 256, (3, *size), np.uint8)) for size in sizes]


def drawn(finding):
    figure = finding.figures["views"].figure()
    figure.draw_without_rendering()
    return figure


def test_iou_of_boxes():
    assert iou(Box(0, 0, 4, 4), Box(0, 0, 4, 4)) == 1
    assert iou(Box(0, 0, 4, 4), Box(2, 1, 4, 4)) == pytest.approx(6 / 26)
    assert iou(Box(0, 0, 2, 2), Box(2, 0, 2, 2)) == 0
    assert iou(Box(0, 0, 2, 2), Box(5, 5, 2, 2)) == 0


def test_numbers_follow_from_the_boxes():
    view = View(size=8, scale=(0.2, 0.6))
    finding = AugmentedViews(MultiView([view, view, view]), draws=3, seed=5)(None, images((20, 30), (31, 17)))
    ious, areas = [], []
    for i, (height, width) in enumerate([(20, 30), (31, 17)]):
        rng = np.random.default_rng([5, i])
        for _ in range(3):
            grids = np.zeros((3, height, width), bool)
            for grid in grids:
                top, left, h, w = view.draw(rng, height, width).box
                grid[top : top + h, left : left + w] = True
            ious.append((grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum())
            areas += [grids[0].mean(), grids[1].mean()]
    assert finding.numbers == pytest.approx({"mean_iou": np.mean(ious), "mean_area": np.mean(areas)})


def test_boxes_lie_where_the_views_were_cropped():
    """Each view is the original's pixels inside its box, which is drawn in the color of the view's frame."""
    plain = View(size=6, scale=(0.1, 0.3), flip=0, jitter=0, gray=0, blur=0)
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    image[0], image[1] = torch.arange(40)[:, None] * 4, torch.arange(60)[None] * 4
    axes = drawn(AugmentedViews(MultiView([plain, plain]))(None, [image])).axes
    original = next(axis for axis in axes if axis.patches)
    views = [axis for axis in axes if axis is not original]
    assert len(views) == len(original.patches) == 2
    for box, axis in zip(original.patches, views):
        center = np.asarray(axis.images[0].get_array(), float).mean((0, 1)) / 4
        assert center[0] == pytest.approx(box.get_y() + box.get_height() / 2, abs=0.7)
        assert center[1] == pytest.approx(box.get_x() + box.get_width() / 2, abs=0.7)
        assert box.get_edgecolor() == axis.spines["top"].get_edgecolor()


def test_views_are_those_that_the_transform_makes_with_the_same_generator():
    transform = two_views(size=10)
    (image,) = images((24, 20))
    axes = drawn(AugmentedViews(transform, seed=3)(None, [image])).axes
    expected = transform(image.permute(1, 2, 0).numpy(), np.random.default_rng([3, 0]))
    shown = [np.asarray(axis.images[0].get_array()) for axis in axes]
    for view in expected:
        assert any(view.shape == other.shape and (view == other).all() for other in shown)


def test_captions_name_all_that_was_done():
    assert applied(PLAIN) == "crop only"
    everything = PLAIN._replace(
        flip=True, jitter=(("hue", 0.1),), mix=np.eye(3), invert=True, gray=True, blur=1.25, solarize=True
    )
    words = applied(everything).replace("\N{NO-BREAK SPACE}", " ")
    assert words == "flipped, jitter, mixed, inverted, gray, blur 1.2 px, solarized"


@pytest.mark.parametrize("small", [1, 6, 8])
def test_multi_crop_on_a_page(small):
    transform = MultiView([View(size=16)] * 2 + [View(size=8)] * small)
    finding = AugmentedViews(transform, draws=2)(None, images((20, 50), (50, 20)))
    assert finding.figures["views"].width <= 7.2
    figure = drawn(finding)
    assert len(figure.axes) == 4 * (3 + small)
    for axis in figure.axes:
        box = axis.xaxis.label.get_window_extent()
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1


def test_a_single_view_has_no_overlap():
    finding = AugmentedViews(MultiView([View(size=8, scale=(1, 1), ratio=(1, 1))]))(None, images((12, 12)))
    assert math.isnan(finding.numbers["mean_iou"])
    assert finding.numbers["mean_area"] == 1
    drawn(finding)


def test_whose_views_are_drawn():
    own, given = two_views(size=16), two_views(size=24)
    method = BarlowTwins(Backbone("resnet10t"), own, projector=(8,))
    assert views_of(method, None, images((9, 9))) is own
    assert views_of(method, given, images((9, 9))) is given
    assert [view.size for view in views_of(None, None, images((60, 80), (90, 50))).views] == [50, 50]
    assert [view.size for view in views_of(method.trunk, None, images((600, 800))).views] == [224, 224]


@pytest.mark.parametrize(
    ("options", "count", "message"),
    [({"draws": 0}, 1, "--draws 0"), ({"seed": -2}, 1, "--seed -2"), ({}, 0, "images: none")],
)
def test_what_cannot_be_asked(options, count, message):
    with pytest.raises(UserError, match=message):
        AugmentedViews(**options)(None, images((9, 9))[:count])
