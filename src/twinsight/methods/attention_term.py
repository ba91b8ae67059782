"""A loss term, for any method, that makes the attention heads of a vision transformer easier to interpret."""

import math
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.attention import AttentionMaps, recording_attention
from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.methods.method import scalars_of


class AttentionTerm:
    """Attention of the trained backbone's `blocks` on the first two views, recorded during the method's own forward.

    sharpness: weight of the maps' mean entropy / log(patches).
    diversity: weight of the similarity of a block's heads: 1 - their Jensen-Shannon divergence / log(heads).
    consistency: weight of the Jensen-Shannon divergence / log(2) between a head's maps of the two views where their
        crops overlap, one map warped onto the other's patches, in both directions.
    blocks: from 0; negative numbers count from the last.

    Each part lies in [0, 1] and is minimized. Attention is that of the class token, or the mean over patches if there
    is none, normalized over the patches. Uniform maps are consistent, and heads that all look at one patch are sharp,
    so the parts balance one another.

    Raises UserError if a weight is negative or infinite.
    """

    def __init__(
        self, sharpness: float = 0.0, diversity: float = 0.0, consistency: float = 0.0, blocks: tuple[int, ...] = (-1,)
    ):
        self.weights = {"sharpness": sharpness, "diversity": diversity, "consistency": consistency}
        for part, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                raise UserError(
                    f"--attention.{part} {weight:g}: must be finite and at least 0; give 0 to leave the term out"
                )
        self.blocks = blocks

    def check(self, method: nn.Module, size: int) -> None:
        """Raises UserError if the method's backbone lacks this attention on views of `size` pixels, or sees only parts
        of them."""
        if getattr(method, "masks", False):
            raise UserError(
                f"--attention: needs a backbone that sees whole views, but {type(method).__name__} masks patches; "
                "leave it out"
            )
        backbone = trained(method)
        training = backbone.training
        count = len(attention_maps(backbone.eval(), torch.zeros(1, 3, size, size)).blocks)
        backbone.train(training)
        for block in self.blocks:
            if not -count <= block < count:
                raise UserError(
                    f"--attention.blocks {block}: {backbone.name} has {count} blocks with attention; give 0 to "
                    f"{count - 1}, or a negative number to count from the last"
                )
        if not self.blocks:
            raise UserError("--attention.blocks: none given; give at least one, such as -1 for the last")

    def __call__(
        self, method: nn.Module, views: Sequence[Tensor], crops: Tensor, progress: float, **labels: Tensor
    ) -> dict[str, Tensor]:
        """`method(views, progress)` with the term added to the loss, and the term's parts; crops: see `ViewBatch`."""
        with passes(method, self.blocks) as recorded:
            scalars = scalars_of(method, method(views, progress=progress, **labels))
        size = (views[0].shape[2], views[0].shape[3])
        parts = self.parts(*first_two(recorded, len(views[0])), crops[:, :2], size, recorded[0].extent)
        term = sum(self.weights[part] * value for part, value in parts.items())
        names = {"sharpness": "entropy", "diversity": "similarity", "consistency": "inconsistency"}
        return (
            scalars
            | {f"attention_{names[part]}": value.detach() for part, value in parts.items()}
            | {"loss": scalars["loss"] + term}
        )

    def parts(
        self,
        first: Sequence[Tensor],
        second: Sequence[Tensor],
        crops: Tensor,
        size: tuple[int, int],
        extent: tuple[int, int],
    ) -> dict[str, Tensor]:
        """The three unweighted parts, averaged over blocks.

        first, second: of each view, one (B, heads, h, w) tensor per block. crops: (B, 2, 5). size: height and width of
        a view; extent: those that its maps cover, padding included.
        """
        both = [torch.cat(pair) for pair in zip(first, second)]
        pairs = [torch.stack(pair) for pair in zip(first, second)]
        filled = (size[0] / extent[0], size[1] / extent[1])
        return {
            "sharpness": torch.stack([entropy(distribution(maps)).mean() for maps in both]).mean(),
            "diversity": torch.stack([similarity(maps) for maps in both]).mean(),
            "consistency": torch.stack([inconsistency(a, b, crops, filled) for a, b in pairs]).mean(),
        }


def trained(method: nn.Module) -> Backbone:
    """The method's backbone that is trained; DINO's teacher has another."""
    backbones = (module for module in method.modules() if isinstance(module, Backbone))
    return next(b for b in backbones if any(parameter.requires_grad for parameter in b.parameters()))


