"""A teacher: a copy of a network that is not trained, but follows the original as its moving average (`layers.ema`)."""

from copy import deepcopy
from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Network = TypeVar("Network", bound=nn.Module)


def teacher_of(student: Network) -> Network:
    """A copy of the student without gradients."""
    return deepcopy(student).requires_grad_(False)


def train_teacher(teacher: nn.Module, mode: bool) -> None:
    """Call after the method's own `train(mode)`: turns off the teacher's stochastic depth and dropout.

    Batch norm still uses batch statistics while training, as in the official code of DINO, BYOL and MoCo v3.
    """
    for module in teacher.modules():
        module.training = mode and isinstance(module, _BatchNorm)
