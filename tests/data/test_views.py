import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from scipy.stats import binomtest, kstest
from torchvision.transforms.v2 import RandomResizedCrop

from twinsight.data.views import Box, MultiView, Params, View, draw_crop, draw_mix, two_views

DRAWS = 4000
SHAPES = [(375, 500), (501, 333), (57, 41), (224, 224), (3, 5), (1, 1), (20, 900)]


def photo(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)


def plain(box: Box) -> Params:
    return Params(box, flip=False, jitter=(), mix=None, invert=False, gray=False, blur=None, solarize=False)


def draws(view: View) -> list[Params]:
    rng = np.random.default_rng(0)
    return [view.draw(rng, 375, 500) for _ in range(DRAWS)]


def likely(count: int, probability: float) -> bool:
    """A fair draw fails this once in ten million."""
    return binomtest(count, DRAWS, probability).pvalue > 1e-7


def test_each_operation_comes_with_its_probability():
    view = View(flip=0.5, jitter=0.8, mix=0.3, invert=0.15, gray=0.2, blur=0.1, solarize=0.25)
    params = draws(view)
    assert likely(sum(p.flip for p in params), 0.5)
    assert likely(sum(bool(p.jitter) for p in params), 0.8)
    assert likely(sum(p.mix is not None for p in params), 0.3)
    assert likely(sum(p.invert for p in params), 0.15)
    assert likely(sum(p.gray for p in params), 0.2)
    assert likely(sum(p.blur is not None for p in params), 0.1)
    assert likely(sum(p.solarize for p in params), 0.25)


def test_the_defaults_are_the_papers():
    first, second = two_views().views
    assert (first.blur, first.solarize, second.blur, second.solarize) == (1.0, 0.0, 0.1, 0.2)
    assert replace(second, blur=1.0, solarize=0.0) == first == View()
    assert two_views(size=96).views == (replace(first, size=96), replace(second, size=96))
    params = draws(first)
    assert all(p.blur is not None and not p.solarize and p.mix is None and not p.invert for p in params)
    assert likely(sum(p.solarize for p in draws(second)), 0.2)


def test_factors_are_uniform_in_their_ranges_and_orders_are_equally_likely():
    params = [p for p in draws(View(jitter=1.0)) if p.jitter]
    spans = {"brightness": (0.6, 0.8), "contrast": (0.6, 0.8), "saturation": (0.8, 0.4), "hue": (-0.1, 0.2)}
    for name, span in spans.items():
        assert kstest([dict(p.jitter)[name] for p in params], "uniform", span).pvalue > 1e-6
    assert kstest([p.blur for p in params], "uniform", (0.1, 1.9)).pvalue > 1e-6
    orders = [tuple(name for name, _ in p.jitter) for p in params]
    assert len(set(orders)) == 24
    assert all(likely(orders.count(order), 1 / 24) for order in set(orders))


def test_strong_jitter_never_has_a_negative_factor():
    params = draws(View(jitter=1.0, brightness=2.0))
    assert min(dict(p.jitter)["brightness"] for p in params) >= 0


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 200), (31, 33)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.05, 0.14)])
def test_crops_are_distributed_as_torchvisions(height, width, scale):
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    theirs = RandomResizedCrop(8, scale)
    image = torch.zeros(1, height, width, dtype=torch.uint8)
    a = np.array([draw_crop(rng, height, width, scale, (3 / 4, 4 / 3)) for _ in range(DRAWS)], float).T
    keys = ("top", "left", "height", "width")
    boxes = (theirs.make_params([image]) for _ in range(DRAWS))
    b = np.array([[box[key] for key in keys] for box in boxes], float).T
    for ours, reference in zip(a, b):
        assert kstest(ours, reference).pvalue > 1e-5
    assert kstest(a[2] * a[3], b[2] * b[3]).pvalue > 1e-5
    assert kstest(np.log(a[3] / a[2]), np.log(b[3] / b[2])).pvalue > 1e-5
    assert a.min() >= 0
    assert max(a[0] + a[2]) <= height
    assert max(a[1] + a[3]) <= width


@pytest.mark.parametrize(("height", "width"), [(10, 1000), (1000, 10), (1, 7), (7, 1)])
def test_a_sliver_gives_the_crop_torchvision_falls_back_to(height, width):
    theirs = RandomResizedCrop(8, (0.9, 1.0)).make_params([torch.zeros(1, height, width)])
    ours = draw_crop(np.random.default_rng(0), height, width, (0.9, 1.0), (3 / 4, 4 / 3))
    assert ours._asdict() == theirs


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [32, 97, 224])
def test_crop_and_flip_equal_torchvision_and_pillow(shape, size):
    image, rng = photo(*shape), np.random.default_rng(0)
    for flip in (False, True):
        box = draw_crop(rng, *shape, (0.08, 1.0), (3 / 4, 4 / 3))
        ours = View(size=size).apply(image, plain(box)._replace(flip=flip)).astype(int)
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        theirs = TF.resized_crop(pixels, *box, [size, size], TF.InterpolationMode.BICUBIC, antialias=True)
        crop = Image.fromarray(image[box.top : box.top + box.height, box.left : box.left + box.width])
        pillow = np.asarray(crop.resize((size, size), Image.Resampling.BICUBIC))
        if flip:
            theirs, pillow = TF.horizontal_flip(theirs), pillow[:, ::-1]
        assert np.abs(ours - theirs.permute(1, 2, 0).numpy()).max() <= 1
        assert np.abs(ours - pillow).max() <= 2


