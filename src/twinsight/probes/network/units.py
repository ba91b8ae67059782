"""A network's layers, their names, and their units at the center of the image."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def units(module: nn.Module) -> Iterator[nn.Module]:
    """Layers in the usual sense: blocks, and the convolutions and linear layers around them.

    A block is a composite in a container that holds no blocks of its own. In a nested list of different
    parts, such as vit-pytorch's attention and MLP of a block, the last one represents the block.
    """
    for child in module.children():
        parts = list(child.children())
        if not parts:
            if any(weight.ndim > 1 for weight in child.parameters()):
                yield child
        elif isinstance(module, nn.ModuleList) and isinstance(child, nn.ModuleList) and len({*map(type, parts)}) > 1:
            yield parts[-1]
        elif isinstance(module, CONTAINERS) and not any(map(holds_blocks, child.modules())):
            yield child
        else:
            yield from units(child)


def holds_blocks(module: nn.Module) -> bool:
    """Whether a module contains blocks; a mere group, such as a convolution with its norm, is not a block."""
    composites = [child for child in module.children() if list(child.children())]
    return isinstance(module, CONTAINERS) and not all(isinstance(child, CONTAINERS) for child in composites)


def short_names(model: nn.Module) -> dict[str, str]:
    """Full names of all modules -> short names, without a backbone's common prefix "network."."""
    names = {name: name for name, _ in model.named_modules() if name}
    for path, module in model.named_modules():
        if isinstance(module, Backbone):
            inside = f"{path}.network.".removeprefix(".")
            outside = inside.removesuffix("network.")
            names |= {name: outside + name.removeprefix(inside) for name in names if name.startswith(inside)}
    return names


def find(name: str, names: Mapping[str, str], model: nn.Module) -> str:
    """The short name of a layer, given its full or short one."""
    short = names.get(name, name)
    if short not in names.values():
        known = list(dict.fromkeys(names.values()))
        close = get_close_matches(short, known, n=3, cutoff=0.5) or known[:: 1 + len(known) // 4]
        raise UserError(f"--layers {name}: {type(model).__name__} has no such layer; did you mean {', '.join(close)}?")
    return short


@contextmanager
def central_units(model: nn.Module, layers: Mapping[str, nn.Module], shape: torch.Size) -> Generator[dict[str, Tensor]]:
    """Inside: layer -> its central unit, summed over images and channels, in order of the layers' last runs.

    Omits layers that do not depend on the images (of `shape`) or whose output is not a map of them.
    """
    grid = Grid.of(model, shape)
    found: dict[str, Tensor] = {}

    def watch(name: str, module: nn.Module, _: Any, output: Any) -> None:
        found.pop(name, None)
        units = grid.units(module, output) if isinstance(output, Tensor) and output.requires_grad else None
        if units is not None:
            row, column = (side * n // (2 * whole) for side, n, whole in zip(shape[2:], units.shape[1:3], grid.padded))
            found[name] = units[:, row, column].sum()  # now: later layers may change the output in place

    hooks = [module.register_forward_hook(partial(watch, name)) for name, module in layers.items()]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


class Grid(NamedTuple):
    """A network's grid: images `padded` to (height, width), tokens at one of `strides` after `prefix` others."""

    images: int
    padded: tuple[int, int]
    strides: Iterable[int]
    prefix: int

    @classmethod
    def of(cls, model: nn.Module, shape: torch.Size) -> "Grid":
        count, _, height, width = shape
        for module in model.modules():
            if isinstance(module, Backbone):
                padded = height + -height % module.multiple, width + -width % module.multiple
                return cls(count, padded, module.strides, module.prefix_tokens)
        return cls(count, (height, width), range(1, min(height, width)), getattr(model, "num_prefix_tokens", 0))

    def units(self, module: nn.Module, output: Tensor) -> Tensor | None:
        """A module's output as (B, h, w, C), or None if it is not a map of more than one unit."""
        if len(output) != self.images:
            return None
        height, width = self.padded
        if output.ndim == 3:
            for stride in self.strides:
                h, w = height // stride, width // stride
                if h * w > 1 and output.shape[1] - h * w in (0, self.prefix):  # 0 before the prefix tokens are added
                    return output[:, -h * w :].unflatten(1, (h, w))
        if output.ndim != 4:
            return None

        def fits(h: int, w: int) -> bool:
            return abs(h * width - w * height) <= 1.5 * max(height, width)  # the same aspect ratio, up to rounding

        _, a, b, c = output.shape
        # Both layouts may fit; then a convolution decides.
        convolves = any(isinstance(part, nn.Conv2d) for part in module.modules())
        if not fits(a, b) or (fits(b, c) and convolves):
            output = output.permute(0, 2, 3, 1)
        return output if output.shape[1] * output.shape[2] > 1 else None
