"""Predictions of many images: read ahead, segmented in batches of one size, written behind."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from twinsight.assemble.opening import announce, computing
from twinsight.assemble.opening import images as counted
from twinsight.assemble.predicting import Predictor, write_prediction
from twinsight.assemble.trained import Trained
from twinsight.console import tell, tracked
from twinsight.data.decode import decode_image
from twinsight.data.depth import decide
from twinsight.data.reading import Reading
from twinsight.data.whole import WAITING, batches
from twinsight.errors import UserError
from twinsight.options.commands import Predict
from twinsight.segmentation.streaming import ahead, threads

AHEAD = 8
"""Images that are read ahead, and those that wait to be written."""


class Picture(NamedTuple):
    """An image that has been read: its name, the pixels (H, W, 3) uint8."""

    name: str
    pixels: np.ndarray


def predict(options: Predict, trained: Trained, images: dict[str, Path]) -> None:
    """images: by the name of their prediction. Raises UserError for broken ones, once the others are done."""
    predictor = Predictor.open(options)
    announce(
        "predict",
        f"{options.run}, {options.checkpoint} checkpoint",
        counted(len(images)),
        computing(predictor.device, predictor.precision, trained=options.precision is None),
        f"to {options.out}",
    )
    data = trained.options.data
    known = {name: getattr(options, name) or getattr(data, name, None) for name in ("bits", "max_megapixels")}
    reading = decide(list(images.values()), **known)
    broken: list[str] = []

    def segmented(batch: list[Picture]) -> Tensor:
        return predictor.masks(torch.from_numpy(np.stack([picture.pixels for picture in batch])).permute(0, 3, 1, 2))

    def write(predicted: tuple[Picture, Tensor]) -> None:
        (name, pixels), classes = predicted
        mask = classes.cpu().numpy()  # here, so that a GPU is not waited for before it has its next batch
        write_prediction(options.out, name, mask, trained.palette, pixels if options.overlay else None, options.opacity)

    def pictures() -> Iterator[Picture]:
        for found in ahead(pool, partial(read, reading), images.items(), AHEAD):
            if isinstance(found, Picture):
                yield found
            else:
                broken.append(str(found))

    def predicted() -> Iterator[tuple[Picture, Tensor]]:
        for batch in batches(pictures(), lambda picture: picture.pixels.shape, size, WAITING):
            yield from zip(batch, segmented(batch))

    def size(picture: Picture) -> int:
        return options.batch_size or predictor.at_once(picture.pixels[..., 0].size)

    with threads() as pool:
        written = ahead(pool, write, predicted(), AHEAD)
        for _ in tracked(written, "predicting", len(images)):
            pass
    tell(f"predict: {len(images) - len(broken)} of {len(images)} images, in {options.out}")
    for sentence in broken:
        tell(sentence)
    if broken:
        raise UserError(f"{len(broken)} of {counted(len(images))} cannot be read, as named above; the others are done")


def read(reading: Reading, item: tuple[str, Path]) -> Picture | UserError:
    """What is wrong with a broken image is given back, for the others to be done first."""
    name, file = item
    try:
        return Picture(name, decode_image(file, reading))
    except UserError as error:
        return error
