"""Rare classes: how often each class occurs, what it weighs in a loss, how often its images are drawn."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from twinsight.data.samples import Dataset
from twinsight.data.tolerance import Tolerance

TEMPERATURE = 0.01
"""How much rarity counts in `rarity`: DAFormer's for Cityscapes."""


def class_pixels(dataset: Dataset, report: Callable[[int], None] = lambda done: None) -> np.ndarray:
    """(N, C) int64: how many pixels of each class each mask holds. Reads all masks, on threads.

    report: called with how many are done. Raises UserError for a mask that cannot be read, beyond `dataset.tolerate`.
    """
    tolerance = Tolerance(len(dataset), dataset.tolerate)
    classes = len(dataset.classes)

    def count(index: int) -> np.ndarray:
        _, mask = tolerance.read(dataset.mask, index)
        return np.zeros(classes, np.int64) if mask is None else np.bincount(mask.ravel(), minlength=256)[:classes]

    counted: list[np.ndarray] = []
    with ThreadPoolExecutor() as pool:
        for pixels in pool.map(count, range(len(dataset))):
            counted.append(pixels)
            report(len(counted))
    return np.stack(counted)


def median_frequency(pixels: np.ndarray) -> np.ndarray:
    """(N, C) pixels -> (C,) float32 weights: the median frequency over each class's own; 1 for a class without pixels.

    The frequency of a class is its pixels over the pixels, void left out, of the images that hold it. Eigen and
    Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale Convolutional
    Architecture", ICCV 2015.
    """
    own = pixels.sum(0)
    shown = ((pixels > 0) * pixels.sum(1, keepdims=True)).sum(0)
    held = own > 0
    frequency = own[held] / shown[held]
    weights = np.ones(pixels.shape[1], np.float32)
    weights[held] = np.median(frequency) / frequency
    return weights


def rarity(pixels: np.ndarray, temperature: float = TEMPERATURE) -> np.ndarray:
    """(N, C) pixels -> (N,) float64, summing to 1: the probability of each image if a rare class is drawn first.

    A class c of frequency f_c among all pixels is drawn with a probability proportional to exp((1 - f_c) /
    temperature), then one of the images that hold it, each alike. Hoyer et al., "DAFormer", CVPR 2022, section 3.3.
    """
    held = pixels > 0
    shown = held.any(0)
    scores = (1 - pixels.sum(0) / pixels.sum())[shown] / temperature
    classes = np.exp(scores - scores.max())
    return (held[:, shown] / held[:, shown].sum(0)) @ (classes / classes.sum())
