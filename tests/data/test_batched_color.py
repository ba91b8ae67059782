"""Batches on a device against one image at a time on the CPU: what they differ by is rounding, not mathematics."""

import colorsys

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from twinsight.data import batched_color, color
from twinsight.data.batched_color import recolor, recolor_views
from twinsight.data.views import Box, Params, View, draw_mix, multi_crop, two_views

SIZES = [(97, 131), (64, 65), (9, 1), (1, 1), (5, 12)]
COUNT = 8


def photo(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth and colorful, with values from 0 to 255, as photographs are."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)


@pytest.fixture(params=SIZES, ids=str)
def images(request) -> np.ndarray:
    """(COUNT, H, W, 3), half of them smooth and half of them noise."""
    noise = np.random.default_rng(0).integers(0, 256, (COUNT // 2, *request.param, 3), dtype=np.uint8)
    return np.concatenate([noise, [photo(*request.param, seed) for seed in range(COUNT // 2)]])


def batch(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def difference(ours: torch.Tensor, theirs) -> np.ndarray:
    assert ours.equal(ours.round().clamp(0, 255))
    return np.abs(ours.permute(0, 2, 3, 1).numpy().astype(float) - np.stack(theirs))


def compare(operation: str, images: np.ndarray, *values, **options) -> np.ndarray:
    """Levels between a batch's results and those of `color`, image by image; values: one sequence an argument."""
    floats = batch(images).float()
    before = floats.clone()
    tensors = [torch.from_numpy(np.array(each, np.float32)) for each in values]
    ours = getattr(batched_color, operation)(floats, *tensors, **options)
    assert torch.equal(floats, before)
    return difference(ours, [getattr(color, operation)(*each) for each in zip(images, *values)])


@pytest.mark.parametrize("operation", ["brightness", "contrast"])
def test_brightness_and_contrast_are_the_same(images, operation):
    assert compare(operation, images, [0.0, 0.3, 0.6, 0.93, 1.0, 1.07, 1.4, 2.5]).mean() <= 1e-4


def test_saturation_and_mix_differ_by_the_fixed_point_of_opencv(images):
    """Whose error of less than 0.1 turns one pixel's rounding in twenty."""
    error = compare("saturation", images, [0.0, 0.3, 0.6, 0.93, 1.0, 1.07, 1.4, 2.5])
    assert error.max() <= 1
    assert error.mean() <= 0.1
    rng = np.random.default_rng(1)
    error = compare("mix", images, [draw_mix(rng) for _ in images])
    assert error.max() <= 1
    assert error.mean() <= 0.1


@pytest.mark.parametrize("operation", ["saturation", "mix"])
def test_saturation_and_mix_are_a_float64_matrix_product_rounded(images, operation):
    rng = np.random.default_rng(2)
    factors = rng.uniform(0, 2, COUNT)
    matrices = np.array([draw_mix(rng) for _ in images])
    if operation == "saturation":
        matrices = factors[:, None, None] * np.eye(3) + (1 - factors[:, None, None]) * color.LUMA
    values = torch.from_numpy(factors if operation == "saturation" else matrices).float()
    ours = getattr(batched_color, operation)(batch(images).float(), values)
    reference = np.clip(np.einsum("nij,nhwj->nhwi", matrices, images.astype(float)), 0, 255)
    assert difference(ours, reference).max() <= 0.501


def test_hue(images):
    shifts = [-0.5, -0.33, -0.1, -0.02, 0.0, 0.08, 0.41, 0.5]
    error = compare("hue", images, shifts)
    assert error.max() <= 1
    assert error.mean() <= 1e-3
    turned = batched_color.hue(batch(images[:, :3, :3]).float(), torch.tensor(shifts))
    reference = [
        [[turn(pixel, shift) for pixel in row] for row in image] for image, shift in zip(images[:, :3, :3], shifts)
    ]
    assert difference(turned, reference).max() <= 0.501


def turn(pixel: np.ndarray, shift: float) -> list[float]:
    """By Python's own float64."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255).tolist())
    return [255 * x for x in colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)]


def test_grays_stay_gray_under_hue():
    gray = torch.arange(256.0).expand(1, 3, 1, 256)
    assert torch.equal(batched_color.hue(gray, torch.tensor([0.3])), gray)


def test_grayscale_solarize_invert(images):
    error = compare("grayscale", images)
    assert error.max() <= 1
    assert error.mean() <= 0.01
    for threshold in (0, 100, 128, 255):
        ours = batched_color.solarize(batch(images).float(), threshold)
        assert difference(ours, [color.solarize(image, threshold) for image in images]).max() == 0
    assert compare("invert", images).max() == 0


def test_blur_has_its_own_width_in_every_image(images):
    sigmas = [0.1, 0.3, 0.5, 1.0, 1.2, 1.51, 1.9, 2.0]
    error = compare("gaussian_blur", images, sigmas, most=2.0)
    assert error.max() <= 1
    assert error.mean() <= 1e-3
    reference = []
    for image, sigma in zip(images.astype(float), sigmas):
        radius = np.ceil(3 * sigma)
        reference.append(gaussian_filter(image, (sigma, sigma, 0), mode="mirror", radius=(int(radius), int(radius), 0)))
    ours = batched_color.gaussian_blur(batch(images).float(), torch.tensor(sigmas), 2.0)
    assert difference(ours, reference).max() <= 0.501


def plain(**changes) -> Params:
    none = {"jitter": (), "mix": None, "invert": False, "gray": False, "blur": None, "solarize": False}
    return Params(Box(0, 0, 1, 1), False, **none | changes)


def test_only_the_images_asked_for_change(images):
    changes = [{}, {"invert": True}, {}, {"blur": 1.0}, {"jitter": (("hue", 0.3),)}, {}, {"mix": -np.eye(3)}, {}]
    before = images.copy()
    after = recolor(batch(images), [plain(**change) for change in changes])
    assert np.array_equal(images, before)
    assert after.dtype == torch.uint8
    for image, original, change in zip(after, batch(images), changes):
        assert change or torch.equal(image, original)
    assert torch.equal(after[1], 255 - batch(images)[1])
    assert not after[6].any()


def test_jitter_in_the_order_drawn_for_each_image():
    orders = [
        (("brightness", 2.0), ("contrast", 0.5), ("saturation", 0.3), ("hue", 0.2)),
        (("hue", 0.2), ("saturation", 0.3), ("contrast", 0.5), ("brightness", 2.0)),
        (("contrast", 0.5), ("brightness", 2.0), ("hue", 0.2), ("saturation", 0.3)),
        (("brightness", 2.0),),
        (),
    ]
    images = np.stack([photo(33, 47, 0)] * len(orders))
    params = [plain(jitter=order) for order in orders]
    expected = np.stack([View().color(image, drawn) for image, drawn in zip(images, params)])
    assert difference(recolor(batch(images), params), expected).mean() <= 0.1
    distances = np.abs(expected[:, None].astype(float) - expected[None]).mean((2, 3, 4))
    assert distances[~np.eye(len(orders), dtype=bool)].min() > 3  # an order mistaken would show


@pytest.mark.parametrize("shared", [{}, {"mix": 0.5, "invert": 0.5}], ids=["papers", "mixed"])
@pytest.mark.parametrize("kind", [two_views, multi_crop])
def test_whole_pipelines(kind, shared):
    """2 to 8 % of all values are a level off, for OpenCV's fixed point, which the next operation may magnify."""
    small = {"size": 71} | ({"local_size": 35, "local_views": 3} if kind is multi_crop else {}) | shared
    transform, rng = kind(**small), np.random.default_rng(5)
    originals = [photo(90, 120, seed) for seed in range(40)]
    params = [transform.draw(rng, 90, 120) for _ in originals]
    made = zip(*(transform.apply(image, drawn) for image, drawn in zip(originals, params)))
    crops = zip(*(transform.crop(image, drawn) for image, drawn in zip(originals, params)))
    ours = recolor_views([batch(np.stack(same)) for same in crops], params, transform)
    assert len(ours) == len(transform.views)
    for view, expected in zip(ours, made, strict=True):
        assert view.dtype == torch.uint8
        assert view.is_contiguous(memory_format=torch.channels_last)
        error = difference(view, expected)
        assert error.max() <= 8
        assert error.mean() <= 0.1
        assert (error > 1).mean() <= 0.01


def test_each_view_has_its_own_threshold():
    transform = two_views(size=16, solarize=(1.0, 1.0), jitter=0, gray=0, blur=(0, 0))
    transform.views = (transform.views[0], View(size=16, solarize=1.0, threshold=40))
    rng = np.random.default_rng(0)
    params = [[plain(solarize=True)] * 2] * 3
    crops = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    ours = recolor_views([batch(crops)] * 2, params, transform)
    for view, threshold in zip(ours, (128, 40)):
        assert difference(view, [color.solarize(image, threshold) for image in crops]).max() == 0


def test_in_parts_as_at_once(monkeypatch):
    view, rng = View(solarize=0.5, mix=0.5), np.random.default_rng(0)
    images = batch(np.stack([photo(20, 31, seed) for seed in range(7)]))
    params = [view.draw(rng, 20, 31) for _ in images]
    whole = recolor(images, params)
    for pixels in (1, 3 * 20 * 31):
        monkeypatch.setattr(batched_color, "AT_ONCE", pixels)
        assert torch.equal(recolor(images, params), whole)


def test_the_host_reads_nothing_back():
    """Tensors without data raise where a value would be asked for, as by .item() or a mask that selects."""
    view, rng = View(solarize=0.5, mix=0.5, invert=0.5), np.random.default_rng(0)
    params = [view.draw(rng, 20, 31) for _ in range(16)]
    done = recolor(torch.empty(16, 3, 20, 31, dtype=torch.uint8, device="meta"), params)
    assert done.shape == (16, 3, 20, 31)
    for read in (lambda: done[done > 3], lambda: done.sum().item()):
        with pytest.raises(RuntimeError):
            read()


def test_under_autocast_and_inference_mode_as_without():
    view, rng = View(solarize=0.5, mix=0.5), np.random.default_rng(0)
    images = batch(np.stack([photo(20, 31, seed) for seed in range(7)]))
    params = [view.draw(rng, 20, 31) for _ in images]
    plainly = recolor(images, params)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        assert torch.equal(recolor(images, params), plainly)