@pytest.mark.parametrize("shape", SHAPES)
def test_the_operations_follow_in_the_order_of_the_official_transform(shape):
    image = photo(*shape)
    jitter = (("contrast", 1.3), ("saturation", 0.8), ("brightness", 0.7), ("hue", 0.0))
    params = plain(Box(0, 0, *shape))._replace(jitter=jitter, blur=1.2, solarize=True)
    for gray in (False, True):
        ours = View(size=65).apply(image, params._replace(gray=gray))
        x = torch.from_numpy(image).permute(2, 0, 1)
        x = TF.resize(x, [65, 65], TF.InterpolationMode.BICUBIC, antialias=True)
        x = TF.adjust_brightness(TF.adjust_saturation(TF.adjust_contrast(x, 1.3), 0.8), 0.7)
        x = TF.rgb_to_grayscale(x, 3) if gray else x
        x = TF.solarize(TF.gaussian_blur(x, [23, 23], [1.2, 1.2]), 128)
        error = np.abs(ours.astype(int) - x.permute(1, 2, 0).numpy())
        assert error.max() <= 8
        assert error.mean() <= 2.5  # torchvision cuts off after each step, which adds up


def test_jitter_is_applied_in_the_order_drawn():
    image = photo(40, 40)
    box = plain(Box(0, 0, 40, 40))
    first = View(size=40).apply(image, box._replace(jitter=(("brightness", 2.0), ("contrast", 0.3))))
    second = View(size=40).apply(image, box._replace(jitter=(("contrast", 0.3), ("brightness", 2.0))))
    assert np.abs(first.astype(int) - second).max() > 20


def test_mix_and_invert_come_before_gray():
    image = photo(40, 40)
    matrix = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    params = plain(Box(0, 0, 40, 40))._replace(mix=matrix, invert=True, gray=True)
    reference = (255 - image[..., [1, 2, 0]]) @ [0.299, 0.587, 0.114]
    assert np.abs(View(size=40).apply(image, params) - reference[..., None]).max() <= 1


def test_mixing_keeps_every_gray():
    rng = np.random.default_rng(0)
    matrices = np.array([draw_mix(rng) for _ in range(DRAWS)])
    np.testing.assert_allclose(matrices.sum(axis=2), 1, atol=1e-12)
    assert np.abs(matrices[:, 0, 0].mean() - 2 / 3) < 0.05  # (1 - a) + a / 3 at the mean of a, 1/2
    assert np.abs(matrices[:, 0, 1].mean() - 1 / 6) < 0.05
    assert np.isclose(matrices[:, 0, 1].var(), 2 / 9 + 1 / 108, rtol=0.2)  # E[a²] · 2/3 + Var[a] / 9


def test_views_are_reproducible_and_differ_from_each_other():
    image, views = photo(90, 120), MultiView([View(size=48)] * 2 + [View(size=16, scale=(0.05, 0.14))] * 3)
    a, b = (views(image, np.random.default_rng([1, 2, 3])) for _ in range(2))
    c = views(image, np.random.default_rng([1, 2, 4]))
    assert [view.shape for view in a] == [(48, 48, 3)] * 2 + [(16, 16, 3)] * 3
    assert all(view.dtype == np.uint8 and view.flags.c_contiguous for view in a)
    assert all(np.array_equal(x, y) for x, y in zip(a, b))
    assert not np.array_equal(a[0], a[1])
    assert not np.array_equal(a[0], c[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_any_image_gives_views_and_stays_as_it_was(shape):
    image = photo(*shape)
    before, rng = image.copy(), np.random.default_rng(0)
    view = View(size=31, mix=0.5, invert=0.5, solarize=0.5)
    assert all(view(image, rng).shape == (31, 31, 3) for _ in range(30))
    np.testing.assert_array_equal(image, before)


def test_a_crop_has_the_area_asked_for():
    rng = np.random.default_rng(0)
    boxes = [draw_crop(rng, 400, 400, (0.25, 0.25), (1.0, 1.0)) for _ in range(50)]
    assert all(math.isclose(box.height * box.width, 40_000) for box in boxes)
