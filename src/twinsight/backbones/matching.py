"""Matches the tensors of a file to a network."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any, NamedTuple

from torch import Tensor

from twinsight.backbones.checkpoint import same_kind
from twinsight.backbones.layouts import Content
from twinsight.backbones.light_timm import resample_abs_pos_embed
from twinsight.backbones.parts import by_part, parameters, part_of

NAMED = 3
"""Tensors named in a message."""


Tensors = dict[str, Tensor]


class Match(NamedTuple):
    """How the network in a file fits a backbone.

    tensors: what can be loaded, by the backbone's names. share: the fraction of the backbone's parameters in them.
    missing: the backbone's tensors that the file lacks. misshapen: those that the file has in another shape or type;
    given: the file's versions of them. unknown: the file's tensors that the backbone lacks. left: known parts of the
    file that no backbone has, such as a classifier, by part. resized: how position embeddings were resized, in words.
    """

    tensors: dict[str, Tensor]
    share: float
    missing: dict[str, Tensor]
    misshapen: dict[str, Tensor]
    given: dict[str, Tensor]
    unknown: dict[str, Tensor]
    left: dict[str, dict[str, Tensor]]
    resized: str | None

    @property
    def problem(self) -> str | None:
        """What does not match: tensors missing, misshapen or unknown; None if all match. The subject is the file."""
        total = len(self.tensors) + len(self.missing) + len(self.misshapen)
        shapes = [f"{name}, {described(self.given[name])} for {described(own)}" for name, own in self.misshapen.items()]
        problems = {
            f"lacks {len(self.missing)} of the network's {total} tensors": list(self.missing),
            f"holds {count(self.misshapen)} of another shape or type": shapes,
            f"holds {count(self.unknown)} that the network lacks": list(self.unknown),
        }
        return " and ".join(f"{text} ({first_few(which)})" for text, which in problems.items() if which) or None

    @property
    def remarks(self) -> list[str]:
        """What is left out or changed, one line each."""
        lines = [f"left out: {part}, {count(those)}" for part, those in self.left.items()]
        return lines + ([f"position embeddings resized {self.resized}"] if self.resized else [])


def first_few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def count(tensors: Mapping[str, Tensor]) -> str:
    return "1 tensor" if len(tensors) == 1 else f"{len(tensors)} tensors"


def described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape)) or 'number'}"


def match(network: Any, content: Content) -> Match:
    """Match a file's tensors to the network's."""
    own = network.state_dict()
    tensors, outside = strip_prefix(content.tensors, own)
    tensors, resized = resize_positions(network, without_zero_biases(tensors, own))
    fitting = {name: t for name, t in tensors.items() if name in own and same_kind(own[name], t)}
    more = {name: t for name, t in tensors.items() if name not in own}
    lacking = {name: t for name, t in own.items() if name not in fitting}
    return Match(
        tensors=fitting,
        share=parameters(fitting) / max(1, parameters(own)),
        missing={k: t for k, t in lacking.items() if k not in tensors and not k.endswith("num_batches_tracked")},
        misshapen={name: t for name, t in lacking.items() if name in tensors},
        given={name: tensors[name] for name in lacking if name in tensors},
        unknown={name: t for name, t in more.items() if part_of(name) is None},
        left=content.beside | by_part(outside) | by_part({name: t for name, t in more.items() if part_of(name)}),
        resized=resized,
    )


def strip_prefix(tensors: Tensors, own: Tensors) -> tuple[Tensors, Tensors]:
    """The tensors by the network's names, and those outside it; the network may be nested (`model.`, `encoder.`).

    If no name matches, the most common prefix of the network's names is removed.
    """
    ends = [f".{name}" for name in own]
    if not own or own.keys() & tensors.keys():
        return tensors, {}
    prefixes = Counter(name.removesuffix(end) + "." for end in ends for name in tensors if name.endswith(end))
    if not prefixes:
        return tensors, {}
    prefix = prefixes.most_common(1)[0][0]
    outside = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefix)}
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name not in outside}, outside


def without_zero_biases(tensors: Tensors, own: Tensors) -> Tensors:
    """Drop all-zero biases that the network lacks: timm has DINOv3 with and without biases of queries and values."""
    zero = {
        name
        for name, tensor in tensors.items()
        if name.endswith((".attn.q_bias", ".attn.v_bias")) and name not in own and not tensor.any()
    }
    return {name: tensor for name, tensor in tensors.items() if name not in zero}


def resize_positions(network: Any, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str | None]:
    """Position embeddings resized from a square grid to the network's, and how, in words."""
    own = network.state_dict()
    name = next((name for name in ("pos_embed", "vit.pos_embedding") if name in own and name in tensors), None)
    if name is None or own[name].shape == tensors[name].shape or own[name].ndim != tensors[name].ndim:
        return tensors, None
    given = tensors[name]
    patches = getattr(network, "patch_embed", None)
    grid: Sequence[int] = [network.grid] * 2 if name != "pos_embed" else getattr(patches, "grid_size", None) or [0, 0]
    prefix = own[name].shape[-2] - grid[0] * grid[1]
    side = isqrt(max(0, given.shape[-2] - prefix))
    square = side**2 + prefix == given.shape[-2]
    if own[name].shape[-1] != given.shape[-1] or prefix < 0 or not square or not side * grid[0]:
        return tensors, None
    new = resample_abs_pos_embed(given.reshape(1, *given.shape[-2:]), list(grid), num_prefix_tokens=prefix)
    words = f"from {side}x{side} to {grid[0]}x{grid[1]} patches"
    return tensors | {name: new.reshape(own[name].shape)}, words
