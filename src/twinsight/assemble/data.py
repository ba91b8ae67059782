"""From options to data sets, and to the images of a probe."""

from typing import Any, NamedTuple

import numpy as np
from rich.progress import Progress

from twinsight.assemble.images import evenly
from twinsight.console import notes, tell
from twinsight.data.cache import Cached
from twinsight.data.class_folder import ClassFolder
from twinsight.data.samples import Dataset
from twinsight.data.tolerance import Tolerance
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


def sample(data: Dataset, count: int, size: int | None) -> Seen:
    """`count` evenly spaced images of a data set, with their masks if it has any."""
    places = evenly(len(data), count)
    tolerance = Tolerance(len(data), data.tolerate)
    read = [tolerance.read(data.__getitem__, place) for place in places]
    chosen, samples = [place for place, _ in read], [sample for _, sample in read]
    images = [to_tensor(image, size) for image, _, _ in samples]
    masks = [mask_to_tensor(s.mask, i) for s, i in zip(samples, images) if s.mask is not None]
    labels = [data.names[data.targets[i]] for i in chosen] if isinstance(data, ClassFolder) else None
    return Seen(images, masks if len(masks) == len(images) else None, labels, data.classes, data.palette)
