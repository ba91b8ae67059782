"""Networks, weights and devices by name: what is unknown is refused before PyTorch is loaded, as far as that can be."""

from pathlib import Path

from twinsight.backbones.official import PROJECTS
from twinsight.backbones.timm_names import may_be_model, unknown_model
from twinsight.errors import UserError
from twinsight.options.choose import suggest


def check_backbone(name: str) -> None:
    """Raises UserError for a network that neither timm nor vit-pytorch has."""
    if name != "vit-pytorch" and not may_be_model(name):
        raise unknown_model(name)


def check_weights(source: Path) -> None:
    """Raises UserError for what is no file, no run directory and no official name."""
    if exists(source) or is_official(str(source)):
        return
    if source.suffix or source.is_absolute():
        raise UserError(f"--weights {source}: no such file or run directory; check the path")
    raise UserError(
        f"--weights {source}: no such file or run directory, and no official weights of that name; check the path, or "
        f"{suggest(str(source), PROJECTS)}"
    )


def exists(source: Path) -> bool:
    """Whether there is such a file or folder; FILE:ENTRY names a network in a file."""
    return source.exists() or source.with_name(source.name.rpartition(":")[0] or source.name).exists()


def is_official(name: str) -> bool:
    if not name.startswith("torchvision/"):
        return name in PROJECTS
    from twinsight.backbones.hub import official  # torchvision alone knows its own

    return name in official()


def check_device(accelerator: str) -> None:
    """Raises UserError for a device that this machine lacks: only PyTorch knows, which is loaded for that."""
    if accelerator in ("gpu", "mps"):
        from twinsight.device import Device

        Device(accelerator)
