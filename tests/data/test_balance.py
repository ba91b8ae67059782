"""Class weights and rare-class sampling, against the papers' formulas worked out by hand."""

import numpy as np
import pytest

from twinsight.data.balance import class_pixels, median_frequency, rarity
from twinsight.data.folder import Folder
from twinsight.data.masks import write_mask
from twinsight.data.sampler import EpochSampler
from twinsight.data.samples import default_palette

PIXELS = np.array([[90, 10, 0, 0], [50, 0, 50, 0], [100, 0, 0, 0]])
"""Sky, car and pole in three images of 100 pixels; the last class never occurs."""


def test_median_frequency():
    # sky: 240 of 300 pixels; car: 10 of 100; pole: 50 of 100; the median of 0.8, 0.1 and 0.5 is 0.5.
    np.testing.assert_allclose(median_frequency(PIXELS), [0.5 / 0.8, 0.5 / 0.1, 1, 1], rtol=1e-6)


def test_rarity():
    # With T = 1: classes by exp(1 - 240/300), exp(1 - 10/300), exp(1 - 50/300), then their images alike.
    sky, car, pole = np.exp([1 - 0.8, 1 - 1 / 30, 1 - 1 / 6]) / np.exp([1 - 0.8, 1 - 1 / 30, 1 - 1 / 6]).sum()
    expected = [sky / 3 + car, sky / 3 + pole, sky / 3]
    np.testing.assert_allclose(rarity(PIXELS, temperature=1), expected)
    assert rarity(PIXELS).sum() == pytest.approx(1)
    assert rarity(PIXELS)[2] < 1e-20  # DAFormer's temperature hardly ever draws an image of common classes alone


def test_pixels_are_counted_without_void(tmp_path):
    masks = np.array([[[0, 0, 1], [255, 2, 2]], [[1, 1, 1], [1, 1, 255]]], np.uint8)
    for i, mask in enumerate(masks):
        write_mask(make(tmp_path / "images") / f"{i}.png", mask, default_palette("abc"))
        write_mask(make(tmp_path / "masks") / f"{i}.png", mask, default_palette("abc"))
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    done: list[int] = []
    counted = class_pixels(Folder(tmp_path, "all"), done.append)
    assert counted.tolist() == [[2, 1, 2], [0, 5, 0]]
    assert done == [1, 2]


def make(folder):
    folder.mkdir(exist_ok=True)
    return folder


def test_an_epoch_follows_the_odds_and_is_shared_by_processes():
    odds = np.array([0.7, 0.2, 0.1, 0.0])
    drawn = np.zeros(4)
    for epoch in range(2000):
        whole, halves = EpochSampler(4, True, 1, 0, 1, odds), [EpochSampler(4, True, 1, r, 2, odds) for r in (0, 1)]
        for each in (whole, *halves):
            each.set_epoch(epoch)
        indices = [index for _, index in whole]
        assert indices == [index for pair in zip(*halves) for _, index in pair]
        drawn += np.bincount(indices, minlength=4)
    np.testing.assert_allclose(drawn / drawn.sum(), odds, atol=0.02)
    assert drawn[3] == 0
