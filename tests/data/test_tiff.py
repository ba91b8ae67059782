"""TIFF files of every kind against the arrays that went in."""

import warnings

import cv2
import numpy as np
import PIL
import pytest
import tifffile
from PIL import Image

from twinsight.data.decode import decode_image, image_size
from twinsight.data.masks import decode_mask
from twinsight.data.reading import Reading
from twinsight.errors import UserError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
LOSSLESS = ["lzw", "zlib", "adobe_deflate", "packbits", "lzma", "zstd", "png", "lerc"]


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def labels(bits):
    values = RNG.integers(0, min(1 << bits, 256), (37, 53), dtype=np.uint8)
    return values.astype(bool) if bits == 1 else values.astype(np.uint16 if bits > 8 else np.uint8)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8, 12, 16])
def test_masks_are_what_is_stored_whatever_color_it_is_said_to_be(tmp_path, bits, photometric):
    options = {} if bits in (1, 8, 16) else {"bitspersample": bits}
    values = labels(bits)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric, **options)
    mask = decode_mask(tmp_path / "a.tif")
    assert mask.dtype == np.uint8
    assert mask.flags.c_contiguous
    np.testing.assert_array_equal(mask, values)


def test_masks_of_a_palette(tmp_path):
    colors = RNG.integers(0, 65536, (3, 256), dtype=np.uint16)
    values = labels(8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=colors)
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.tif"), values)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif"), (colors >> 8).T[values])


UNSIGNED = [np.uint8, np.uint16]
INTEGERS = [*UNSIGNED, np.int8, np.int16, np.uint32, np.int32]


@pytest.mark.parametrize(
    ("compression", "dtype"),
    [(name, dtype) for name in LOSSLESS for dtype in (UNSIGNED if name == "png" else INTEGERS)],
)
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_masks_of_every_lossless_compression(tmp_path, compression, photometric, dtype, tile):
    values = labels(7).astype(dtype)
    predictor = compression in ("lzw", "zlib", "zstd")
    options = {"compression": compression, "predictor": predictor, "tile": tile, "photometric": photometric}
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.tif"), values)


@pytest.mark.parametrize("compression", ["raw", "group3", "group4", "tiff_ccitt", "tiff_lzw", "packbits", "zstd"])
def test_masks_of_one_bit_by_pillow(tmp_path, compression):
    Image.fromarray(labels(1)).save(tmp_path / "a.tif", compression=compression)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].bitspersample == 1
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.tif"), np.asarray(Image.open(tmp_path / "a.tif")))


