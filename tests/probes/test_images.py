import numpy as np
import pytest
import torch

from twinsight.probes.images import batches, common_crop, mask_to_tensor, over_image, pixels, to_tensor

CPU = torch.device("cpu")


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def test_pixels_and_back():
    original = image(5, 7)
    assert (pixels(to_tensor(original)) == original).all()
    assert (pixels(to_tensor(original).float() / 255) == original).all()


@pytest.mark.parametrize(("size", "expected"), [(None, (60, 91)), (100, (60, 91)), (30, (30, 46)), (60, (60, 91))])
def test_only_larger_images_are_brought_down(size, expected):
    assert to_tensor(image(60, 91), size).shape == (3, *expected)


def test_a_mask_follows_its_image_without_new_classes():
    mask = np.where(np.arange(91) < 45, 3, 255).astype(np.uint8)[None].repeat(60, 0)
    small = mask_to_tensor(mask, to_tensor(image(60, 91), 20))
    assert small.shape == (20, 30)
    assert set(small.unique().tolist()) == {3, 255}


def test_batches_keep_the_order_and_only_equal_neighbors_share_one():
    sizes = [(4, 4)] * 3 + [(4, 5)] + [(4, 4)] * 2
    images = [to_tensor(image(*size, seed=i)) for i, size in enumerate(sizes)]
    got = list(batches(images, CPU, size=2))
    assert [len(batch) for batch in got] == [2, 1, 1, 2]
    assert all(torch.equal(a, b) for a, b in zip([one for batch in got for one in batch], images))
    assert [len(batch) for batch in batches(torch.zeros(5, 3, 2, 2), CPU, size=4)] == [4, 1]


def test_common_crop_is_central():
    wide, tall = torch.arange(8.0).expand(3, 4, 8), torch.zeros(3, 6, 5)
    cropped = common_crop([wide, tall])
    assert cropped.shape == (2, 3, 4, 5)
    assert cropped[0, 0, 0].tolist() == [1, 2, 3, 4, 5]


def test_maps_that_cover_padding_lie_right_over_the_image():
    maps = torch.arange(6.0).view(1, 2, 3)
    large = over_image(maps, extent=(8, 12), size=(7, 10), mode="nearest")
    assert large.shape == (1, 7, 10)
    assert (large[0, :4, :4] == 0).all()
    assert (large[0, 4:, 8:] == 5).all()
