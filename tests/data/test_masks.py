"""Masks: what is read of every kind of file against the values that went in, and what is written."""

import cv2
import numpy as np
import pytest
from PIL import Image
from test_decode import write_gray_png
from torchvision.io import decode_image as torchvision_decode

from twinsight.data.masks import decode_mask, write_mask
from twinsight.errors import UserError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
LABELS = RNG.integers(0, 21, (37, 53), dtype=np.uint8)


@pytest.mark.parametrize("classes", [2, 3, 5, 16, 17, 171])
@pytest.mark.parametrize("void", [False, True])
def test_every_reader_gets_back_the_indices_that_were_written(tmp_path, classes, void):
    labels = RNG.integers(0, classes, (37, 53), dtype=np.uint8)
    labels[0] = 255 if void else labels[0]
    palette = RNG.integers(0, 256, (classes, 3), dtype=np.uint8)
    file = tmp_path / ".a.png.tmp"
    write_mask(file, labels, palette)
    assert file.read_bytes()[24:26] == b"\x08\x03"  # IHDR: 8 bits, palette
    with Image.open(file) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.array(image.getpalette()).reshape(-1, 3)[:classes], palette)
        assert image.getpalette()[-3:] == [224, 224, 192]  # void, as VOC shows it
    np.testing.assert_array_equal(torchvision_decode(file)[0].numpy(), labels)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
@pytest.mark.parametrize("palette", [False, True])
def test_masks_keep_their_indices(tmp_path, suffix, palette):
    labels = LABELS.copy()
    labels[0] = 255
    picture = Image.fromarray(labels)
    if palette:
        picture.putpalette(RNG.integers(0, 256, 768, dtype=np.uint8).tobytes())
    picture.save(tmp_path / f"a.{suffix}")
    mask = decode_mask(tmp_path / f"a.{suffix}")
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, labels)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_masks_of_few_bits_keep_their_indices(tmp_path, bits):
    labels = LABELS % (1 << bits)
    write_gray_png(tmp_path / "gray.png", labels, bits)
    np.testing.assert_array_equal(decode_mask(tmp_path / "gray.png"), labels)
    picture = Image.fromarray(labels)
    picture.putpalette(RNG.integers(0, 256, 3 << bits, dtype=np.uint8).tobytes())
    picture.save(tmp_path / "palette.png", bits=bits)
    np.testing.assert_array_equal(decode_mask(tmp_path / "palette.png"), labels)


def test_masks_of_sixteen_bits(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), LABELS.astype(np.uint16))
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.png"), LABELS)
    cv2.imwrite(str(tmp_path / "b.png"), LABELS.astype(np.uint16) + 250)
    with pytest.raises(UserError, match=r"b\.png: holds values from 250 to 270"):
        decode_mask(tmp_path / "b.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_is_no_mask(tmp_path, mode):
    Image.fromarray(NOISE).convert(mode).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=rf"a\.png: is an {mode} picture, not class indices; convert it"):
        decode_mask(tmp_path / "a.png")


def test_a_jpeg_is_no_mask(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="compression"):
        decode_mask(tmp_path / "a.jpg")


def test_a_truncated_mask_is_refused(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"a\.png: cannot be read"):
        decode_mask(tmp_path / "a.png")
