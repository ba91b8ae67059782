"""Photometric operations on (H, W, 3) uint8 RGB images; the caller draws the parameters.

Each takes uint8 and returns a new uint8 array, rounded and clipped to [0, 255], with the same mathematics as
torchvision's `transforms.v2.functional`.
"""

import math

import cv2
import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in luma (ITU-R BT.601)."""


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """factor * image; factor >= 0, 1 changes nothing, 0 gives black."""
    return cv2.convertScaleAbs(image, alpha=factor)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Blends with the mean gray of the image; factor >= 0, 1 changes nothing, 0 gives that gray."""
    mean = float(LUMA @ cv2.mean(image)[:3])
    return cv2.addWeighted(image, factor, image, 0.0, (1 - factor) * mean)


def saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Blends with the grayscale image; factor >= 0, 1 changes nothing, 0 gives grayscale."""
    return mix(image, factor * np.eye(3) + (1 - factor) * LUMA)


def hue(image: np.ndarray, shift: float) -> np.ndarray:
    """Shifts the hue by `shift` turns, in [-0.5, 0.5]."""
    hsv = image.astype(np.float32)
    cv2.cvtColor(hsv, cv2.COLOR_RGB2HSV, hsv)
    hsv[..., 0] += shift % 1 * 360  # OpenCV accepts hues above 360 degrees, but not below 0
    return cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, hsv))


def grayscale(image: np.ndarray) -> np.ndarray:
    """The luma in all three channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Convolves with a Gaussian of `sigma` > 0 pixels, truncated at 3 sigma; the border is mirrored."""
    # A float32 kernel: cv2.GaussianBlur's fixed-point one is less exact and, here, slower.
    kernel = cv2.getGaussianKernel(2 * math.ceil(3 * sigma) + 1, sigma, cv2.CV_32F)
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)


def solarize(image: np.ndarray, threshold: int = 128) -> np.ndarray:
    """Inverts values at or above `threshold`."""
    return cv2.bitwise_xor(image, cv2.threshold(image, threshold - 1, 255, cv2.THRESH_BINARY)[1])


def invert(image: np.ndarray) -> np.ndarray:
    """255 - image."""
    return cv2.bitwise_not(image)


def mix(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Each pixel x becomes matrix @ x; matrix: (3, 3)."""
    return cv2.transform(image, matrix)


JITTER = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
"""The operations of color jitter by name, each called as (image, factor)."""
