"""The metrics of semantic segmentation, all from one confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.distributed as dist
from torch import Tensor

from twinsight.errors import UserError
from twinsight.segmentation.losses import VOID


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores from a confusion matrix, all in [0, 1]; per-class ones are (C,) float64.

    A class that occurs neither in the target nor in the prediction is NaN and left out of every mean. One
    that occurs in only one of them scores 0, also where the quotient is 0/0 (the recall of a class that is
    predicted but never there), as in torchmetrics. F1 is the Dice score; a class's accuracy is its
    recall.

    matrix: (C, C) int64 on the CPU, pixels by target (row) and prediction (column).
    """

    matrix: Tensor

    @cached_property
    def _hits(self) -> Tensor:
        return self.matrix.diagonal().double()

    @cached_property
    def _actual(self) -> Tensor:
        return self.matrix.sum(1).double()

    @cached_property
    def _predicted(self) -> Tensor:
        return self.matrix.sum(0).double()

    def _per_class(self, numerator: Tensor, denominator: Tensor) -> Tensor:
        score = torch.where(denominator > 0, numerator / denominator, 0.0)
        return score.masked_fill(self._actual + self._predicted == 0, torch.nan)

    @cached_property
    def recall(self) -> Tensor:
        return self._per_class(self._hits, self._actual)

    @cached_property
    def precision(self) -> Tensor:
        return self._per_class(self._hits, self._predicted)

    @cached_property
    def f1(self) -> Tensor:
        return self._per_class(2 * self._hits, self._actual + self._predicted)

    @cached_property
    def iou(self) -> Tensor:
        return self._per_class(self._hits, self._actual + self._predicted - self._hits)

    @cached_property
    def occurring(self) -> int:
        """How many classes the means are taken over: those in the target or the prediction."""
        return int((self._actual + self._predicted > 0).sum())

    @cached_property
    def frequency(self) -> Tensor:
        """The fraction of the target's pixels in each class; NaN without any pixels."""
        return self._actual / self._actual.sum()

    def scalars(self) -> dict[str, float]:
        """The means, by their logged names; `mean_recall` is another name of `mean_accuracy`."""
        return {
            "mean_iou": self.iou.nanmean().item(),
            "pixel_accuracy": (self._hits.sum() / self._actual.sum()).item(),
            "mean_accuracy": self.recall.nanmean().item(),
            "mean_precision": self.precision.nanmean().item(),
            "mean_recall": self.recall.nanmean().item(),
            "mean_f1": self.f1.nanmean().item(),
            "frequency_weighted_iou": (self.frequency * self.iou.nan_to_num()).sum().item(),
        }

    def table(self, classes: Sequence[str]) -> list[dict[str, str | float]]:
        """One row per class: its name, iou, accuracy, precision, f1, and pixels, its fraction of the target."""
        columns = zip(classes, self.iou, self.recall, self.precision, self.f1, self.frequency, strict=True)
        names = ("iou", "accuracy", "precision", "f1", "pixels")
        return [{"class": name} | {k: v.item() for k, v in zip(names, scores)} for name, *scores in columns]


class ConfusionMatrix:
    """Counts pixels by target and prediction over batches and processes, on the device where the predictions are.

    Not a module: weight averaging swaps a model's buffers, and would swap the counts with them.
    """

    def __init__(self, num_classes: int):
        self.matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def reset(self) -> None:
        self.matrix.zero_()

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count a batch: prediction (B, H, W) class indices, or (B, C, H, W) logits; target (B, H, W).

        Raises UserError for a target that is neither a class nor 255, void.
        """
        if prediction.ndim == 4:
            prediction = best_class(prediction)
        num_classes = len(self.matrix)
        # One row for each possible uint8 label, so that void falls outside the matrix without a lookup.
        pairs = torch.add(prediction, target.int(), alpha=num_classes)
        counts = pairs.flatten().bincount(minlength=(VOID + 1) * num_classes).view(VOID + 1, num_classes)
        if counts[num_classes:VOID].any():
            label = num_classes + int(counts[num_classes:VOID].sum(1).nonzero()[0])
            raise UserError(
                f"a mask contains class id {label}, but there are {num_classes} classes; correct the mask or classes"
            )
        self.matrix = self.matrix.to(counts.device) + counts[:num_classes]

    def reduce(self) -> Tensor:
        """(C, C) counts over all processes, which must all call it; each keeps its own counts."""
        matrix = self.matrix.clone()
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(matrix)
        return matrix

    def compute(self) -> Scores:
        """The scores over all batches since `reset` and over all processes, which must all call it."""
        return Scores(self.reduce().cpu())


def best_class(scores: Tensor) -> Tensor:
    """(B, C, H, W) scores of at most 255 classes -> (B, H, W) uint8: argmax, the first of equal ones.

    On a CPU up to eight times as fast as `argmax`, which tracks index and maximum one number at a time.
    """
    if scores.device.type != "cpu" or scores.stride(1) == 1:  # channels_last: the values of a pixel are contiguous
        return scores.max(1).indices.to(torch.uint8)
    classes = torch.arange(scores.shape[1], dtype=torch.uint8)[:, None, None]
    # 255 where a class is below the maximum, else its index; the smallest is the first class that reaches it.
    marked = ((image < image.amax(0)).view(torch.uint8).neg_().bitwise_or_(classes) for image in scores)
    return torch.stack([numbers.amin(0) for numbers in marked])
