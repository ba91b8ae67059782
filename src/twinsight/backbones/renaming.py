"""Renames tensors by regular expressions."""

import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]


def renaming(names: Mapping[str, str]) -> Callable[[State], State]:
    patterns = [(re.compile(old), new) for old, new in names.items()]

    def read(tensors: State) -> State:
        found: State = {}
        for name, tensor in tensors.items():
            for old, new in patterns:
                name = old.sub(new, name)
            found[name] = tensor
        return found

    return read


def join(tensors: State, whole: str, parts: Sequence[str]) -> State:
    """Concatenate linear layers if the first and the last are present; a missing one between them counts as zero.

    (DINOv3's keys have no bias.)
    """
    found = dict(tensors)
    for name, tensor in tensors.items():
        if f".{parts[0]}." not in name:
            continue
        names = [name.replace(parts[0], part) for part in parts]
        if names[-1] in tensors:
            found[name.replace(parts[0], whole)] = torch.cat([tensors.get(n, torch.zeros_like(tensor)) for n in names])
            for each in names:
                found.pop(each, None)
    return found
