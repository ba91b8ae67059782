"""The parts of a checkpoint beside the backbone, and parameter counts."""

import re
from collections.abc import Mapping

from torch import Tensor

# Patterns for the tensor's name without the prefixes of AROUND.
PARTS = {
    "prototypes": r"\w*head\.last_layer|prototypes",
    "projector": r"\w*head\.mlp|(head|fc)(?=\.\d+\.)|projectors?|projection_head|bn",
    "predictor": "predictor",
    "classifier": r"(fc|heads?|head\.fc|classifier|last_linear|_fc|mlp_head)(?=\.(weight|bias)$)|mlp_head",
    "decoder": r"aux_classifier|classifier|head|aux|decoder\w*",
    "pooler": "pooler",
    "mask token": r"(embeddings\.)?(mask_token|masked_embed)$",
    "norm of local crops": "local_cls_norm",
}
AROUND = re.compile(r"^(module|method|model)\.")

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def part_of(name: str) -> str | None:
    """The part that a tensor belongs to, as `NAME (KIND)`; None if it could belong to the backbone."""
    while AROUND.match(name):
        name = AROUND.sub("", name)
    for kind, pattern in PARTS.items():
        if found := re.match(rf"({pattern})(\.|$)", name):
            return f"{found[1]} ({kind})"
    return None


def by_part(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found.setdefault(part_of(name) or AROUND.sub("", name).partition(".")[0], {})[name] = tensor
    return found


def parameters(tensors: Mapping[str, Tensor]) -> int:
    """Number of learned values: all but batch-norm statistics."""
    return sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(STATISTICS))
