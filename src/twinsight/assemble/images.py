"""Images given as files and folders, found without PyTorch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twinsight.data.search import find_images, no_images
from twinsight.errors import UserError


def evenly(total: int, count: int) -> list[int]:
    """At most `count` evenly spaced indices below `total`, including the first and the last."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(int)).tolist()


def find(given: Sequence[Path], but: Path | None = None) -> dict[str, Path]:
    """Images by the name of their prediction: the path relative to the given folder, without extension.

    but: the output folder, which is skipped if it is inside an image folder. Raises UserError if it contains other
    images.
    """
    found: dict[str, Path] = {}
    predictions = None if but is None else but.resolve()
    inside: list[Path] = []
    for path in given:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; check the path")
        files = [(path, Path(path.name))]
        if path.is_dir():
            real = {file: (path.resolve() / file.relative_to(path)).parents for file in find_images(path)}
            inside += [file for file, parents in real.items() if predictions in parents]
            files = [(file, file.relative_to(path)) for file, parents in real.items() if predictions not in parents]
        if not files and not inside:
            raise no_images(path)
        for file, relative in files:
            name = relative.with_suffix("").as_posix()
            if name in found:
                raise UserError(f"{file}: its mask would overwrite that of {found[name]}; predict them separately")
            found[name] = file
    expected = {f"{name}{suffix}" for name in found for suffix in (".png", ".overlay.jpg")}
    for file in inside:
        if file.resolve().relative_to(predictions or "").as_posix() not in expected:
            raise UserError(
                f"--out {but}: is inside the image folder and contains {file.name}, which is not one of their masks; "
                "choose another --out"
            )
    if not found:
        raise UserError("images: none given; name image files or folders")
    return found
