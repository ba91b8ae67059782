"""The health of a self-supervised training: vital signs of its embeddings, and alarms in plain words."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.data.views import MultiView
from twinsight.errors import UserError
from twinsight.methods.method import is_method, projects
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.finding import Finding
from twinsight.probes.probe import Subject, effective_rank, inspecting
from twinsight.probes.views.alarms import ALARMS, LOG, Row, diagnose, panel
from twinsight.probes.views.correlation import cross_correlation, projections
from twinsight.probes.views.crops import view_pairs


class Health:
    """Vital signs of two views' embeddings, of the backbone and, where a method has one, of its projection.

    seed: for the augmentation. transform: makes the views, of which the first two are taken; default as for
    `AugmentedViews`. history: returns the rows of metrics.csv so far; without it, learning cannot be judged.

    Figure "panel". Numbers, each as "embedding/..." and "projection/...", NaN where they are not finite:
    "mean_diagonal", "off_diagonal_rms", "dead_dimensions" and "effective_rank" as for `Correlation`; "alignment", the
    mean squared distance of an image's two views, 0 to 4, and "uniformity", the logarithm of the mean of exp(-2 d^2)
    over the distances d of different images, 0 for all alike and about -4 for directions spread evenly in many
    dimensions, both of vectors of length 1 (Wang and Isola, 2020); "spread", the standard deviation from the mean
    vector divided by the length, 0 to 1; "length", the mean; "dimensions". Also "images"; "noise_floor",
    1 / sqrt(images); and "alarm/collapsed", "alarm/dimensional_collapse", "alarm/not_learning", "alarm/diverging",
    0 or 1; see `diagnose`.

    Raises UserError for fewer than 2 images or views.
    """

    subject: ClassVar[Subject] = "method"
    caption: ClassVar = CAPTIONS["health"]

    def __init__(
        self, seed: int = 0, transform: MultiView | None = None, history: Callable[[], Sequence[Row]] | None = None
    ):
        if seed < 0:
            raise UserError(f"--seed {seed}: is negative; give 0 or more")
        self.seed, self.transform, self.history = seed, transform, history or list

    @torch.inference_mode()
    def __call__(self, model: Any, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        network: nn.Module = model
        first, second = view_pairs(model, self.transform, images, self.seed)
        asked: dict[str, Any] = {"embedding": model.trunk if is_method(model) else model}
        asked |= {"projection": model} if projects(model) else {}
        numbers: dict[str, float] = {"images": len(images), "noise_floor": 1 / math.sqrt(len(images))}
        with inspecting(network) as device:
            for place, part in asked.items():
                signs = vital_signs(projections(part, first, device), projections(part, second, device))
                numbers |= {f"{place}/{name}": value for name, value in signs.items()}
        history = [{name.removeprefix(LOG): value for name, value in row.items()} for row in self.history()]
        alarms = diagnose(numbers, history)
        raised = {alarm.name for alarm in alarms}
        plot = panel(numbers, alarms, history)
        return Finding(
            {"panel": plot},
            numbers | {f"alarm/{name}": float(name in raised) for name in ALARMS},
            names=self.caption.names,
        )


def vital_signs(z1: Tensor, z2: Tensor) -> dict[str, float]:
    """Two views' (N, D) embeddings -> the numbers of `Health`."""
    names = ("mean_diagonal", "off_diagonal_rms", "dead_dimensions", "effective_rank")
    dim = z1.shape[1]
    if not (z1.isfinite().all() and z2.isfinite().all()):
        missing: Mapping[str, float] = dict.fromkeys((*names, "alignment", "uniformity", "spread", "length"), math.nan)
        return {**missing, "dimensions": float(dim)}
    both = torch.cat([z1, z2]).double()
    centered = both - both.mean(0)
    c, dead = cross_correlation(z1.double(), z2.double())
    return {
        "mean_diagonal": c.diagonal().mean().item(),
        "off_diagonal_rms": c.fill_diagonal_(0).norm().item() / math.sqrt(dim * (dim - 1)) if dim > 1 else math.nan,
        "dead_dimensions": dead.double().mean().item(),
        "effective_rank": effective_rank(centered),
        "alignment": alignment(z1, z2),
        "uniformity": (uniformity(z1) + uniformity(z2)) / 2,
        "spread": (centered.norm() / both.norm()).nan_to_num(0).item(),
        "length": both.norm(dim=1).mean().item(),
        "dimensions": float(dim),
    }


def alignment(z1: Tensor, z2: Tensor) -> float:
    """(N, D), (N, D) -> mean squared distance of their directions, 0 to 4 (Wang and Isola, 2020, alpha 2)."""
    return (F.normalize(z1, dim=1) - F.normalize(z2, dim=1)).square().sum(1).mean().item()


def uniformity(z: Tensor) -> float:
    """(N, D) -> log of the mean of exp(-2 d^2) over pairs of directions, at most 0 (Wang and Isola, 2020, t 2)."""
    return torch.pdist(F.normalize(z, dim=1)).square().mul(-2).exp().mean().log().item()
