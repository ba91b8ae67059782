"""What weights require of a network beyond tensor shapes; without it they load but compute something else."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.layouts import Content
from twinsight.backbones.light_timm import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from twinsight.errors import UserError
from twinsight.plain import read_json

Triple = tuple[float, ...]

IMAGENET: tuple[Triple, Triple] = (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
SATELLITE: tuple[Triple, Triple] = ((0.430, 0.411, 0.296), (0.213, 0.156, 0.143))
"""For DINOv3's weights trained on satellite images, sat493m; its other weights use ImageNet's."""


class Demands(NamedTuple):
    """pixels: mean and standard deviation to normalize by. heads: number of attention heads. None: unknown.

    tensorflow: whether padding and batch norm are TensorFlow's.
    """

    pixels: tuple[Triple, Triple] | None = None
    heads: int | None = None
    tensorflow: bool = False

    def conflict(self, backbone: Backbone) -> str | None:
        """How the backbone differs and how to fix it; None if it meets the demands."""
        if self.pixels is not None:
            mean, std = (torch.tensor(each) for each in self.pixels)
            own = backbone.mean.flatten().cpu(), backbone.std.flatten().cpu()
            if not (torch.allclose(own[0], mean, atol=1e-3) and torch.allclose(own[1], std, atol=1e-3)):
                values = [" ".join(f"{value:.3f}" for value in each) for each in (*self.pixels, own[0].tolist())]
                return (
                    f"requires pixels normalized with mean {values[0]}, but --backbone {backbone.name} uses "
                    f"{values[2]}; give --backbone.mean {values[0]} --backbone.std {values[1]}"
                )
        blocks = getattr(backbone.network, "blocks", None)
        heads = getattr(getattr(blocks[0], "attn", None), "num_heads", None) if blocks is not None else None
        if self.heads is not None and heads is not None and heads != self.heads:
            return (
                f"was trained with {self.heads} attention heads, but --backbone {backbone.name} has {heads}; "
                f"give --backbone.num-heads {self.heads}"
            )
        if self.tensorflow and not backbone.name.startswith("tf_"):
            return f"needs TensorFlow's padding, unlike --backbone {backbone.name}; give --backbone tf_{backbone.name}"
        return None


def demands(file: Path, content: Content, about: dict[str, Any]) -> Demands:
    """Demands read from the file's name, its layout and Hugging Face's JSON beside it; about: our JSON beside it."""
    config = read_json(file.parent / "config.json") if (file.parent / "config.json").is_file() else {}
    pixels = SATELLITE if "sat493m" in file.name else None
    if triple(about.get("mean")) and triple(about.get("std")):
        pixels = triple(about["mean"]), triple(about["std"])
    preprocessor = file.parent / "preprocessor_config.json"
    if "Hugging Face" in content.layout and preprocessor.is_file():
        found = read_json(preprocessor)
        pixels = triple(found.get("image_mean")), triple(found.get("image_std"))
        pixels = pixels if all(pixels) and found.get("do_normalize", True) else None
    heads = config.get("num_attention_heads") if "Hugging Face" in content.layout else None
    kernel = content.tensors.get("patch_embed.proj.weight")
    if "MoCo v3" in content.layout and kernel is not None and len(kernel) == 384:
        heads = 12  # MoCo v3's own ViT-S; others of this width have 6
    return Demands(pixels, heads if isinstance(heads, int) else None, "efficientnet-pytorch" in content.layout)


def triple(values: object) -> Triple:
    """A tuple of three numbers; empty for anything else."""
    given = values if isinstance(values, list) else []
    return tuple(float(v) for v in given) if len(given) == 3 and all(isinstance(v, int | float) for v in given) else ()


def read_about(file: Path) -> dict[str, Any]:
    """The JSON that `save_backbone` wrote beside the file, {} without one. Raises UserError if it is invalid."""
    about = file.with_suffix(".json")
    known = read_json(about) if about.is_file() else {}
    name, options = known.get("backbone"), known.get("options", {})
    if known and not (isinstance(name, str) and isinstance(options, dict) and all(map(sane, options.values()))):
        raise UserError(
            f'{about}: does not describe a backbone ("backbone": a name, "options": its options); fix it, or '
            "remove it and give --backbone"
        )
    return known


def described(file: Path) -> Backbone | None:
    """The network described by the JSON beside a .safetensors file, None without one. Raises UserError if invalid."""
    about = read_about(file) if file.suffix == ".safetensors" else {}
    if not about:
        return None
    try:
        return Backbone(about["backbone"], **about.get("options", {}))
    except TypeError as error:
        raise UserError(f"{file.with_suffix('.json')}: {error}; fix it, or remove it and give --backbone") from error


def sane(value: object) -> bool:
    """Whether a network could have this option; larger numbers would build layers for hours."""
    values = value if isinstance(value, list) else [value]
    return all(isinstance(v, bool | str | None) or (isinstance(v, int | float) and abs(v) <= 10_000) for v in values)