@contextmanager
def passes(method: nn.Module, blocks: tuple[int, ...]) -> Generator[list[AttentionMaps]]:
    """Records the trained backbone's attention in each forward pass inside."""
    backbone = trained(method)
    found: list[AttentionMaps] = []
    with ExitStack() as hooks, ExitStack() as recording:

        def before(_: nn.Module, args: tuple[Any, ...]) -> None:
            found.append(recording.enter_context(recording_attention(backbone, args[0], blocks)))

        def after(*_: object) -> None:
            recording.pop_all().close()

        for hook in (backbone.register_forward_pre_hook(before), backbone.register_forward_hook(after)):
            hooks.callback(hook.remove)
        yield found


def first_two(recorded: Sequence[AttentionMaps], batch: int) -> tuple[list[Tensor], list[Tensor]]:
    """The maps of the first and the second view, whether a pass took one view or several."""
    whole = [recorded[0].maps] if len(recorded[0].maps[0]) >= 2 * batch else [found.maps for found in recorded[:2]]
    maps = [torch.cat(block) for block in zip(*whole)]
    return [block[:batch] for block in maps], [block[batch : 2 * batch] for block in maps]


def distribution(maps: Tensor) -> Tensor:
    """(..., h, w) -> (..., h*w), each summing to 1; uniform if the patches get no attention at all."""
    flat = maps.flatten(-2).clamp_min(1e-12)
    return flat / flat.sum(-1, keepdim=True)


def nats(p: Tensor) -> Tensor:
    """(..., N) probabilities -> (...) entropy in nats."""
    return torch.special.entr(p).sum(-1)


def entropy(p: Tensor) -> Tensor:
    """(..., N) probabilities -> (...) normalized entropy: 0 if one patch has it all, 1 if uniform."""
    return nats(p) / math.log(p.shape[-1])


def similarity(maps: Tensor) -> Tensor:
    """(B, heads, h, w) -> 1 - Jensen-Shannon divergence / log(heads): 1 if all heads are alike; 0 for a single head."""
    heads = maps.shape[1]
    if heads == 1:
        return maps.new_zeros(())
    p = distribution(maps)
    return 1 - (nats(p.mean(1)) - nats(p).mean(1)).mean() / math.log(heads)


def inconsistency(first: Tensor, second: Tensor, crops: Tensor, filled: tuple[float, float]) -> Tensor:
    """How much each head's maps (B, heads, h, w) of two views differ where their crops (B, 2, 5) overlap, 0 to 1.

    filled: fractions of the maps' height and width that the views fill; the rest is padding. Pairs that share fewer
    than two patches do not count; 0 if none does.
    """
    total, count = first.new_zeros(()), first.new_zeros(())
    for here, there, order in ((first, second, (0, 1)), (second, first, (1, 0))):
        warped, inside = warp(there, crops[:, order[1]], crops[:, order[0]], filled)
        p, q = (distribution(maps * inside[:, None]) for maps in (here, warped))
        divergence = nats((p + q) / 2) - (nats(p) + nats(q)) / 2
        counts = inside.sum((1, 2)) >= 2
        total = total + (divergence.mean(1) * counts).sum()
        count = count + counts.sum()
    return total / math.log(2) / count.clamp_min(1)


def warp(maps: Tensor, source: Tensor, target: Tensor, filled: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Warps maps (B, heads, h, w) of the crops `source` (B, 5) onto the patches of the crops `target`.

    Returns maps (B, heads, h, w) and a mask (B, h, w), true where a patch's center lies in the source; elsewhere the
    maps repeat the nearest edge.
    """
    places: list[Tensor] = []
    inside = torch.ones(1, 1, 1, dtype=torch.bool, device=maps.device)
    for axis, side in enumerate(maps.shape[2:]):
        u = (torch.arange(side, device=maps.device) + 0.5) / side / filled[axis]  # in the target, 0 to 1
        shape = (1, side, 1) if axis == 0 else (1, 1, side)
        u = u.view(shape).expand(len(maps), *shape[1:])
        inside = inside & (u <= 1)
        (t0, t_length), (s0, s_length) = ((crop[:, axis], crop[:, axis + 2]) for crop in (target, source))
        t0, t_length, s0, s_length = (value[:, None, None] for value in (t0, t_length, s0, s_length))
        u = mirrored(u, target) if axis else u
        u = (t0 + u * t_length - s0) / s_length
        u = mirrored(u, source) if axis else u
        inside = inside & (u >= 0) & (u <= 1)
        places.append(2 * u * filled[axis] - 1)
    y, x = torch.broadcast_tensors(*places)
    grid = torch.stack([x, y], dim=-1).to(maps)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False), inside


def mirrored(u: Tensor, crops: Tensor) -> Tensor:
    """Fractions of the width (B, 1, w), flipped in crops that are mirrored."""
    return torch.where(crops[:, 4, None, None] == 1, 1 - u, u)
