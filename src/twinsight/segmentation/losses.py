"""Losses of semantic segmentation, and weighted sums of them.

Every loss takes logits (B, C, H, W) and target (B, H, W), uint8 or int64 labels below C or 255 = void, and
returns a scalar. Void pixels never count; where all pixels are void the loss is exactly 0, and so are its
gradients. Half precision is computed in float32; float64 stays float64.

Dice, Jaccard and Lovász take each class over the whole batch (not image by image) and average over the
classes present in the batch's target: for an absent class the overlap is 0 whatever is predicted, so it
adds nothing to what the other classes' pixels already teach.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.errors import UserError
from twinsight.segmentation.terms import TERMS

VOID = 255


def cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """The mean over pixels of -log p(target), weighted by `class_weights` (C,) of the target as in torch.

    label_smoothing: 0 to 1, the fraction of the target spread evenly over all classes (Szegedy et al., 2016).
    """
    logits, target = _full_precision(logits), target.long()
    weights = None if class_weights is None else class_weights.to(logits)
    total = F.cross_entropy(
        logits, target, weights, ignore_index=VOID, reduction="sum", label_smoothing=label_smoothing
    )
    return _divide(total, _pixel_weights(logits, target, weights).sum())


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0, class_weights: Tensor | None = None) -> Tensor:
    """The cross-entropy of each pixel times (1 - p(target))^gamma (Lin et al., "Focal Loss", 2017), averaged.

    gamma: 0 or more; 0 is the cross-entropy. class_weights: (C,), the paper's alpha, weighting the mean.
    """
    logits, target = _full_precision(logits), target.long()
    weights = _pixel_weights(logits, target, class_weights)
    negative_log = F.cross_entropy(logits, target, ignore_index=VOID, reduction="none")
    # Bounded away from 0, where a gamma below 1 has an infinite slope.
    doubt = (-torch.expm1(-negative_log)).clamp_min(torch.finfo(logits.dtype).eps)
    return _divide((weights * doubt**gamma * negative_log).sum(), weights.sum())


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """1 - 2 |p ∩ y| / (|p| + |y|), the soft Dice loss (Milletari et al., 2016, without their squares)."""
    overlap, predicted, actual = _areas(logits, target)
    return _mean_present(1 - _divide(2 * overlap, predicted + actual), actual)


def jaccard(logits: Tensor, target: Tensor) -> Tensor:
    """1 - |p ∩ y| / |p ∪ y|, the soft intersection over union (Rahman & Wang, 2016)."""
    overlap, predicted, actual = _areas(logits, target)
    return _mean_present(1 - _divide(overlap, predicted + actual - overlap), actual)


def lovasz(logits: Tensor, target: Tensor) -> Tensor:
    """The Lovász-softmax (Berman et al., 2018): the convex extension of 1 - IoU to soft errors.

    For hard predictions it is 1 - IoU exactly.
    """
    probabilities = _full_precision(logits).softmax(1).transpose(0, 1).flatten(1)  # (C, N)
    labels = target.flatten()
    truth = labels == torch.arange(len(probabilities), device=labels.device)[:, None]
    # Void pixels have error 0: sorted last, they take no part in the sum.
    errors = (truth.to(probabilities) - probabilities).abs().masked_fill(labels == VOID, 0)
    errors, order = errors.sort(dim=1, descending=True)
    truth, actual = truth.gather(1, order), truth.sum(1)
    # The loss grows as pixels become wrong one by one in this order. If the pixel belongs to the class, the
    # intersection loses a pixel: 1/U. If not, the union gains one, from U - 1 to U: I/(U (U -
    # 1)). The closed form avoids the cancellation of a difference between neighboring values of I/U.
    intersection = (actual[:, None] - truth.cumsum(1)).to(errors)
    union = (actual[:, None] + (~truth).cumsum(1)).to(errors)
    slope = torch.where(truth, 1 / union, intersection / (union * (union - 1)).clamp_min(1))
    return _mean_present((errors * slope).sum(1), actual)


LOSSES: Mapping[str, Callable[..., Tensor]] = dict(zip(TERMS, (cross_entropy, dice, focal, jaccard, lovasz)))


class SegmentationLoss(nn.Module):
    """A weighted sum of losses, such as {"cross-entropy": 1.0, "dice": 0.5}.

    terms: weight of each loss, by its name in LOSSES.
    class_weights: (C,), of cross-entropy and focal, one of them above 0. label_smoothing: of cross-entropy, below 1.
    focal_gamma: of focal.

    Raises UserError for smoothing or weights that leave the loss without information about the classes.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        terms: Mapping[str, float],
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 2.0,
    ):
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise UserError(
                f"--label-smoothing {label_smoothing:g}: must be at least 0 and below 1, where all classes are "
                "equally right; 0.1 is usual"
            )
        if class_weights is not None and not class_weights.any():
            raise UserError("--class-weights: are all 0, so no pixel counts; give at least one class a weight above 0")
        self.terms = dict(terms)
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """logits (B, C, H, W), target (B, H, W) -> scalar."""
        options: dict[str, dict[str, Any]] = {
            "cross-entropy": {"class_weights": self.class_weights, "label_smoothing": self.label_smoothing},
            "focal": {"class_weights": self.class_weights, "gamma": self.focal_gamma},
        }
        terms = [w * LOSSES[name](logits, target, **options.get(name, {})) for name, w in self.terms.items()]
        return torch.stack(terms).sum()


def _full_precision(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient; where the denominator is 0 (an empty sum), the numerator."""
    return numerator / torch.where(denominator > 0, denominator, 1)


def _pixel_weights(logits: Tensor, target: Tensor, class_weights: Tensor | None) -> Tensor:
    """(B, H, W): the weight of each pixel's class, 0 for void."""
    counts = target != VOID
    if class_weights is None:
        return counts.to(logits)
    return class_weights.to(logits)[target.masked_fill(~counts, 0)] * counts


def _areas(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(C,) each, without void: probability on the target, total probability, pixels of the target."""
    probabilities = _full_precision(logits).softmax(1)
    truth = target[:, None] == torch.arange(logits.shape[1], device=target.device)[:, None, None]
    counts = (target != VOID)[:, None]
    dims = (0, 2, 3)
    return (probabilities * truth).sum(dims), (probabilities * counts).sum(dims), truth.sum(dims)


def _mean_present(losses: Tensor, actual: Tensor) -> Tensor:
    """The mean of (C,) losses over the classes with pixels in the target; 0 where there are none."""
    present = actual > 0
    return _divide((losses * present).sum(), present.sum())
