"""Every format against the array written, or against Pillow's own reading of the same file."""

import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from twinsight.data.decode import decode_image, decode_mask, image_size
from twinsight.errors import UserError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
SMOOTH = cv2.resize(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8), (53, 37))
LABELS = RNG.integers(0, 21, (37, 53), dtype=np.uint8)
ORIENTATION = 0x0112


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def check_image(image):
    assert image.dtype == np.uint8
    assert image.flags.writeable
    assert image.flags.c_contiguous


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF", "a.webp"])
def test_lossless_rgb_comes_back_as_written(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(NOISE).save(tmp_path / name, **options)
    image = decode_image(tmp_path / name)
    check_image(image)
    np.testing.assert_array_equal(image, NOISE)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_compressed_tiff(tmp_path, compression):
    Image.fromarray(NOISE).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif"), NOISE)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_equals_pillow(tmp_path, mode, progressive):
    path = tmp_path / "a.jpg"
    Image.fromarray(SMOOTH).convert(mode).save(path, quality=90, progressive=progressive)
    image = decode_image(path)
    check_image(image)
    # CMYK goes through one more rounding; an inverted one would be off by a hundred.
    reference = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert abs(image - reference).max() <= (1 if mode == "CMYK" else 0)
    assert abs(image - (SMOOTH if mode != "L" else reference).astype(int)).mean() < 6


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_gray_is_repeated(tmp_path, suffix):
    Image.fromarray(NOISE[..., 0]).save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(decode_image(tmp_path / f"a.{suffix}"), np.dstack([NOISE[..., 0]] * 3))


def test_bilevel_is_black_and_white(tmp_path):
    Image.fromarray(NOISE[..., 0] > 127).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png")[..., 1], (NOISE[..., 0] > 127) * 255)


def test_gray_of_four_bits_is_stretched(tmp_path):
    write_gray_png(tmp_path / "a.png", NOISE[..., 0] % 16, bits=4)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png")[..., 0], NOISE[..., 0] % 16 * 17)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_alpha_is_dropped_and_colors_stay(tmp_path, mode, suffix):
    alpha = RNG.integers(0, 256, (37, 53), dtype=np.uint8)
    colors = NOISE if mode == "RGBA" else NOISE[..., :1]
    Image.fromarray(np.dstack([colors, alpha]), mode).save(tmp_path / f"a.{suffix}")
    expected = np.broadcast_to(colors, NOISE.shape)
    np.testing.assert_array_equal(decode_image(tmp_path / f"a.{suffix}"), expected)


def test_alpha_of_webp_is_dropped(tmp_path):
    opaque = np.full((37, 53, 1), 200, np.uint8)
    Image.fromarray(np.dstack([NOISE, opaque])).save(tmp_path / "a.webp", lossless=True, exact=True)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.webp"), NOISE)


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 200, 10))])
def test_palette_becomes_its_colors(tmp_path, transparency):
    palette = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    picture = Image.fromarray(LABELS)
    picture.putpalette(palette.tobytes())
    picture.save(tmp_path / "a.png", **({} if transparency is None else {"transparency": transparency}))
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png"), palette[LABELS])


def test_cmyk_tiff(tmp_path):
    Image.fromarray(NOISE).convert("CMYK").save(tmp_path / "a.tif")
    np.testing.assert_allclose(decode_image(tmp_path / "a.tif"), NOISE, atol=1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix, channels):
    deep = RNG.integers(0, 65536, (37, 53, channels), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), deep.squeeze())
    colors = deep[..., 2::-1] if channels > 1 else np.repeat(deep, 3, axis=2)  # OpenCV writes BGR
    np.testing.assert_array_equal(decode_image(tmp_path / f"a.{suffix}"), colors >> 8)


def test_big_endian_sixteen_bits(tmp_path):
    deep = RNG.integers(0, 65536, (37, 53), dtype=np.uint16)
    Image.frombytes("I;16B", (53, 37), deep.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif")[..., 0], deep >> 8)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_thirty_two_bits_are_refused(tmp_path, dtype):
    Image.fromarray(np.ones((4, 5), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"a\.tif: has 32-bit pixels"):
        decode_image(tmp_path / "a.tif")


UPRIGHT = {  # what a viewer does with a stored array, by orientation
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    options = {"jpg": {"quality": 95}, "webp": {"lossless": True}}.get(suffix, {})
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(SMOOTH).save(path, exif=exif, **options)
    image = decode_image(path)
    expected = UPRIGHT[orientation](SMOOTH)
    assert image.shape == expected.shape
    assert image_size(path) == image.shape[:2]
    if suffix == "jpg":
        assert abs(image.astype(int) - expected).mean() < 4
    else:
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.98])
def test_a_truncated_file_is_refused(tmp_path, name, keep):
    path = tmp_path / name
    Image.fromarray(NOISE).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(UserError, match=f"{name}: cannot be read as an image"):
        decode_image(path)


@pytest.mark.parametrize("cut", [1, 2, 3, 30])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_lacks_its_last_bytes_is_refused(tmp_path, cut, options):
    path = tmp_path / "a.jpg"
    Image.fromarray(SMOOTH).save(path, **options)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UserError, match="truncated"):
        decode_image(path)


def test_the_content_decides_not_the_extension(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(decode_image(tmp_path / "a.jpg"), NOISE)


@pytest.mark.parametrize("decode", [decode_image, decode_mask, image_size])
def test_what_is_no_image(tmp_path, decode):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(UserError, match=r"a\.png: cannot be read as an image"):
        decode(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"b\.png: .*no such file"):
        decode(tmp_path / "b.png")
    with pytest.raises(UserError, match="cannot be read"):
        decode(tmp_path)


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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
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


def write_gray_png(path, values, bits):
    """A grayscale PNG of 1, 2 or 4 bits a pixel, which Pillow reads but cannot write."""
    height, width = values.shape
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    rows = np.packbits(((values[..., None] >> shifts) & 1).reshape(height, -1), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
