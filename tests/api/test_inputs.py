"""Images as callers have them."""

import numpy as np
import pytest
import torch
from PIL import Image

from twinsight.api.inputs import shrink, take
from twinsight.data.samples import Sample
from twinsight.errors import UserError

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
CHW = torch.from_numpy(RGB).permute(2, 0, 1)


def read(images, **options) -> list[torch.Tensor]:
    return list(take(images, **options))


@pytest.mark.parametrize(
    "image",
    [
        RGB,
        Image.fromarray(RGB),
        CHW,
        np.dstack([RGB, RGB[..., 0]]),
        Image.fromarray(RGB).convert("RGBA"),
        RGB[:, ::-1][:, ::-1],
        Sample(RGB, None, "x"),
    ],
    ids=["array", "pillow", "tensor", "alpha", "pillow with alpha", "a view", "a sample"],
)
def test_the_same_pixels_however_they_come(image):
    (found,) = read(image)
    assert found.dtype == torch.uint8
    assert torch.equal(found, CHW)
    assert take(image).single
    assert not take([image]).single


def test_files(tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(RGB).save(tmp_path / name)
    assert torch.equal(read(tmp_path / "a.png")[0], CHW)
    assert torch.equal(read(str(tmp_path / "a.png"))[0], CHW)
    assert len(read(tmp_path)) == 2
    assert take(tmp_path).names == ["a", "b"]


def test_gray():
    gray = RGB[..., 0]
    expected = torch.from_numpy(gray).expand(3, -1, -1)
    for image in (gray, gray[..., None], torch.from_numpy(gray), torch.from_numpy(gray)[None], Image.fromarray(gray)):
        assert torch.equal(read(image)[0], expected)


def test_batches():
    assert len(read(torch.stack([CHW, CHW]))) == 2
    assert torch.equal(read(np.stack([RGB, RGB]))[1], CHW)


def test_floats_stay_floats():
    image = RGB.astype(np.float64) / 255
    (found,) = read(image)
    assert found.dtype == torch.float32
    assert torch.equal(found, torch.from_numpy(image).permute(2, 0, 1).float())
    assert read((CHW / 255).half())[0].dtype == torch.float32
    assert read(image.astype(">f4"))[0].dtype == torch.float32


def test_deep_images(tmp_path):
    deep = (RGB[..., 0].astype(np.uint16) << 4) | 15  # of 12 bits
    expected = torch.from_numpy(RGB[..., 0]).expand(3, -1, -1)
    assert torch.equal(read(deep, bits=12)[0], expected)
    assert torch.equal(read(torch.from_numpy(deep), bits=12)[0], expected)
    file = tmp_path / "deep.png"
    Image.fromarray(deep).save(file)
    assert torch.equal(read(Image.open(file), bits=12)[0], expected)
    assert torch.equal(read(file)[0], expected)  # decided over the files, as the commands do
    assert torch.equal(read([file, file])[1], expected)
    for image in (deep, Image.open(file), iter([file])):
        with pytest.raises(UserError, match="holds 16-bit values; give bits"):
            read(image)


def test_an_iterator_is_read_as_it_is_asked_for():
    asked = []

    def frames():
        for i in range(100):
            asked.append(i)
            yield RGB

    given = take(frames())
    assert given.streamed
    images = iter(given)
    next(images)
    next(images)
    assert asked == [0, 1]


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (RGB.transpose(2, 0, 1), r"array of shape \(3, 5, 7\) is not an image.*come first.*transpose\(1, 2, 0\)"),
        (torch.from_numpy(RGB), r"tensor of shape \(5, 7, 3\) is not an image.*channels come last.*permute\(2, 0, 1\)"),
        (RGB.astype(np.float32), r"floats must lie in \[0, 1\], and these in \[.*\]; divide them by 255"),
        ((CHW / 255 - 0.5) / 0.2, r"floats must lie in \[0, 1\].*not normalized"),
        (np.full((4, 4, 3), np.nan), r"contains NaN; replace it"),
        (RGB.astype(np.int64), r"array of int64 is not an image"),
        (RGB > 5, r"array of bool is not an image"),
        (CHW.int(), r"tensor of int32 is not an image"),
        (np.zeros((0, 5, 3), np.uint8), r"holds no pixel"),
        (np.zeros((4, 4, 2), np.uint8), r"is not an image"),
        (np.zeros(4, np.uint8), r"is not an image"),
        ([], r"images: the list is empty"),
        ([RGB, None], r"image 1: NoneType is not an image"),
        ([[RGB]], r"image 0: list is not an image"),
        ([CHW[None]], r"tensor of shape \(1, 3, 5, 7\) is not an image"),
        (None, r"images: NoneType is not an image"),
        ({"a": RGB}, r"images: dict is not an image"),
        (b"\x89PNG", r"images: bytes is not an image"),
        ("no/such.jpg", r"no/such.jpg: no such file or folder"),
        (["no/such.jpg"], r"no/such.jpg: cannot be read as an image \(no such file\)"),
        (["."], r"is a folder within a list"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(image, sentence):
    with pytest.raises(UserError, match=sentence):
        read(image)


def test_a_folder_without_images(tmp_path):
    with pytest.raises(UserError, match="holds no image"):
        read(tmp_path)


def test_shrinking():
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    assert shrink(image, 20).shape == (3, 20, 30)
    assert shrink(image, 50) is image
    assert shrink(image, None) is image
    assert shrink(image / 255, 20).dtype == torch.float32


def test_arrays_are_not_changed_nor_kept():
    image = RGB.copy()
    (found,) = read(image)
    image[:] = 0
    assert torch.equal(found, CHW)
