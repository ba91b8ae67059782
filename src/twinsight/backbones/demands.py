"""What weights ask of a network beyond the shapes of their tensors: without it they compute something else."""

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
"""Of DINOv3's weights on satellite images, sat493m; all others of DINOv3 take ImageNet's."""


class Demands(NamedTuple):
    """pixels: the mean and deviation to normalize by. heads: of the attention. Each None if nothing tells.

    tensorflow: padding and batch norm as in TensorFlow.
    """

    pixels: tuple[Triple, Triple] | None = None
    heads: int | None = None
    tensorflow: bool = False

    def conflict(self, backbone: Backbone) -> str | None:
        """In what the backbone differs and how to change it, in words."""
        if self.pixels is not None:
            mean, std = (torch.tensor(each) for each in self.pixels)
            own = backbone.mean.flatten().cpu(), backbone.std.flatten().cpu()
            if not (torch.allclose(own[0], mean, atol=1e-3) and torch.allclose(own[1], std, atol=1e-3)):
                values = [" ".join(f"{value:.3f}" for value in each) for each in (*self.pixels, own[0].tolist())]
                return (
                    f"wants pixels normalized by mean {values[0]}, and --backbone {backbone.name} has {values[2]}; "
                    f"give --backbone.mean {values[0]} --backbone.std {values[1]}"
                )
        blocks = getattr(backbone.network, "blocks", None)
        heads = getattr(getattr(blocks[0], "attn", None), "num_heads", None) if blocks is not None else None
        if self.heads is not None and heads is not None and heads != self.heads:
            return (
                f"was trained with {self.heads} attention heads, and --backbone {backbone.name} has {heads}; "
                f"give --backbone.num-heads {self.heads}"
            )
        if self.tensorflow and not backbone.name.startswith("tf_"):
            return (
                f"pads as TensorFlow does, and --backbone {backbone.name} does not; give --backbone tf_{backbone.name}"
            )
        return None


def demands(file: Path, content: Content, about: dict[str, Any]) -> Demands:
    """What the file's name and layout, and the JSON that we or Hugging Face lay beside it, say; about: ours."""
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
        heads = 12  # its own ViT-S; others of this width have 6
    return Demands(pixels, heads if isinstance(heads, int) else None, "efficientnet-pytorch" in content.layout)


def triple(values: object) -> Triple:
    """Empty if they are not three numbers."""
    given = values if isinstance(values, list) else []
    return tuple(float(v) for v in given) if len(given) == 3 and all(isinstance(v, int | float) for v in given) else ()


def read_about(file: Path) -> dict[str, Any]:
    """What `save_backbone` wrote beside the file, if it did. Raises UserError if that is damaged."""
    about = file.with_suffix(".json")
    known = read_json(about) if about.is_file() else {}
    name, options = known.get("backbone"), known.get("options", {})
    if known and not (isinstance(name, str) and isinstance(options, dict) and all(map(sane, options.values()))):
        raise UserError(
            f'{about}: is no description of a backbone ("backbone": a name, "options": its options); repair it, or '
            "remove it and give --backbone"
        )
    return known


def described(file: Path) -> Backbone | None:
    """The network that `save_backbone` describes beside a .safetensors file, if it did. Raises UserError as above."""
    about = read_about(file) if file.suffix == ".safetensors" else {}
    if not about:
        return None
    try:
        return Backbone(about["backbone"], **about.get("options", {}))
    except TypeError as error:
        raise UserError(f"{file.with_suffix('.json')}: {error}; repair it, or remove it and give --backbone") from error


def sane(value: object) -> bool:
    """Whether an option could be of a network: larger counts would build layers for hours."""
    values = value if isinstance(value, list) else [value]
    return all(isinstance(v, bool | str | None) or (isinstance(v, int | float) and abs(v) <= 10_000) for v in values)
