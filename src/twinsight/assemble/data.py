"""From options to data sets, and to the images of a probe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.progress import Progress

from twinsight.console import notes, tell
from twinsight.data.cache import Cached
from twinsight.data.class_folder import ClassFolder
from twinsight.data.samples import Dataset
from twinsight.data.search import find_images, no_images
from twinsight.data.tolerance import Tolerance
from twinsight.errors import UserError
from twinsight.options.files import DataOptions, FileOptions
from twinsight.options.training import InferenceOptions
from twinsight.probes.images import mask_to_tensor, to_tensor
from twinsight.segmentation.inference import Inference


def make_inference(options: InferenceOptions) -> Inference:
    return Inference(options.window, options.overlap, options.scales, options.flip)


def cached(data: Dataset, options: DataOptions, split: str) -> Dataset:
    """The data set, from its cache if the options name one; a missing cache is created."""
    if not isinstance(options, FileOptions) or options.cache is None:
        return data
    folder = options.cache / split
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("decoding into the cache", total=len(data))
        return Cached(
            data,
            folder,
            plan=lambda size: tell(f"--data.cache: {size / 1e9:.2f} GB in {folder}"),
            report=lambda done, _: progress.update(task, completed=done),
        )


class Seen(NamedTuple):
    """A probe's input: images (3, H, W), masks (H, W) or None, and one label per image or None."""

    images: list[Any]
    masks: list[Any] | None
    labels: list[str] | None
    classes: tuple[str, ...]
    palette: np.ndarray | None


def evenly(total: int, count: int) -> list[int]:
    """At most `count` evenly spaced indices below `total`, including the first and the last."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(int)).tolist()


def sample(data: Dataset, count: int, size: int | None) -> Seen:
    """`count` evenly spaced images of a data set, with their masks if it has any."""
    places = evenly(len(data), count)
    tolerance = Tolerance(len(data), data.tolerate)
    read = [tolerance.read(data.__getitem__, place) for place in places]
    chosen, samples = [place for place, _ in read], [sample for _, sample in read]
    images = [to_tensor(image, size) for image, _, _ in samples]
    masks = [mask_to_tensor(s.mask, i) for s, i in zip(samples, images) if s.mask is not None]
    labels = [data.names[data.labels[i]] for i in chosen] if isinstance(data, ClassFolder) else None
    return Seen(images, masks if len(masks) == len(images) else None, labels, data.classes, data.palette)


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
