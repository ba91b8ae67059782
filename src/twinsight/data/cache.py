"""Decoded images in one memory-mapped file: later epochs read pixels instead of JPEGs."""

import json
import mmap
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock

from twinsight.data.decode import image_size
from twinsight.data.samples import Dataset, Entry
from twinsight.data.tolerance import limit, too_many
from twinsight.data.wording import number
from twinsight.errors import UserError
from twinsight.files import whole, write_text
from twinsight.plain import read_text

BLOCK = 256
"""Images between two progress marks: the most that an interruption can lose."""

BROKEN = "broken.json"
"""The error of each sample that was left out, by index."""

STAMP = np.dtype([("id", np.uint64), ("image", np.int64, 2), ("mask", np.int64, 2)])
"""Identifies a sample: hash of its id; size and modification time in nanoseconds of each file, 0 without a mask."""


class Cached(Dataset):
    """A data set whose images and masks are all decoded once, at full size.

    The file is memory-mapped: workers and processes share its pages, and a crop reads only its own rows. It takes
    3 bytes per pixel, 4 with masks; for photographs, 5 to 15 times the size of the JPEGs. An interrupted build
    continues at the next start; if several processes start at once, one builds and the others wait.

    dataset: a data set of files. folder: where to put the cache; created if missing.
    plan: called with the size of the cache in bytes before anything is decoded.
    report: called during the build with the number of images done and the total.

    Raises UserError if a file cannot be read or has changed, if the folder holds a cache of other images, classes or
    bits, if it cannot be written, or if the disk has too little space.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: Path,
        plan: Callable[[int], None] | None = None,
        report: Callable[[int, int], None] | None = None,
    ):
        super().__init__(dataset.entries, dataset.classes, dataset.palette)
        self.dataset, self.folder, self.names = dataset, folder, dataset.names
        self._reading, self.tolerate = dataset.reading, dataset.tolerate
        self.broken: dict[str, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / "lock"):
                self.sizes = self._check_in()
                depth = [3 + (entry.mask is not None) for entry in self.entries]
                self.starts = np.append(0, np.cumsum(depth * self.sizes.prod(axis=1, dtype=np.int64)))
                if plan:
                    plan(int(self.starts[-1]))
                self._build(report)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written ({error.strerror}); choose a writable folder with enough space"
            ) from error

    @property
    def targets(self) -> Sequence[int]:
        return self.dataset.targets

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8, read-only, straight from the mapped file."""
        index = range(len(self))[index]
        if str(index) in self.broken:
            raise UserError(self.broken[str(index)])
        height, width = self.sizes[index].tolist()
        start = self.starts[index]
        return self._bytes[start : start + 3 * height * width].reshape(height, width, 3)

    def mask(self, index: int) -> np.ndarray | None:
        """(H, W) uint8 labels, read-only; None without masks."""
        index = range(len(self))[index]
        if self.entries[index].mask is None:
            return None
        height, width = self.sizes[index].tolist()
        end = self.starts[index + 1]
        return self._bytes[end - height * width : end].reshape(height, width)

    def _check_in(self) -> np.ndarray:
        """(N, 2) height and width of each image, from the headers, or from an existing cache of the same files."""
        index = self.folder / "index.npz"
        with ThreadPoolExecutor() as pool:
            # Pixels of 16-bit images depend on the bit depth.
            bits = [f"{self.reading.bits} bits"] if self.reading.bits else []
            key = "\n".join([*self.classes, *self.dataset.coding, *bits])
            stamps = np.fromiter(pool.map(partial(stamp, key), self.entries), STAMP, len(self))
            if not index.exists():
                self._refuse_rest()
                sizes = list(pool.map(self._size, range(len(self))))
                self._keep_broken()
                with whole(index) as stream:
                    np.savez(stream, stamps=stamps, sizes=np.array(sizes, np.int32))
        self.broken = self._left_out()
        known, sizes = self._stored(index)
        if not np.array_equal(known["id"], stamps["id"]):
            raise UserError(
                f"{self.folder}: is the cache of other images, classes or bits; remove it or choose another folder"
            )
        changed = np.flatnonzero(known != stamps)
        if len(changed):
            entry = self.entries[changed[0]]
            same = (known["image"] == stamps["image"])[changed[0]].all()
            file = entry.mask if same else entry.image
            raise UserError(
                f"{file}: has changed since the cache {self.folder} was made (files changed for {len(changed)} of "
                f"{number(len(self), 'image')}); remove the cache to have it rebuilt"
            )
        return sizes

    def _refuse_rest(self) -> None:
        """Raises UserError if cache files exist without their index, which is written first."""
        for name in ("done", "pixels"):
            if (self.folder / name).exists():
                raise UserError(f"{self.folder}: holds {name} but no index.npz; remove it or choose another folder")

    def _stored(self, index: Path) -> tuple[np.ndarray, np.ndarray]:
        try:
            with np.load(index, allow_pickle=False) as stored:
                known, sizes = stored["stamps"], stored["sizes"]
            if known.dtype != STAMP or sizes.shape != (len(known), 2) or sizes.dtype != np.int32:
                raise ValueError
            empty = np.flatnonzero((sizes < 1).any(axis=1))
            if not {str(i) for i in empty} <= self.broken.keys() or (sizes < 0).any() or (sizes > 1 << 20).any():
                raise ValueError
        except (ValueError, KeyError, EOFError, TypeError, AttributeError, MemoryError, BadZipFile) as error:
            raise UserError(f"{index}: is damaged; remove {self.folder} to have it rebuilt") from error
        return known, sizes

    def _done(self, mark: Path) -> int:
        """How many images the cache holds. Raises UserError if its files disagree."""
        if not mark.exists():
            return 0
        text, pixels = read_text(mark).strip(), self.folder / "pixels"
        done = int(text) if text.isdecimal() and len(text) < 20 else -1
        if not 0 <= done <= len(self) or not pixels.is_file() or pixels.stat().st_size != self.starts[-1]:
            raise UserError(f"{mark}: does not match the pixels; remove {self.folder} to have it rebuilt")
        return done

    def _build(self, report: Callable[[int, int], None] | None) -> None:
        mark = self.folder / "done"
        done = self._done(mark)
        if done == len(self):
            return
        with open(self.folder / "pixels", "ab") as file, ThreadPoolExecutor() as pool:
            missing, free = int(self.starts[-1] - self.starts[done]), shutil.disk_usage(self.folder).free
            if missing > free:
                raise UserError(
                    f"{self.folder}: the cache needs {missing / 1e9:.1f} GB more, but the disk has {free / 1e9:.1f} GB "
                    "free; choose a folder on a larger disk, or train without a cache"
                )
            file.truncate(self.starts[-1])
            for first in range(done, len(self), BLOCK):
                last = min(first + BLOCK, len(self))
                list(pool.map(self._write, range(first, last)))
                self._keep_broken()
                # Pixels reach the disk before the mark does, so that a crash cannot leave a mark without pixels.
                os.fsync(file.fileno())
                write_text(mark, str(last))
                if report:
                    report(last, len(self))

    def _size(self, index: int) -> tuple[int, int]:
        try:
            return image_size(self.entries[index].image, self.reading)
        except UserError as error:
            self._leave_out(index, error)
            return 0, 0

    def _leave_out(self, index: int, error: UserError) -> None:
        """Note a broken sample. Raises UserError if there are more than `tolerate` allows."""
        self.broken[str(index)] = str(error)
        most = limit(len(self), self.tolerate)
        if len(self.broken) > most:
            raise too_many(error, len(self.broken), most) from error

    def _left_out(self) -> dict[str, str]:
        file = self.folder / BROKEN
        if not file.exists():
            return {}
        text = read_text(file)
        try:
            return {index: str(sentence) for index, sentence in json.loads(text).items()}
        except (ValueError, AttributeError) as error:
            raise UserError(f"{file}: is damaged; remove {self.folder} to have it rebuilt") from error

    def _keep_broken(self) -> None:
        if self.broken:
            write_text(self.folder / BROKEN, json.dumps(self.broken))

    def _write(self, index: int) -> None:
        try:
            image, mask, _ = self.dataset[index]
        except UserError as error:
            self._leave_out(index, error)
            return
        if image.shape[:2] != tuple(self.sizes[index]):
            raise UserError(f"{self.entries[index].image}: changed during reading; remove {self.folder} and try again")
        with open(self.folder / "pixels", "r+b") as file:
            file.seek(self.starts[index])
            file.write(image.data)
            if mask is not None:
                file.write(np.ascontiguousarray(mask).data)

    @cached_property
    def _bytes(self) -> np.ndarray:
        """(bytes,) uint8."""
        with open(self.folder / "pixels", "rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)

    def __getstate__(self) -> dict[str, object]:
        """Spawned workers map the file themselves."""
        return {name: value for name, value in self.__dict__.items() if name != "_bytes"}


def stamp(key: str, entry: Entry) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """A `STAMP`; key: what else the pixels depend on. Raises UserError, naming the file, if one is missing."""
    name = blake2b(entry.id.encode(), digest_size=8, key=blake2b(key.encode()).digest()).digest()
    return int.from_bytes(name), state(entry.image), (0, 0) if entry.mask is None else state(entry.mask)


def state(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); repair or remove the file") from error
    return found.st_size, found.st_mtime_ns
