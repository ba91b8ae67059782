"""Images through a network, a batch at a time."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from twinsight.api.inputs import Given, shrink
from twinsight.api.prediction import Prediction
from twinsight.assemble.predicting import Predictor
from twinsight.backbones.backbone import Backbone
from twinsight.data.whole import WAITING, batches
from twinsight.errors import UserError
from twinsight.probes.images import pixels
from twinsight.probes.probe import inspecting

T = TypeVar("T")


def each(
    backbone: Backbone, given: Given, size: int | None, batch_size: int, call: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    """`call` of batches of the images, shrunk to `size`; its rows one by one, float32 on the CPU."""
    shrunk = (shrink(image, size) for image in given)
    for batch in neighbors(shrunk, lambda image: (image.shape, image.dtype), lambda _: batch_size):
        with inspecting(backbone) as device, torch.no_grad():
            computed = call(torch.stack(batch).to(device)).float().cpu()
        yield from computed


def together(rows: Iterable[Tensor]) -> Tensor:
    """Rows as one tensor. Raises UserError if their shapes differ."""
    found = list(rows)
    first = tuple(found[0].shape)
    if differ := next((tuple(row.shape) for row in found if row.shape != found[0].shape), None):
        raise UserError(
            f"images: their sizes differ and so do these maps, {first} and {differ}; bring the images to one size, or "
            "pass iter(images) and take the maps one by one"
        )
    return torch.stack(found)


class Predicting:
    """Predictions of images that come numbered, batch by batch."""

    def __init__(self, predictor: Predictor, given: Given, batch_size: int | None, **about: Any):
        self.predictor, self.given, self.batch_size, self.about = predictor, given, batch_size, about

    def in_order(self) -> Iterator[Prediction]:
        """As the images come, with no more than a batch of them in memory."""
        for batch in neighbors(enumerate(self.given), self.kind, self.size):
            yield from (prediction for _, prediction in self.predict(batch))

    def all(self) -> list[Prediction]:
        """In the images' order; batches are filled from all of one size, as `twinsight predict` does."""
        every = batches(enumerate(self.given), self.kind, self.size, WAITING)
        found = dict(pair for batch in every for pair in self.predict(batch))
        return [found[index] for index in range(len(found))]

    def predict(self, batch: list[tuple[int, Tensor]]) -> Iterator[tuple[int, Prediction]]:
        masks, confidences = self.predictor.masks_and_confidence(torch.stack([image for _, image in batch]))
        for (index, image), mask, confidence in zip(batch, masks.numpy(), confidences.numpy()):
            name = f"image-{index}" if self.given.names is None else self.given.names[index]
            yield index, Prediction(mask=mask, confidence=confidence, image=pixels(image), name=name, **self.about)

    def size(self, item: tuple[int, Tensor]) -> int:
        return self.batch_size or self.predictor.at_once(item[1][0].numel())

    def kind(self, item: tuple[int, Tensor]) -> tuple[torch.Size, torch.dtype]:
        return item[1].shape, item[1].dtype


def neighbors(items: Iterable[T], kind: Callable[[T], Any], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Lists of at most `size(item)` items of one kind, in the items' order."""
    batch: list[T] = []
    for item in items:
        if batch and kind(item) != kind(batch[0]):
            yield batch
            batch = []
        batch.append(item)
        if len(batch) >= size(item):
            yield batch
            batch = []
    if batch:
        yield batch
