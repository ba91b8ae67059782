"""Decoded images in one file that is mapped into memory: every later epoch reads pixels instead of JPEGs."""

import fcntl
import mmap
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np

from twinsight.data.decode import image_size
from twinsight.data.samples import Dataset, Entry
from twinsight.errors import UserError

BLOCK = 256
"""Images between two marks of how far a cache is built: what an interruption loses at most."""

STAMP = np.dtype([("id", np.uint64), ("bytes", np.int64), ("changed", np.int64)])
"""What an image file is known by: hash of its id, size, time of change in nanoseconds."""


class Cached(Dataset):
    """A data set with its images decoded once, all of them, at their full size; masks are read as before.

    The file is mapped, so that all workers and processes share its pages in memory, and only the rows of a crop are
    read. It takes height * width * 3 bytes an image, about 15 times a JPEG. If building is interrupted, the next
    start goes on where it stopped; of processes that start at once, one builds and the others wait.

    dataset: its images are files. folder: where the cache lies; made if missing.
    plan: called with the bytes that the cache takes, before anything is decoded.
    report: called, while it is built, with how many images are done and how many there are.

    Raises UserError if an image cannot be read or changed since, if the folder is the cache of other images, if it
    cannot be written, or if its disk has too little room.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: Path,
        plan: Callable[[int], None] | None = None,
        report: Callable[[int, int], None] | None = None,
    ):
        super().__init__(dataset.entries, dataset.classes, dataset.palette)
        self.dataset, self.folder = dataset, folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / "lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self.sizes = self._check_in()
                self.starts = np.append(0, np.cumsum(3 * self.sizes.prod(axis=1, dtype=np.int64)))
                if plan:
                    plan(int(self.starts[-1]))
                self._build(report)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written ({error.strerror}); name a folder with room and rights"
            ) from error

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8, read-only: the mapped file itself."""
        index = range(len(self))[index]
        start, end = self.starts[index], self.starts[index + 1]
        return self._pixels[start:end].reshape(*self.sizes[index], 3)

    def mask(self, index: int) -> np.ndarray | None:
        return self.dataset.mask(index)

    def _check_in(self) -> np.ndarray:
        """(N, 2) height and width of each image, from its header; of an old cache, if these are the same files."""
        index = self.folder / "index.npz"
        with ThreadPoolExecutor() as pool:
            stamps = np.fromiter(pool.map(stamp, self.entries), STAMP, len(self))
            if not index.exists():
                sizes = np.array(list(pool.map(lambda entry: image_size(entry.image), self.entries)), np.int32)
                partial = self.folder / "partial.npz"
                np.savez(partial, stamps=stamps, sizes=sizes)
                partial.rename(index)
        with np.load(index) as stored:
            known, sizes = stored["stamps"], stored["sizes"]
        if not np.array_equal(known["id"], stamps["id"]):
            raise UserError(f"{self.folder}: is the cache of other images; remove it, or name another folder")
        changed = np.flatnonzero(known != stamps)
        if len(changed):
            raise UserError(
                f"{self.entries[changed[0]].image}: has changed, as {len(changed)} of {len(self)} images, since the "
                f"cache {self.folder} was made; remove the cache, which will then be made anew"
            )
        return sizes

    def _build(self, report: Callable[[int, int], None] | None) -> None:
        mark = self.folder / "done"
        done = int(mark.read_text()) if mark.exists() else 0
        if done == len(self):
            return
        with open(self.folder / "pixels", "ab") as file, ThreadPoolExecutor() as pool:
            missing, free = int(self.starts[-1] - self.starts[done]), shutil.disk_usage(self.folder).free
            if missing > free:
                raise UserError(
                    f"{self.folder}: the cache needs {missing / 1e9:.1f} GB more, but its disk has {free / 1e9:.1f} GB "
                    "left; name a folder with more room, or train without a cache"
                )
            file.truncate(self.starts[-1])
            for first in range(done, len(self), BLOCK):
                last = min(first + BLOCK, len(self))
                list(pool.map(self._write, range(first, last)))
                # On disk before it is said to be there, whatever happens to the machine in between.
                os.fsync(file.fileno())
                partial = mark.with_name("done.partial")
                partial.write_text(str(last))
                partial.rename(mark)
                if report:
                    report(last, len(self))

    def _write(self, index: int) -> None:
        image = self.dataset.image(index)
        if image.shape[:2] != tuple(self.sizes[index]):
            raise UserError(f"{self.entries[index].image}: changes while it is read; remove {self.folder}, try again")
        with open(self.folder / "pixels", "r+b") as file:
            file.seek(self.starts[index])
            file.write(image.data)

    @cached_property
    def _pixels(self) -> np.ndarray:
        """(bytes,) uint8."""
        with open(self.folder / "pixels", "rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)

    def __getstate__(self) -> dict[str, object]:
        """A worker that is spawned maps the file itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_pixels"}


def stamp(entry: Entry) -> tuple[int, int, int]:
    """A `STAMP`. Raises UserError, naming the file, if it is missing."""
    try:
        found = entry.image.stat()
    except OSError as error:
        raise UserError(f"{entry.image}: cannot be read ({error.strerror}); mend or remove the file") from error
    return int.from_bytes(blake2b(entry.id.encode(), digest_size=8).digest()), found.st_size, found.st_mtime_ns
