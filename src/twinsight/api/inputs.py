"""Images as callers have them: files, Pillow images, arrays, tensors; one, a list or a stream of them."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from twinsight.api.dataset import Dataset
from twinsight.data.decode import as_rgb, decode_image
from twinsight.data.depth import decide
from twinsight.data.reading import Reading
from twinsight.data.samples import Sample
from twinsight.data.search import find_images, no_images
from twinsight.errors import UserError
from twinsight.probes.images import to_tensor

ImageLike: TypeAlias = "str | os.PathLike[str] | Image.Image | np.ndarray | Tensor | Sample"
"""A file, or an image in memory; see `to_pixels`."""

Images: TypeAlias = "ImageLike | Dataset | Collection[ImageLike]"
"""One image, a folder of them, a batch (B, 3, H, W), a list or a data set."""

DEEP = {"I;16", "I;16L", "I;16B", "I;16N"}
"""Modes of Pillow with 16 bits."""


class Shallow(Reading):
    """Reads 16-bit values only by bits that somebody has said: one image does not tell for the next."""

    def eight_bits(self, path: Path, values: np.ndarray) -> np.ndarray:
        if values.dtype != np.uint8 and self.bits is None:
            raise UserError(f"{path}: holds 16-bit values; give bits (8, 10, 12, 14 or 16), as many as they fill")
        return super().eight_bits(path, values)


@dataclass(frozen=True)
class Given:
    """What a caller has handed over.

    items: each a file or an image in memory. names: a name for each, fit for a file; None for a stream. single: whether
    it was one image rather than a list of one.
    """

    items: Iterable[Any]
    names: Sequence[str] | None
    reading: Reading
    single: bool = False

    @property
    def streamed(self) -> bool:
        return self.names is None

    def read(self, index: int, item: Any) -> Tensor:
        """(3, H, W), uint8 or float32 in [0, 1]. Raises UserError, naming the image, for what is not an image."""
        return to_pixels(item, self.reading, f"image {index}")

    def __iter__(self) -> Iterator[Tensor]:
        """The images one by one, in order."""
        for index, item in enumerate(self.items):
            yield self.read(index, item)


def take(images: Any, bits: int | None = None, max_megapixels: float | None = None) -> Given:
    """What there is to read, found out without reading it.

    bits: how many of their bits 16-bit images fill; None: for files of a list or a folder by the largest value of a
    sample of them, else such images are refused. Raises UserError for what is not an image, nor images.
    """
    limit = Shallow().max_megapixels if max_megapixels is None else max_megapixels
    one_by_one = Shallow(bits, limit)
    if isinstance(images, str | os.PathLike):
        path = Path(images)
        files = find_images(path) if path.is_dir() else [path]
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path")
        if not files:
            raise no_images(path)
        names = [file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem for file in files]
        return Given(files, names, decide(files, bits, limit), single=not path.is_dir())
    if isinstance(images, np.ndarray | Tensor) and images.ndim == 4:
        return numbered(list(images), one_by_one)
    if isinstance(images, Image.Image | np.ndarray | Tensor | Sample):
        return Given([images], [name_of(images, "image")], one_by_one, single=True)
    if isinstance(images, Dataset):
        return Given(images, images.names, one_by_one)
    if isinstance(images, Iterator):
        return Given(images, None, one_by_one)
    if isinstance(images, Mapping | bytes) or not isinstance(images, Iterable):
        raise UserError(
            f"images: {type(images).__name__} is not an image; give a path, a Pillow image, an array (H, W, 3), a "
            "tensor (3, H, W), or a list or an iterator of these"
        )
    return numbered(list(images), one_by_one)


def numbered(items: list[Any], reading: Reading) -> Given:
    """A list of images; files among them are read by bits that suit all of them."""
    if not items:
        raise UserError("images: the list is empty; give one image or more")
    files = [Path(item) for item in items if isinstance(item, str | os.PathLike)]
    if files and reading.bits is None:
        reading = Shallow(decide(files, None, reading.max_megapixels).bits, reading.max_megapixels)
    digits = len(str(len(items) - 1))
    return Given(items, [name_of(item, f"image-{i:0{digits}}") for i, item in enumerate(items)], reading)


def name_of(item: Any, otherwise: str) -> str:
    """The name of its file, where it has one."""
    if isinstance(item, Sample):
        return item.id
    file = item if isinstance(item, str | os.PathLike) else getattr(item, "filename", "")
    return Path(file).stem or otherwise


def to_pixels(item: Any, reading: Reading, where: str) -> Tensor:
    """One image -> (3, H, W), uint8 or float32 in [0, 1].

    item: a file; a Pillow image of any mode; an array (H, W, 3), (H, W, 1) or (H, W), or a tensor (3, H, W), (1, H, W)
    or (H, W), with alpha dropped, of uint8, of uint16 as `reading` says, or of floats in [0, 1]. Colors are RGB.
    """
    if isinstance(item, Sample):
        item = item.image
    if isinstance(item, str | os.PathLike):
        path = Path(item)
        if path.is_dir():
            raise UserError(f"{path}: is a folder within a list; give its files, or the folder alone")
        return torch.from_numpy(decode_image(path, reading)).permute(2, 0, 1)
    if isinstance(item, Image.Image):
        upright = ImageOps.exif_transpose(item)
        item = np.asarray(upright) if item.mode in (*DEEP, "I", "F") else as_rgb(upright)
    if isinstance(item, Tensor):
        return from_tensor(item.detach(), reading, where)
    if isinstance(item, np.ndarray):
        return from_array(item, reading, where)
    raise UserError(
        f"{where}: {type(item).__name__} is not an image; give a path, a Pillow image, an array or a tensor"
    )


def from_tensor(image: Tensor, reading: Reading, where: str) -> Tensor:
    shape = tuple(image.shape)
    if image.ndim == 2:
        image = image[None]
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4):
        hint = "; its channels come last: give image.permute(2, 0, 1)" if channels_at(shape, -1) else ""
        raise UserError(f"{where}: a tensor of shape {shape} is not an image; give (3, H, W) or (1, H, W){hint}")
    if image.dtype == torch.uint16:
        image = torch.from_numpy(reading.eight_bits(Path(where), image.cpu().numpy()))
    return checked(image, shape, where, "a tensor")


def from_array(image: np.ndarray, reading: Reading, where: str) -> Tensor:
    shape = image.shape
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or (shape[-1] not in (1, 3, 4) and len(shape) == 3):
        hint = "; its channels come first: give image.transpose(1, 2, 0)" if channels_at(shape, 0) else ""
        raise UserError(
            f"{where}: an array of shape {shape} is not an image; give (H, W, 3), (H, W, 1) or (H, W){hint}"
        )
    if image.dtype == np.uint16:
        image = reading.eight_bits(Path(where), image)
    if image.dtype.kind not in "fu" or image.dtype.itemsize > 8:
        raise wrong_type(where, "an array", image.dtype)
    native = image.astype(image.dtype.newbyteorder("="))  # a copy, since a view may run backward (BGR to RGB)
    return checked(torch.from_numpy(native).permute(2, 0, 1), shape, where, "an array")


def channels_at(shape: tuple[int, ...], place: int) -> bool:
    return len(shape) == 3 and shape[place] in (1, 3, 4)


def checked(image: Tensor, shape: tuple[int, ...], where: str, what: str) -> Tensor:
    """(1, 3 or 4, H, W) as (3, H, W), if its values are those of an image."""
    if 0 in shape:
        raise UserError(f"{where}: {what} of shape {shape} holds no pixel")
    image = image.expand(3, -1, -1) if len(image) == 1 else image[:3]
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise wrong_type(where, what, image.dtype)
    image = image.float()
    low, high = image.aminmax()
    if not (low >= 0 and high <= 1):  # NaN is neither
        if image.isnan().any():
            raise UserError(f"{where}: contains NaN; replace it")
        hint = "divide them by 255" if low >= 0 and high <= 255 else "give pixels as they are, not normalized"
        raise UserError(f"{where}: floats must lie in [0, 1], and these in [{low:.4g}, {high:.4g}]; {hint}")
    return image


def wrong_type(where: str, what: str, dtype: object) -> UserError:
    name = str(dtype).removeprefix("torch.")
    return UserError(f"{where}: {what} of {name} is not an image; give uint8, uint16, or floats in [0, 1]")


def shrink(image: Tensor, size: int | None) -> Tensor:
    """The image (3, H, W) with its shorter side brought down to `size` pixels where it is longer, as probes see it."""

    if size is None or min(image.shape[1:]) <= size:
        return image
    return to_tensor(image.permute(1, 2, 0).cpu().numpy(), size)
