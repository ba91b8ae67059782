"""Builds a network by its name: timm's, or vit-pytorch's ViT."""

from contextlib import nullcontext
from typing import Any

from torch import nn

from twinsight.backbones.hub import timm_weights
from twinsight.backbones.light_timm import timm
from twinsight.backbones.timm_names import unknown_model
from twinsight.errors import UserError

# Lets a network take image sizes other than the one it was built for: timm's plain ViTs have the first keyword,
# its Swins the second, and convolutional networks need neither.
FLEXIBLE: tuple[dict[str, bool], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})


def build_network(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    """The network without its classifier."""
    if name == "vit-pytorch":
        from twinsight.backbones.vit_pytorch import VitPytorch  # an optional dependency

        return VitPytorch(**options)
    if not timm.is_model(name):
        raise unknown_model(name)
    for flexible in FLEXIBLE:
        try:
            with timm_weights(name) if pretrained else nullcontext():
                return timm.create_model(name, pretrained=pretrained, num_classes=0, **flexible, **options)
        except TypeError as error:
            refused = str(error).split("'")[1::2][-1:]
            if "unexpected keyword" not in str(error):
                raise
            if refused and refused[0] in options:
                raise UserError(f"--backbone {name}: this network has no option {refused[0]}; leave it out") from error
        except UserError:
            raise
        except (RuntimeError, ValueError, OSError, AssertionError) as error:
            given = ", ".join(f"{option} {value}" for option, value in options.items() if value is not None)
            reason = first_line(error) or f"it rejects {given or 'its own defaults'}"
            raise UserError(
                f"--backbone {name}: timm cannot build it ({reason}); change its options or choose another model"
            ) from error
    raise UserError(f"--backbone {name}: timm cannot build it without a classifier; choose another model")


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
