"""The built-in data set: procedural scenes of objects that differ in form and pattern, never in color."""

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from twinsight.data.masks import write_mask
from twinsight.data.samples import Dataset, Entry, Sample
from twinsight.errors import UserError
from twinsight.files import whole_folder, write_text

SPLITS = ("train", "val")
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Okabe and Ito's palette, safe for color-blind readers; black is the background.
OKABE_ITO = "000000 e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7"

# A form is a signed distance to its outline, negative inside; a pattern, to the border between its two colors.
# Both use the object's own coordinates (u, v), in which its radius is 1.
Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    short, long = np.minimum(abs(u), abs(v)), np.maximum(abs(u), abs(v))
    return np.maximum(short - 0.38, long - 1)


def star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    # Fold the five points onto half of one: a tip at (1.15, 0), a notch at radius 0.55, and the edge between.
    sector = math.pi / 5
    angle = abs((np.arctan2(v, u) + sector) % (2 * sector) - sector)
    rho = np.hypot(u, v)
    across, up = 1.15 - 0.55 * math.cos(sector), 0.55 * math.sin(sector)
    return ((rho * np.cos(angle) - 1.15) * up + rho * np.sin(angle) * across) / math.hypot(across, up)


def crescent(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(np.hypot(u, v) - 1, 0.75 - np.hypot(u - 0.5, v))


def triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(-v, 0.5 * v + 0.866 * abs(u)) - 0.55


def dots(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.hypot(u % 0.53 - 0.265, v % 0.53 - 0.265) - 0.16


def bands(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(14 * np.hypot(u, v)) / 14


def spokes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(6 * np.arctan2(v, u)) * np.hypot(u, v) / 6


def rim(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return triangle(u, v) + 0.2


CLASSES: dict[str, tuple[Field, Field]] = {
    "striped disk": (lambda u, v: np.hypot(u, v) - 1, lambda u, v: np.sin(11 * u) / 11),
    "dotted square": (lambda u, v: np.maximum(abs(u), abs(v)) - 0.8, dots),
    "checkered cross": (cross, lambda u, v: np.sin(8.3 * u) * np.sin(8.3 * v) / 8.3),
    "spoked ring": (lambda u, v: abs(np.hypot(u, v) - 0.74) - 0.26, spokes),
    "banded star": (star, bands),
    "crescent": (crescent, lambda u, v: np.ones_like(u)),
    "rimmed triangle": (triangle, rim),
}


class Shapes(Dataset):
    """Scenes rendered on demand: image i depends only on (seed, split, i) and the options.

    count: images of the split. size: side of the square images in pixels.
    objects: maximum per image, later ones on top. crowding: probability of each object after the first.
    radius: range of the objects' radii, as fractions of the side.
    texture: contrast of the background, from 0 (uniform) to 1 (as strong as the objects' patterns).

    Raises UserError if an argument is out of range.
    """

    def __init__(
        self,
        split: str = "train",
        count: int = 2000,
        size: int = 96,
        seed: int = 0,
        objects: int = 2,
        crowding: float = 0.25,
        radius: tuple[float, float] = (0.3, 0.45),
        texture: float = 0.25,
    ):
        if split not in SPLITS:
            raise UserError(f"split: shapes has no '{split}'; choose {' or '.join(SPLITS)}")
        if count < 1 or size < 16 or objects < 1 or seed < 0:
            raise UserError(
                f"shapes: count {count}, size {size}, objects {objects}, seed {seed} cannot be rendered; "
                "give count >= 1, size >= 16, objects >= 1 and seed >= 0"
            )
        if not 0 < radius[0] <= radius[1] <= 0.5:
            raise UserError(f"radius: {radius} is not a range; give two ascending numbers above 0, up to 0.5")
        for name, value in (("crowding", crowding), ("texture", texture)):
            if not 0 <= value <= 1:
                raise UserError(f"{name}: {value} is out of range; give a number from 0 to 1")
        names = [f"{split}_{index:06d}" for index in range(count)]
        entries = [Entry(name, Path(f"{name}.jpg")) for name in names]
        palette = np.frombuffer(bytes.fromhex(OKABE_ITO), np.uint8).reshape(-1, 3)
        super().__init__(entries, ("background", *CLASSES), palette)
        self.split, self.size, self.seed = split, size, seed
        self.objects, self.crowding, self.radius, self.texture = objects, crowding, radius, texture

    def __getitem__(self, index: int) -> Sample:
        image, mask = self.render(index)
        return Sample(image, mask, self.entries[index].id)

    def image_size(self, index: int) -> tuple[int, int]:
        return self.size, self.size

    def image(self, index: int) -> np.ndarray:
        return self.render(index)[0]

    def mask(self, index: int) -> np.ndarray:
        return self.render(index)[1]

    def render(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The image, (size, size, 3) uint8, and the mask of the topmost objects, (size, size) uint8."""
        index = range(len(self))[index]
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), index])
        grid = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        x, y = grid[None, :], grid[:, None]
        ground, *tones = lightness(rng)
        image = background(rng, self.size, ground, self.texture)
        mask = np.zeros((self.size, self.size), np.uint8)
        centers: list[np.ndarray] = []
        for _ in range(1 + rng.binomial(self.objects - 1, self.crowding)):
            radius = rng.uniform(*self.radius)
            center = place(rng, radius, centers)
            centers.append(center)
            label = int(rng.integers(len(CLASSES))) + 1
            form, pattern = tuple(CLASSES.values())[label - 1]
            u, v = turn((x - center[0]) / radius, (y - center[1]) / radius, rng.uniform(0, 2 * np.pi))
            pixels = radius * self.size
            first, second = (tint(rng, tone) for tone in rng.permutation(tones))
            color = mix(first, second, inside(pattern(u, v), pixels))
            coverage = inside(form(u, v), pixels)
            image = mix(image, color * slope(rng, u, v, 0.2), coverage)
            mask[coverage > 0.5] = label
        image = image * slope(rng, 2 * x - 1, 2 * y - 1, 0.25)
        image += rng.normal(0, 0.012, image.shape).astype(np.float32)
        return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), mask


def lightness(rng: np.random.Generator) -> np.ndarray:
    """Lightness of the background and of an object's two colors, in [0.1, 0.95], at least 0.22 apart."""
    low, high, gap = 0.1, 0.95, 0.22
    levels = np.sort(rng.uniform(low, high - 2 * gap, 3)) + gap * np.arange(3)
    return rng.permutation(levels)


def tint(rng: np.random.Generator, lightness: float) -> np.ndarray:
    """A random color of this lightness (luma), (3,) in [0, 1]."""
    hue = rng.normal(size=3).astype(np.float32)
    hue -= hue @ LUMA
    room = np.where(hue > 0, 1 - lightness, lightness) / np.maximum(abs(hue), 1e-6)
    return np.float32(lightness) + hue * np.float32(room.min() * rng.uniform(0, 0.9))


def background(rng: np.random.Generator, size: int, lightness: float, texture: float) -> np.ndarray:
    """Two hues of similar lightness, mixed by smooth noise at random scales: (size, size, 3)."""
    noise = np.zeros((size, size), np.float32)
    for cells in (3, 6, 12):
        waves = rng.normal(size=(cells, cells)).astype(np.float32) * np.float32(rng.uniform(0, 1))
        noise += cv2.resize(waves, (size, size), interpolation=cv2.INTER_CUBIC)
    noise *= np.float32(texture / (noise.std() + 1e-6))
    clouds = mix(tint(rng, lightness), tint(rng, lightness), np.clip(0.5 + noise, 0, 1))
    return clouds * (1 + 0.4 * noise)[..., None]


def place(rng: np.random.Generator, radius: float, others: list[np.ndarray]) -> np.ndarray:
    """The one of four random centers, (x, y) in [0, 1], that is farthest from the other objects."""
    margin = 0.75 * radius
    candidates = rng.uniform(margin, 1 - margin, (4, 2)).astype(np.float32)
    if not others:
        return candidates[0]
    distances = np.linalg.norm(candidates[:, None] - np.stack(others), axis=-1).min(axis=1)
    return candidates[distances.argmax()]


def turn(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def slope(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, most: float) -> np.ndarray:
    """Light from a random side: a factor around 1 that changes linearly, (H, W, 1)."""
    along, _ = turn(x, y, rng.uniform(0, 2 * np.pi))
    return (1 + np.float32(rng.uniform(0, most)) * along)[..., None]


def inside(distance: np.ndarray, pixels: float) -> np.ndarray:
    """Coverage of each pixel, antialiased, for a signed distance in radii; pixels: the radius in pixels."""
    return np.clip(0.5 - distance * pixels, 0, 1)


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (second - first) * share[..., None]


def write(folder: Path, train: Shapes, val: Shapes) -> None:
    """Write both splits in PASCAL VOC's layout, with `classes.txt`, all or nothing.

    Raises UserError if the folder is not empty or cannot be written.
    """
    with whole_folder(Path(folder)) as partial:
        for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (partial / name).mkdir(parents=True)
        for dataset in (train, val):
            write_split(partial, dataset)
        write_text(partial / "classes.txt", "\n".join(train.classes) + "\n")


def write_split(folder: Path, dataset: Shapes) -> None:
    for index, entry in enumerate(dataset.entries):
        image, labels = dataset.render(index)
        Image.fromarray(image).save(folder / "JPEGImages" / f"{entry.id}.jpg", quality=95)
        write_mask(folder / "SegmentationClass" / f"{entry.id}.png", labels, dataset.palette)
    ids = "".join(f"{entry.id}\n" for entry in dataset.entries)
    write_text(folder / "ImageSets" / "Segmentation" / f"{dataset.split}.txt", ids)
