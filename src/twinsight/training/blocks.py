"""Finds the blocks of any backbone, and checkpoints their activations."""

from collections.abc import Iterator
from functools import partial

from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.training.recompute import recomputed


def blocks(backbone: Backbone) -> Iterator[nn.Module]:
    """Blocks in order: the outermost modules within one layer, see `Backbone.layer_ids`.

    Without the stem, and without modules that have no children.
    """
    depth = backbone.layer_ids()

    def search(module: nn.Module, prefix: str) -> Iterator[nn.Module]:
        for name, child in module.named_children():
            layers = {depth[f"{prefix}{name}.{parameter}"] for parameter, _ in child.named_parameters()}
            if len(layers) > 1 or isinstance(child, nn.ModuleList):  # a ModuleList cannot be called
                yield from search(child, f"{prefix}{name}.")
            elif layers - {0} and any(child.children()):
                yield child

    return search(backbone, "")


def checkpoint_blocks(backbone: Backbone) -> None:
    """Activation checkpointing (Chen et al., 2016): keep only the blocks' inputs for the backward, see `recomputed`.

    Attention can then no longer be recorded with gradients. Raises UserError if the network has no blocks.
    """
    found = list(blocks(backbone))
    if not found:
        raise UserError(f"--checkpointing: {backbone.name} has no blocks to recompute; leave it out")
    for block in found:
        block.forward = partial(recomputed, block.forward)
