import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import binomtest, kstest

from twinsight.data.pairs import PairAugmentation, PairParams
from twinsight.data.samples import VOID
from twinsight.data.views import Box

SHAPES = [(120, 160), (167, 105), (40, 300), (7, 5), (1, 1)]


def stripes(height: int, width: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Stripes 16 pixels wide of 40 and 200, labeled 1 and 0."""
    labels = np.indices((height, width))[axis] // 16 % 2
    return np.where(labels[..., None] == 1, 40, 200).repeat(3, 2).astype(np.uint8), labels.astype(np.uint8)


@pytest.mark.parametrize("size", [64, (96, 55), (33, 200)])
@pytest.mark.parametrize("shape", SHAPES)
def test_image_and_mask_stay_aligned_to_the_pixel(shape, size):
    """Across a straight edge a linear filter passes the midway value just where the nearest label changes."""
    rng, augment = np.random.default_rng(0), PairAugmentation(size=size, jitter=0.0)
    for draw in range(30):
        image, mask = augment(*stripes(*shape, axis=draw % 2), rng)
        assert image.shape[:2] == mask.shape == ((size, size) if isinstance(size, int) else size)
        value, inside = image[..., 0].astype(int), mask != VOID
        clear = inside & (np.abs(value - 120) > 3)  # 120 ± rounding may be either
        np.testing.assert_array_equal(mask[clear], (value < 120)[clear])
        assert clear.sum() >= 0.9 * inside.sum()
        np.testing.assert_array_equal((image == augment.fill).all(2), ~inside)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (100, 37), (31, 90)])
def test_geometry_equals_torch(height, width, flip):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (80, 90, 3), dtype=np.uint8)
    mask = rng.integers(0, 21, (80, 90), dtype=np.uint8)
    params = PairParams(Box(9, 17, 51, 62), Box(0, 0, height, width), flip, ())
    ours = PairAugmentation(size=(height, width)).apply(image, mask, params)
    crop = torch.from_numpy(image[9:60, 17:79]).permute(2, 0, 1)[None].double()
    labels = torch.from_numpy(mask[9:60, 17:79])[None, None]
    pixels = F.interpolate(crop, (height, width), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    nearest = F.interpolate(labels, (height, width), mode="nearest-exact")[0, 0].numpy()
    if flip:
        pixels, nearest = pixels[:, ::-1], nearest[:, ::-1]
    assert np.abs(ours[0] - pixels).max() <= 1.5
    np.testing.assert_array_equal(ours[1], nearest)


def test_borders_are_void_and_placed_at_random():
    augment = PairAugmentation(size=100, scale=(0.5, 1.0), jitter=0.0, fill=(1, 2, 3))
    image, mask = np.full((60, 80, 3), 9, np.uint8), np.zeros((60, 80), np.uint8)
    rng, corners = np.random.default_rng(0), set()
    for _ in range(100):
        params = augment.draw(rng, 60, 80)
        new_image, new_mask = augment.apply(image, mask, params._replace(flip=False))
        t = params.target
        assert abs(t.width / t.height - 80 / 60) < 0.06
        inside = np.zeros((100, 100), bool)
        inside[t.top : t.top + t.height, t.left : t.left + t.width] = True
        np.testing.assert_array_equal(new_mask, np.where(inside, 0, VOID))
        np.testing.assert_array_equal(new_image, np.where(inside[..., None], 9, np.array([1, 2, 3])))
        corners.add((t.top, t.left))
    assert len(corners) > 80


def test_scale_and_flip_are_drawn_as_asked():
    augment, rng = PairAugmentation(size=64, jitter=0.3), np.random.default_rng(0)
    params = [augment.draw(rng, 400, 500) for _ in range(2000)]
    assert all(p.target == Box(0, 0, 64, 64) for p in params)
    assert kstest([64 / p.source.height for p in params], "uniform", (0.5, 1.5)).statistic < 0.05
    assert all(abs(p.source.height - p.source.width) <= 1 for p in params)
    assert max(p.source.top + p.source.height for p in params) <= 400
    assert max(p.source.left + p.source.width for p in params) <= 500
    assert binomtest(sum(p.flip for p in params), 2000, 0.5).pvalue > 1e-6
    assert binomtest(sum(bool(p.jitter) for p in params), 2000, 0.3).pvalue > 1e-6


def test_crops_reach_every_corner():
    augment, rng = PairAugmentation(size=8, scale=(1.0, 1.0)), np.random.default_rng(0)
    corners = {(p.source.top, p.source.left) for p in (augment.draw(rng, 10, 11) for _ in range(500))}
    assert corners == {(y, x) for y in range(3) for x in range(4)}


def test_jitter_changes_only_the_colors_inside():
    augment = PairAugmentation(size=60, jitter=1.0)
    image, mask = stripes(20, 20, axis=0)
    params = augment.draw(np.random.default_rng(0), 20, 20)
    bright, same = augment.apply(image, mask, params._replace(jitter=(("brightness", 0.5),)))
    plain, labels = augment.apply(image, mask, params._replace(jitter=()))
    np.testing.assert_array_equal(same, labels)
    inside = labels != VOID
    assert np.abs(bright[inside] - plain[inside] / 2).max() <= 0.5
    np.testing.assert_array_equal(bright[~inside], plain[~inside])


def test_labels_stay_labels():
    mask = np.array([[0, 20], [VOID, 7]], np.uint8).repeat(30, 0).repeat(30, 1)
    image = np.zeros((60, 60, 3), np.uint8)
    rng, augment = np.random.default_rng(0), PairAugmentation(size=45)
    assert {int(v) for _ in range(20) for v in np.unique(augment(image, mask, rng)[1])} <= {0, 7, 20, VOID}
