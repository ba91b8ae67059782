"""A student and its teacher: a copy that is not trained, but follows the student as its moving average."""

from typing import Any, Self

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from twinsight.data.views import MultiView
from twinsight.layers import cosine, ema


class WithTeacher(nn.Module):
    """What methods with a teacher share; a subclass has `student` and `teacher`, of the same parameters.

    views: makes the views of an image.
    momentum: of the teacher at the start; rises to 1 on a cosine.

    Stochastic depth and dropout apply to the student only. Batch norm uses batch statistics in both while training, as
    in the official code of DINO, BYOL and MoCo v3.
    """

    student: Any
    teacher: Any

    def __init__(self, views: MultiView, momentum: float):
        super().__init__()
        self._views = views
        self.momentum = momentum

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for module in self.teacher.modules():
            module.training = mode and isinstance(module, _BatchNorm)
        return self

    def views(self) -> MultiView:
        """The transform that makes the views of an image."""
        return self._views

    def momentum_at(self, progress: float) -> float:
        """The teacher's momentum at this fraction of the run."""
        return cosine(self.momentum, 1.0, progress)

    def after_step(self, progress: float) -> None:
        """Moves the teacher toward the student."""
        ema(self.teacher, self.student, self.momentum_at(progress))
