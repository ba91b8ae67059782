"""Every format against the array written, or against Pillow's own reading of the same file."""

import os
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from twinsight.data.decode import decode_image, image_size, jpeg_size
from twinsight.data.masks import decode_mask
from twinsight.data.reading import Reading
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
    alpha = RNG.choice(np.array([0, 255], np.uint8), (37, 53))
    alpha[0] = RNG.integers(0, 256, 53)
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
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix, channels):
    deep = RNG.integers(0, 65536, (37, 53, channels), dtype=np.uint16)
    deep[0] = 65535
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), deep.squeeze())
    colors = deep[..., 2::-1] if channels > 1 else np.repeat(deep, 3, axis=2)  # OpenCV writes BGR
    np.testing.assert_array_equal(decode_image(tmp_path / f"a.{suffix}"), colors >> 8)


def test_big_endian_sixteen_bits(tmp_path):
    deep = RNG.integers(0, 65536, (37, 53), dtype=np.uint16)
    Image.frombytes("I;16B", (53, 37), deep.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif")[..., 0], deep >> 8)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
@pytest.mark.parametrize("channels", [1, 3])
def test_of_sixteen_bits_those_that_are_filled_count(tmp_path, bits, suffix, channels):
    deep = RNG.integers(0, 1 << bits, (37, 53, channels), dtype=np.uint16)
    deep[0, 0] = (1 << bits) - 1
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), deep.squeeze(), [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    expected = np.broadcast_to(deep[..., ::-1] >> (bits - 8), (37, 53, 3))
    for reading in (Reading(), Reading(bits=bits)):
        image = decode_image(tmp_path / f"a.{suffix}", reading)
        check_image(image)
        np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(decode_image(tmp_path / f"a.{suffix}", Reading(bits=16)), expected >> (16 - bits))


def test_gray_with_alpha_of_sixteen_bits(tmp_path):
    deep = RNG.integers(0, 4096, (37, 53, 2), dtype=np.uint16)
    write_png(tmp_path / "a.png", deep.astype(">u2").reshape(37, -1).view(np.uint8), 53, bits=16, kind=4)
    expected = np.broadcast_to(deep[..., :1] >> 4, (37, 53, 3))
    np.testing.assert_array_equal(decode_image(tmp_path / "a.png"), expected)


def test_a_value_beyond_the_bits_of_its_data_set_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5), 4096, np.uint16))
    with pytest.raises(
        UserError, match=r"a\.png: holds the value 4096, .* read as 12-bit \(0 to 4095\).*--data\.bits 14"
    ):
        decode_image(tmp_path / "a.png", Reading(bits=12))


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


def huge_png(path, width, height):
    write_png(path, np.zeros((1, 1), np.uint8), width, bits=8, kind=0, height=height)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "gif", "avif", "jp2"])
def test_one_limit_of_pixels_for_all_formats(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(SMOOTH).save(path)
    assert decode_image(path, Reading(max_megapixels=53 * 37 / 1e6)).shape == SMOOTH.shape
    with pytest.raises(UserError, match=rf"a\.{suffix}: has 0.00196 megapixels \(53 x 37\), more than 0"):
        decode_image(path, Reading(max_megapixels=0.001))


def test_the_limit_is_checked_before_anything_is_decoded(tmp_path):
    huge_png(tmp_path / "a.png", 20000, 20000)
    with pytest.raises(UserError, match=r"has 400 megapixels \(20000 x 20000\), more than 250; raise --data"):
        decode_image(tmp_path / "a.png")
    Image.fromarray(SMOOTH).save(tmp_path / "a.jpg")
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 20000, 20000)
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UserError, match="has 400 megapixels"):
        decode_image(tmp_path / "a.jpg")


def test_pillows_own_limit_stays_silent(tmp_path):
    huge_png(tmp_path / "a.png", 20000, 10000)  # Pillow would refuse 179 megapixels, and warn of 90
    with pytest.raises(UserError, match="truncated"):
        decode_image(tmp_path / "a.png")


@pytest.mark.parametrize("comment", [b"", b"c" * 300, b"\xff\xc0" * 20])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_the_size_in_a_jpegs_header(tmp_path, comment, options):
    Image.fromarray(SMOOTH).save(tmp_path / "a.jpg", comment=comment, **options)
    data = (tmp_path / "a.jpg").read_bytes()
    assert jpeg_size(data) == (37, 53)
    assert jpeg_size(data[:2] + b"\xff\xff\x00" + data[2:]) == (37, 53)  # filling, which decoders skip
    with pytest.raises(ValueError, match="truncated"):
        jpeg_size(data[:10])


@pytest.mark.parametrize("options", [{}, {"save_all": True, "append_images": [Image.new("P", (53, 37))]}])
def test_gif(tmp_path, options):
    picture = Image.fromarray(LABELS)
    palette = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    picture.putpalette(palette.tobytes())
    picture.save(tmp_path / "a.gif", **options)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.gif"), palette[LABELS])


@pytest.mark.parametrize("suffix", ["avif", "jp2", "j2k"])
@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA"])
def test_avif_and_jpeg_2000(tmp_path, suffix, mode):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(SMOOTH).convert(mode).save(path, **({"quality": 100} if suffix == "avif" else {}))
    image = decode_image(path)
    check_image(image)
    expected = np.array(Image.fromarray(SMOOTH).convert(mode).convert("RGB")).astype(int)
    assert abs(image - expected).max() <= (40 if suffix == "avif" else 0)
    assert image_size(path) == (37, 53)


def test_formats_that_run_programs_are_not_read(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(UserError, match="cannot be read as an image"):
        decode_image(tmp_path / "a.png")


@pytest.mark.parametrize("decode", [decode_image, decode_mask, image_size])
def test_a_pipe_is_not_opened(tmp_path, decode):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: cannot be read as an image \(not a regular file\)"):
        decode(tmp_path / "a.png")


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


def write_gray_png(path, values, bits):
    """A grayscale PNG of 1, 2 or 4 bits a pixel, which Pillow reads but cannot write."""
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    rows = np.packbits(((values[..., None] >> shifts) & 1).reshape(len(values), -1), axis=1)
    write_png(path, rows, values.shape[1], bits, kind=0)


def write_png(path, rows, width, bits, kind, height=None):
    """rows: the bytes of each; kind: 0 gray, 4 gray and alpha."""
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height or len(rows), bits, kind, 0, 0, 0)
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
