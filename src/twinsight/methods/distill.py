"""Distillation: the student's features point where those of a trained network, the teacher, point."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone, Features
from twinsight.data.views import MultiView
from twinsight.errors import UserError
from twinsight.layers import at_least_float32


class Distill(nn.Module):
    """Features matched by cosine, as in AM-RADIO (Ranzinger et al., 2024), with one teacher and without smooth L1.

    backbone: the student; becomes `trunk`, which is kept after training.
    teacher: a trained backbone of any kind; it sees the same view and never changes.
    global_weight: of 1 - cosine between embeddings; local_weight: of the same between the deepest maps, averaged over
        positions. The student's map is resized to the teacher's.
    hidden: width of a hidden layer in the projections from student to teacher; None: they are linear.
    views: one augmented view.
    """

    def __init__(
        self,
        backbone: Backbone,
        teacher: Backbone,
        views: MultiView,
        global_weight: float = 1.0,
        local_weight: float = 1.0,
        hidden: int | None = None,
    ):
        super().__init__()
        self.trunk = backbone
        self.teacher = Frozen(teacher)
        self.global_weight, self.local_weight = global_weight, local_weight
        self.whole = projection(backbone.dim, hidden, teacher.dim) if global_weight else None
        self.local = projection(backbone.dims[-1], hidden, teacher.dims[-1]) if local_weight else None
        self._views = views

    def views(self) -> MultiView:
        """The transform that makes the view of an image."""
        return self._views

    def forward(self, views: Sequence[Tensor], progress: float) -> dict[str, Tensor]:
        """views: one (B, 3, H, W) batch, uint8 or float in [0, 1]; progress: 0 to 1 over the run.

        Raises UserError for a size that student and teacher pad differently.
        """
        student, teacher = self.trunk.features(views[0], [-1]), self.teacher(views[0])
        terms: dict[str, Tensor] = {}
        loss = student.embedding.new_zeros(())
        if self.whole is not None:
            terms["global"] = distance(self.whole(student.embedding), teacher.embedding)
            loss = loss + self.global_weight * terms["global"]
        if self.local is not None:
            here, there = self.resized(student, teacher).permute(0, 2, 3, 1), teacher.maps[0].permute(0, 2, 3, 1)
            terms["local"] = distance(self.local(here), there)
            loss = loss + self.local_weight * terms["local"]
        return {"loss": loss} | {name: term.detach() for name, term in terms.items()}

    def resized(self, student: Features, teacher: Features) -> Tensor:
        """The student's map (B, C, h, w) at the height and width of the teacher's."""
        if student.extent != teacher.extent:
            sizes = self.trunk.multiple, self.teacher.backbone.multiple
            raise UserError(
                "--method.views.size: is padded differently for the student and the teacher, so their features are of "
                f"different places; give a multiple of {math.lcm(*sizes)}"
            )
        if student.maps[0].shape[2:] == teacher.maps[0].shape[2:]:
            return student.maps[0]
        here = at_least_float32(student.maps[0])  # CPUs cannot resize bfloat16 with antialiasing
        return F.interpolate(here, teacher.maps[0].shape[2:], mode="bilinear", antialias=True)


class Frozen(nn.Module):
    """A frozen backbone in eval mode. Checkpoints hold a hash of its weights in their place."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Features:
        return self.backbone.features(images, [-1])

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        destination = OrderedDict() if destination is None else destination
        self._save_to_state_dict(destination, prefix, keep_vars)
        return destination

    def get_extra_state(self) -> Tensor:
        return self.hash

    def set_extra_state(self, state: Tensor) -> None:
        """Raises UserError if the checkpoint was written beside other weights."""
        if not torch.equal(state.cpu(), self.hash):
            raise UserError(
                f"--method.teacher: {self.backbone.weights} does not hold the weights that this run was begun with; "
                "give those, or start a new --run"
            )

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        state_dict.update(self.backbone.state_dict(prefix=f"{prefix}backbone."))  # as they are
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    @cached_property
    def hash(self) -> Tensor:
        """(16,) uint8."""
        found = blake2b(digest_size=16)
        for tensor in self.backbone.state_dict().values():
            found.update(tensor.cpu().flatten().view(torch.uint8).numpy().tobytes())
        return torch.tensor(list(found.digest()), dtype=torch.uint8)


def projection(width: int, hidden: int | None, out: int) -> nn.Module:
    """(..., width) -> (..., out), linear, or with a hidden layer."""
    if hidden is None:
        return nn.Linear(width, out)
    return nn.Sequential(nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, out))


def distance(student: Tensor, teacher: Tensor) -> Tensor:
    """(..., D), (..., D) -> the mean of 1 - cosine, in float32 or better."""
    return 1 - F.cosine_similarity(at_least_float32(student), at_least_float32(teacher), dim=-1).mean()
