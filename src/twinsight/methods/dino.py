"""DINO: a student learns to predict the output of its own moving average, the teacher, on other crops."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.layers import GlobalBatchNorm1d, at_least_float32, mean_over_ranks
from twinsight.methods.crops import cross_entropy, each_size
from twinsight.methods.sinkhorn import sinkhorn_knopp
from twinsight.methods.teacher import WithTeacher


class DINO(WithTeacher):
    """Emerging Properties in Self-Supervised Vision Transformers (Caron et al., 2021), as in its official code.

    backbone: becomes `trunk`, the teacher's, which is kept after training; the student is a copy.
    views: two large ones, which the teacher sees, then any number of small ones for the student only.
    prototypes, hidden, bottleneck: widths of the head; 65536, 2048 and 256 in the paper.
    batch_norm: in the head's hidden layers, over all crops together; an option of the code, not in the paper.
    norm_last_layer: fixes the norm of each prototype at 1, which is more stable than learning it.
    momentum: of the teacher at the start; rises to 1 on a cosine.
    centering: prevents one prototype from dominating: "mean" subtracts a moving mean from the teacher's outputs;
        "sinkhorn-knopp" assigns each prototype an equal fraction of every batch (Caron et al., 2020; as in DINOv2),
        which suits small batches better.
    center_momentum: of that moving mean.
    student_temperature: divides the student's outputs.
    teacher_temperature: divides the teacher's outputs, at the start and after the warm-up. It rises with each step, as
        in DINOv2; DINO's code raises it with each epoch.
    temperature_warmup: fraction of the run for the warm-up. freeze_last_layer: fraction of the run, from the start,
        with the student's prototypes frozen.

    Stochastic depth and dropout apply to the student only. Batch norm uses batch statistics in both.
    """

    center: Tensor

    def __init__(
        self,
        backbone: Backbone,
        views: MultiView,
        prototypes: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
        batch_norm: bool = False,
        norm_last_layer: bool = True,
        momentum: float = 0.996,
        centering: Literal["mean", "sinkhorn-knopp"] = "mean",
        center_momentum: float = 0.9,
        student_temperature: float = 0.1,
        teacher_temperature: tuple[float, float] = (0.04, 0.07),
        temperature_warmup: float = 0.1,
        freeze_last_layer: float = 0.01,
    ):
        super().__init__(views, momentum)
        self.trunk = backbone
        self.projector = projector(backbone.dim, hidden, bottleneck, batch_norm)
        self.prototypes = Prototypes(bottleneck, prototypes, norm_last_layer)
        self.student = deepcopy(self.teacher)
        self.teacher.requires_grad_(False)
        self.register_buffer("center", torch.zeros(prototypes))
        self.centering = centering
        self.center_momentum = center_momentum
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.temperature_warmup = temperature_warmup
        self.freeze_last_layer = freeze_last_layer
        self.train()

    @property
    def teacher(self) -> nn.Sequential:
        return nn.Sequential(self.trunk, self.projector, self.prototypes)

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: (B, 3, h, w) batches, uint8 or float in [0, 1], the large ones first; progress: 0 to 1 over the run.

        Updates the center if centering is "mean".
        """
        temperature = self.temperature(progress)
        with torch.no_grad():
            teacher = at_least_float32(self.teacher(torch.cat(list(views[:2]))))
        # One pass of the head for all crops, as in the official code: its batch norm sees all sizes together.
        student = at_least_float32(self.student[1:](torch.cat(list(each_size(self.student[0], views)))))
        if self.centering == "mean":
            t = F.softmax((teacher - self.center) / temperature, dim=1)
            self.center.lerp_(mean_over_ranks(teacher.mean(0)).to(self.center), 1 - self.center_momentum)
        else:
            t = sinkhorn_knopp(teacher / temperature)
        log_s = F.log_softmax(student / self.student_temperature, dim=1)
        loss = cross_entropy(t.chunk(2), log_s.chunk(len(views)))
        entropy = torch.special.entr(t).sum(1).mean()
        return {
            "loss": loss,
            "entropy": entropy,
            "kl": loss.detach() - entropy,
            "temperature": loss.new_full((), temperature),
            "momentum": loss.new_full((), self.momentum_at(progress)),
        }

    def after_backward(self, progress: float) -> None:
        """Freezes the student's prototypes early in the run."""
        if progress < self.freeze_last_layer:
            for parameter in self.student[-1].parameters():
                parameter.grad = None

    def temperature(self, progress: float) -> float:
        """The teacher's temperature at this fraction of the run."""
        first, last = self.teacher_temperature
        if progress >= self.temperature_warmup:
            return last
        return first + (last - first) * progress / self.temperature_warmup

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, bottleneck), unit vectors that the teacher compares with its prototypes."""
        return self.projector(self.trunk(images))


class Prototypes(nn.Module):
    """A linear layer with weight normalization (Salimans and Kingma, 2016): (B, dim) -> (B, count).

    normed: prototypes have norm 1; otherwise their norms are learned.
    """

    def __init__(self, dim: int, count: int, normed: bool):
        super().__init__()
        self.weight = nn.Linear(dim, count, bias=False).weight
        self.length = None if normed else nn.Parameter(torch.ones(count, 1))

    def forward(self, x: Tensor) -> Tensor:
        directions = F.normalize(self.weight, dim=1)
        return F.linear(x, directions if self.length is None else self.length * directions)


class UnitLength(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)


def projector(dim: int, hidden: int, bottleneck: int, batch_norm: bool) -> nn.Sequential:
    """(B, dim) -> (B, bottleneck), unit vectors: three linear layers with optional batch norm and GELU between."""
    layers = [nn.Linear(dim, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, bottleneck)]
    for layer in layers:
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
    norms = [[GlobalBatchNorm1d(hidden)] if batch_norm else [] for _ in range(2)]
    return nn.Sequential(layers[0], *norms[0], nn.GELU(), layers[1], *norms[1], nn.GELU(), layers[2], UnitLength())
