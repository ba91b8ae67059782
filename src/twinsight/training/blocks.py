"""A backbone's blocks, whatever the network, and computing them again rather than keeping what they compute."""

from collections.abc import Iterator
from functools import partial

from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.training.recompute import recomputed


def blocks(backbone: Backbone) -> Iterator[nn.Module]:
    """From the first to the last: the outermost modules that lie within one layer, see `Backbone.layer_ids`.

    Without the stem and what else holds no modules.
    """
    depth = backbone.layer_ids()

    def search(module: nn.Module, prefix: str) -> Iterator[nn.Module]:
        for name, child in module.named_children():
            layers = {depth[f"{prefix}{name}.{parameter}"] for parameter, _ in child.named_parameters()}
            if len(layers) > 1 or isinstance(child, nn.ModuleList):  # such a list cannot be called
                yield from search(child, f"{prefix}{name}.")
            elif layers - {0} and any(child.children()):
                yield child

    return search(backbone, "")


def checkpoint_blocks(backbone: Backbone) -> None:
    """From now on only the inputs of blocks are kept for the backward (Chen et al., 2016), see `recomputed`.

    Attention cannot be recorded with gradients any more. Raises UserError if the network has no blocks.
    """
    found = list(blocks(backbone))
    if not found:
        raise UserError(f"--checkpointing: {backbone.name} has no blocks to compute again; leave it out")
    for block in found:
        block.forward = partial(recomputed, block.forward)
