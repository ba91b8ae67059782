import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from scipy.ndimage import gaussian_filter

from twinsight.data import color

FACTORS = [0.0, 0.6, 0.93, 1.0, 1.4, 2.5]


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photo() -> np.ndarray:
    """Smooth and colorful, with values from 0 to 255, as photographs are."""
    smooth = cv2.GaussianBlur(noise(97, 131), (0, 0), 4)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)


IMAGES = {"photo": photo(), "noise": noise(64, 65), "column": noise(9, 1), "pixel": noise(1, 1)}


@pytest.fixture(params=list(IMAGES))
def image(request) -> np.ndarray:
    return IMAGES[request.param]


def torchvision(operation, image: np.ndarray, *arguments) -> np.ndarray:
    return operation(torch.from_numpy(image).permute(2, 0, 1), *arguments).permute(1, 2, 0).numpy()


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    assert ours.dtype == np.uint8
    assert ours.shape == theirs.shape
    return np.abs(ours.astype(float) - theirs)


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (color.brightness, TF.adjust_brightness),
        (color.contrast, TF.adjust_contrast),
        (color.saturation, TF.adjust_saturation),
    ],
)
def test_jitter_equals_torchvision(ours, theirs, image, factor):
    assert difference(ours(image, factor), torchvision(theirs, image, factor)).max() <= 2


@pytest.mark.parametrize("shift", [-0.5, -0.1, -0.07, 0.0, 0.03, 0.1, 0.5])
def test_hue_equals_torchvision(image, shift):
    assert difference(color.hue(image, shift), torchvision(TF.adjust_hue, image, shift)).max() <= 1


def test_hue_of_an_image_that_was_never_rounded_on_its_way():
    """Against torchvision in float64: only the last rounding differs."""
    for shift in (-0.33, -0.02, 0.08, 0.41):
        exact = torchvision(lambda x, s: TF.adjust_hue(x.double() / 255, s) * 255, photo(), shift)
        assert difference(color.hue(photo(), shift), exact).max() <= 0.51


def test_hue_turns_red_into_green_and_back():
    red = np.full((2, 3, 3), (255, 0, 0), np.uint8)
    green = np.full((2, 3, 3), (0, 255, 0), np.uint8)
    assert difference(color.hue(red, 1 / 3), green).max() <= 3
    assert difference(color.hue(green, -1 / 3), red).max() <= 3


def test_grayscale(image):
    assert difference(color.grayscale(image), image @ np.array([[0.299], [0.587], [0.114]]) * np.ones(3)).max() <= 1


@pytest.mark.parametrize("threshold", [0, 100, 128, 255])
def test_solarize_and_invert(image, threshold):
    np.testing.assert_array_equal(color.solarize(image, threshold), torchvision(TF.solarize, image, threshold))
    np.testing.assert_array_equal(color.invert(image), 255 - image)


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 1.0, 1.51, 2.0])
def test_blur_equals_a_float64_gaussian(image, sigma):
    reference = gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="mirror", truncate=8)
    assert difference(color.gaussian_blur(image, sigma), reference).max() <= 1.5


def test_blur_equals_torchvision():
    theirs = torchvision(TF.gaussian_blur, photo(), [23, 23], [1.7, 1.7])
    assert difference(color.gaussian_blur(photo(), 1.7), theirs).max() <= 1


def test_mix_is_a_matrix_product_clipped(image):
    matrix = np.random.default_rng(1).normal(size=(3, 3))
    reference = np.clip(image @ matrix.T, 0, 255)
    assert difference(color.mix(image, matrix), reference).max() <= 1


def test_the_input_is_left_alone(image):
    before = image.copy()
    for operation in color.JITTER.values():
        operation(image, 0.4)
    color.gaussian_blur(image, 1.0)
    color.solarize(image)
    color.invert(image)
    color.mix(image, np.ones((3, 3)))
    np.testing.assert_array_equal(image, before)
