"""Freezes parameters that get no gradient."""

from torch import nn

from twinsight.training.estimate import Loss, imagined


def freeze_unreached(model: nn.Module, loss: Loss) -> list[str]:
    """Freeze the parameters that get no gradient from the loss, and return their names.

    A head that does not read a network's last features leaves some: its final norm, or the layers beyond a shallower
    level. They would not change anyway, but several processes wait for the gradients of all trainable parameters.
    """
    with imagined(model) as shadow:
        loss(shadow, 2).backward()
        names = [name for name, each in shadow.named_parameters() if each.requires_grad and each.grad is None]
    for name in names:
        model.get_parameter(name).requires_grad = False
    model.train(model.training)  # a backbone keeps frozen modules in eval mode
    return names