@pytest.mark.parametrize("compression", [1, 5, 8, 32773, 32946])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_masks_by_opencv(tmp_path, compression, dtype):
    values = labels(8).astype(dtype)
    cv2.imwrite(str(tmp_path / "a.tif"), values, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.tif"), values)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "jpegxl"])
def test_compressions_that_change_indices_are_refused(tmp_path, compression):
    values = NOISE if compression == "webp" else labels(8)
    tifffile.imwrite(tmp_path / "a.tif", values, compression=compression)
    reason = "has 3 channels" if compression == "webp" else "compressed with JPE?G.*, which may change class indices"
    with pytest.raises(UserError, match=rf"a\.tif: .*{reason}"):
        decode_mask(tmp_path / "a.tif")


def test_a_picture_is_no_mask(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", NOISE)
    with pytest.raises(UserError, match=r"a\.tif: has 3 channels, not class indices"):
        decode_mask(tmp_path / "a.tif")


def test_fractions_and_values_beyond_255_are_no_mask(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", labels(8).astype(np.float32))
    with pytest.raises(UserError, match=r"a\.tif: holds float32 numbers"):
        decode_mask(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.full((4, 5), -1, np.int16))
    with pytest.raises(UserError, match=r"b\.tif: holds values from -1 to -1"):
        decode_mask(tmp_path / "b.tif")


@pytest.mark.parametrize("options", [{"bigtiff": True}, {"byteorder": ">"}, {"imagej": True}, {"ome": True}])
def test_other_headers(tmp_path, options):
    values = labels(16)
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    np.testing.assert_array_equal(decode_mask(tmp_path / "a.tif"), values)
    assert image_size(tmp_path / "a.tif") == (37, 53)


def test_smaller_copies_are_no_further_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(NOISE)
        file.write(NOISE[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif"), NOISE)


def test_a_stack_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((7, 37, 53), np.uint8), photometric="minisblack")
    for decode in (decode_image, decode_mask):
        with pytest.raises(UserError, match=r"a\.tif: holds 7 images; save each to its own file"):
            decode(tmp_path / "a.tif")


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
def test_pictures_look_as_they_are_said_to(tmp_path, bits, photometric):
    top = (1 << bits) - 1
    values = RNG.integers(0, top + 1, (37, 53)).astype(bool if bits == 1 else np.uint16 if bits > 8 else np.uint8)
    values[0, 0] = top
    options = {} if bits in (1, 8, 16) else {"bitspersample": bits}
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric, **options)
    gray = values >> (bits - 8) if bits > 8 else values.astype(np.uint8) * (255 // top)
    expected = 255 - gray if photometric == "miniswhite" else gray
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif"), np.dstack([expected] * 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_three_channels_in_either_layout(tmp_path, dtype, planarconfig, photometric):
    values = NOISE.astype(dtype)
    given = np.moveaxis(values, -1, 0) if planarconfig == "separate" else values
    tifffile.imwrite(tmp_path / "a.tif", given, photometric=photometric, planarconfig=planarconfig)
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif"), NOISE)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planarconfig", ["contig", "separate"])
@pytest.mark.parametrize(("channels", "kind"), [(4, None), (4, "unspecified"), (5, None), (2, None)])
def test_further_channels_are_refused_with_their_number(tmp_path, dtype, planarconfig, channels, kind):
    values = RNG.integers(0, 200, (37, 53, channels)).astype(dtype)
    given = np.moveaxis(values, -1, 0) if planarconfig == "separate" else values
    extra = [kind or "unspecified"] * (channels - (3 if channels > 3 else 1))
    photometric = "rgb" if channels > 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", given, photometric=photometric, planarconfig=planarconfig, extrasamples=extra)
    with pytest.raises(UserError, match=rf"a\.tif: has {channels} channels; keep only 1 or 3"):
        decode_image(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_fourth_band_that_is_only_called_alpha(tmp_path, dtype):
    """GDAL calls the fourth of four bands so, near infrared as it may be."""
    values = RNG.integers(0, 200, (37, 53, 4)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(UserError, match=r"a\.tif: has 4 channels, the last labeled alpha"):
        decode_image(tmp_path / "a.tif")
    values[..., 3] = np.where(values[..., 3] > 50, np.iinfo(dtype).max, 0)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif"), values[..., :3])


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.float32])
def test_pixels_of_unknown_range_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 5), dtype))
    with pytest.raises(UserError, match=rf"a\.tif: has {np.dtype(dtype)} pixels, whose range is unknown"):
        decode_image(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "CMYK"])
def test_other_colors_are_converted_as_pillow_does(tmp_path, mode):
    if mode == "YCbCr" and int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("Pillow before 13 cannot read the YCbCr files that it writes")
    if mode == "LAB":
        tifffile.imwrite(tmp_path / "a.tif", NOISE, photometric="cielab")
    else:
        Image.fromarray(NOISE).convert(mode).save(tmp_path / "a.tif")
    expected = Image.open(tmp_path / "a.tif").convert("RGB")
    np.testing.assert_array_equal(decode_image(tmp_path / "a.tif"), expected)


def test_jpeg_inside(tmp_path):
    smooth = cv2.resize(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8), (53, 37))
    Image.fromarray(smooth).save(tmp_path / "a.tif", compression="jpeg", quality=95)
    assert abs(decode_image(tmp_path / "a.tif").astype(int) - smooth).mean() < 4


@pytest.mark.parametrize("compression", [None, *LOSSLESS])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path, compression, keep):
    values = RNG.integers(0, 256, (64, 64), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, compression=compression, rowsperstrip=8)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: int(len(data) * keep)])
    for decode in (decode_image, decode_mask):
        with pytest.raises(UserError, match=r"a\.tif: cannot be read as an image"):
            decode(tmp_path / "a.tif")


def test_the_limit_of_pixels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", labels(8))
    for decode in (decode_image, decode_mask, image_size):
        with pytest.raises(UserError, match=r"has 0\.00196 megapixels \(53 x 37\), more than 0.001; raise --data"):
            decode(tmp_path / "a.tif", Reading(max_megapixels=0.001))
