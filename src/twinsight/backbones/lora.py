"""Low-rank adapters beside the linear layers of a backbone, added by peft and merged without it."""

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError

ATTENTION = re.compile(r"(^|\.)(attn\.\w+|to_qkv|to_out\.0)$")
"""Linear layers of attention in timm, and in vit-pytorch."""


class Lora:
    """LoRA (Hu et al., 2022): a linear layer W becomes W + alpha / rank * B A, of which only A and B are trained.

    A (rank, in) is random and B (out, rank) is 0, so that nothing changes at first. Arguments: see `LoraOptions`.
    """

    def __init__(
        self,
        rank: int = 0,
        alpha: float = 16.0,
        dropout: float = 0.0,
        layers: Literal["attention", "all"] | None = None,
    ):
        self.rank, self.alpha, self.dropout, self.layers = rank, alpha, dropout, layers

    def add(self, backbone: Backbone) -> None:
        """Add adapters to the layers that are not frozen, and freeze all other weights.

        Raises UserError if there is no such layer.
        """
        names = self.chosen(backbone)
        peft: Any = import_module("peft")  # an optional dependency, which loads transformers
        config = peft.LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=names)
        peft.inject_adapter_in_model(config, backbone.network)
        for module in backbone.network.modules():
            # BEiT, EVA-02 and Swin V2 hand the weight alone to a function, which passes an adapter by.
            if hasattr(module, "qkv_bias_separate"):
                module.qkv_bias_separate = True
        backbone.train(backbone.training)

    def chosen(self, backbone: Backbone) -> list[str]:
        """Names of the layers within the network that get an adapter."""
        linear = {name: each.weight for name, each in backbone.network.named_modules() if isinstance(each, nn.Linear)}
        attention = {name: weight for name, weight in linear.items() if ATTENTION.search(name)}
        layers = linear if self.layers == "all" or (self.layers is None and not attention) else attention
        if not layers:
            kind = "linear layers" if self.layers != "attention" else "linear layers of attention"
            raise UserError(
                f"--lora: {backbone.name} has no {kind}; leave it out, and train the last blocks (--freeze -2)"
            )
        found = [name for name, weight in layers.items() if weight.requires_grad]
        if not found:
            raise UserError("--lora: --freeze leaves no layer to adapt; freeze fewer blocks")
        return found

    def merged(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state with adapters as that of the same network without them, which computes the same."""
        found: dict[str, Tensor] = {}
        for name, value in tensors.items():
            layer = name.removesuffix(".base_layer.weight")
            if layer != name:
                down, up = (tensors[f"{layer}.lora_{each}.default.weight"].cpu() for each in "AB")
                value = value.cpu() + self.alpha / self.rank * up @ down
            if ".lora_" not in name:
                found[name.replace(".base_layer.", ".")] = value
        return found
