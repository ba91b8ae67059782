"""Image files found in folders."""

import os
import warnings
from collections import Counter
from pathlib import Path

from twinsight.data.decode import EXTENSIONS
from twinsight.errors import Remark, UserError
from twinsight.ours import made_here, refuse_run

NOT_READ = {
    ".arw", ".cr2", ".cr3", ".czi", ".dcm", ".dng", ".eps", ".exr", ".fits", ".hdr", ".heic", ".heif", ".jpx", ".jxl",
    ".jxr", ".lif", ".nd2", ".ndpi", ".nef", ".nii", ".orf", ".pbm", ".pcx", ".pef", ".pgm", ".pnm", ".ppm", ".psd",
    ".raf", ".rw2", ".srw", ".svg", ".svs", ".tga",
}  # fmt: skip
"""Extensions of images that a search counts and leaves out."""


def find_images(folder: Path, also: frozenset[str] = frozenset()) -> list[Path]:
    """Every image below a folder in sorted order; hidden files and folders are skipped, links followed.

    also: extensions of other files to find.

    Run directories below it are skipped too, since their figures are not photographs; a remark says how many. A link
    back to a folder that it lies in is not followed, and only regular files count: a pipe would block whoever opens it.
    Another remark counts the images of formats that are not read. Raises UserError, naming the folder, if one cannot be
    read.
    """
    found: list[Path] = []
    runs: list[str] = []
    left_out = Counter[str]()
    waiting: list[tuple[str, frozenset[str]]] = [(str(folder), frozenset())]
    while waiting:
        here, above = waiting.pop()
        real = os.path.realpath(here)
        if real in above:
            continue
        inside = entries(here)
        if above and made_here([entry.name for entry in inside]):
            runs.append(here)
            continue
        for entry in inside:
            if entry.name.startswith("."):
                continue
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                waiting.append((entry.path, above | {real}))
                continue
            extension = os.path.splitext(entry.name)[1].lower()
            if (extension in EXTENSIONS or extension in also) and can_be_opened(entry):
                found.append(Path(entry.path))
            elif extension in NOT_READ:
                left_out[extension[1:].upper()] += 1
    if runs:
        remark(f"{folder}: run directories in it are left out, {len(runs)} in all, such as {min(runs)}")
    if left_out:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        remark(f"{folder}: leaves out {counts}, formats that are not read; convert these files to JPEG, PNG or TIFF")
    return sorted(found)


def no_images(folder: Path, kind: str = "image") -> UserError:
    refuse_run("", folder)
    return UserError(f"{folder}: holds no {kind} (JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF or JPEG 2000); check the path")


def remark(sentence: str) -> None:
    warnings.warn(sentence, Remark, stacklevel=1)  # the same location for whoever searches, so that it is said once


def entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}); allow access or remove the folder") from error


def can_be_opened(entry: os.DirEntry[str]) -> bool:
    """Whether this is a regular file, or a link to nothing, which is left for its reader to name."""
    if entry.is_symlink():
        return os.path.isfile(entry.path) or not os.path.exists(entry.path)
    return entry.is_file()


def find_by_name(folder: Path) -> dict[str, Path]:
    """Images below a folder by their path in it without extension, which is what pairs an image and its mask.

    Raises UserError if two files differ in nothing but their extension.
    """
    found: dict[str, Path] = {}
    for path in find_images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{path}: has the same name as {found[name].name}; remove or rename one of them")
        found[name] = path
    return found
