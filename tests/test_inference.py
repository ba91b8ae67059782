from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from twinsight.errors import UserError
from twinsight.segmentation.inference import Inference, at_once, spans


@pytest.fixture(scope="module")
def local():
    """Each pixel by itself: the same in every window, and mirrored with the image."""
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 1)


@pytest.fixture(params=[(20, 33), (7, 40), (16, 16)], ids=str)
def images(request):
    return torch.rand(2, 3, *request.param, generator=torch.Generator().manual_seed(1))


def test_plain(local, images):
    torch.testing.assert_close(Inference()(local, images), local(images).softmax(1))


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("window", [1, 5, 8, 16, 64])
def test_windows_of_a_local_model_equal_the_whole(local, images, window, overlap):
    found = Inference(window=window, overlap=overlap)(local, images)
    torch.testing.assert_close(found, local(images).softmax(1))


def test_flip_of_a_local_model_changes_nothing(local, images):
    torch.testing.assert_close(Inference(flip=True, window=8)(local, images), local(images).softmax(1))


def test_scales_and_flips_of_even_images_change_nothing(local):
    images = torch.full((1, 3, 13, 21), 0.3)
    found = Inference(scales=(0.5, 1.0, 1.7), flip=True)(local, images)
    torch.testing.assert_close(found, local(images).softmax(1), atol=1e-6, rtol=1e-5)


def test_the_average_is_of_the_mirrored_prediction_mirrored_back():
    def left(images):  # class 1 grows from left to right, whatever it sees
        ramp = torch.linspace(-2, 2, images.shape[-1]).expand(len(images), 1, *images.shape[-2:])
        return torch.cat((-ramp, ramp), dim=1)

    images = torch.rand(1, 3, 4, 9)
    plain = left(images).softmax(1)
    torch.testing.assert_close(Inference(flip=True)(left, images), (plain + plain.flip(-1)) / 2)


def test_the_model_sees_the_sizes_asked_for(local):
    seen = []

    def model(images):
        seen.append(tuple(images.shape[-2:]))
        return local(images)

    Inference(scales=(0.5, 1, 2))(model, torch.rand(1, 3, 10, 21))
    assert seen == [(5, 10), (10, 21), (20, 42)]
    seen.clear()
    Inference(window=8, overlap=0.25)(model, torch.rand(1, 3, 5, 14))
    assert seen == [(5, 8)]  # both windows at once


def test_windows_come_in_batches_of_bounded_size(local, monkeypatch):
    images = torch.rand(2, 3, 20, 33, generator=torch.Generator().manual_seed(1))
    expected = Inference(window=8)(local, images)
    seen = []

    def model(windows):
        seen.append(len(windows))
        return local(windows)

    monkeypatch.setattr(
        "twinsight.segmentation.inference.at_once", lambda pixels, device: 50 * 64 // pixels
    )  # 50 windows of 8 x 8
    torch.testing.assert_close(Inference(window=8)(model, images), expected)
    assert seen == [50, 14]  # 4 x 8 windows of 2 images each, 25 windows at once


def test_at_once():
    cpu = torch.device("cpu")
    assert [at_once(pixels, cpu) for pixels in (1, 2**17, 2**19, 2**19 + 1, 2**30)] == [2**19, 4, 1, 1, 1]


def test_scores_are_logits_only_where_nothing_is_averaged(local, images):
    assert torch.equal(Inference().scores(local, images), local(images))
    for averaging in (Inference(window=8), Inference(scales=(0.5, 1.0)), Inference(flip=True)):
        assert torch.equal(averaging.scores(local, images), averaging(local, images))


def test_uint8_images_at_other_scales(local):
    images = torch.randint(0, 256, (1, 3, 12, 12), dtype=torch.uint8)
    seen = []

    def model(images):
        seen.append(images)
        return local(images.float() / 255 if images.dtype == torch.uint8 else images)

    found = Inference(scales=(0.5, 1.0))(model, images)
    torch.testing.assert_close(found, Inference(scales=(0.5, 1.0))(local, images / 255))
    assert seen[0].max() <= 1


def test_probabilities(local, images):
    found = Inference(window=9, scales=(0.75, 1.5), flip=True)(local, images)
    assert found.shape == (len(images), 4, *images.shape[-2:])
    torch.testing.assert_close(found.sum(1), torch.ones_like(found[:, 0]))


@given(st.integers(1, 300), st.integers(1, 100), st.floats(0, 0.9))
def test_windows_cover_every_pixel(length, window, overlap):
    windows = list(spans(length, window, overlap))
    size = min(window, length)
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    assert all(end - start == size for start, end in windows)
    for (start, _), (following, _) in pairwise(windows):
        assert 0 < following - start <= max(1, size * (1 - overlap))


@pytest.mark.parametrize(
    ("options", "flag"),
    [({"window": 0}, "--window"), ({"overlap": 1.0}, "--overlap"), ({"scales": ()}, "--scales"), ({"scales":
    (0.0,)}, "--scales")],
)  # fmt: skip
def test_what_cannot_be(options, flag):
    with pytest.raises(UserError, match=flag):
        Inference(**options)
