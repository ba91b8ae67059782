"""Networks, weights and devices by name: what is unknown is refused before PyTorch is loaded, as far as that can be."""

from pathlib import Path

from twinsight.backbones.official import PROJECTS
from twinsight.backbones.sources import file_and_entry, file_in, no_weights
from twinsight.backbones.timm_names import may_be_model, models_like, unknown_model
from twinsight.errors import UserError
from twinsight.options.choose import suggest

RANDOM = "random:"
"""Prefix of a run or a name for the same network, untrained."""


def check_backbone(name: str) -> None:
    """Raises UserError for a network that neither timm nor vit-pytorch has."""
    if name != "vit-pytorch" and not may_be_model(name):
        raise unknown_model(name)


def check_weights(source: Path) -> None:
    """Raises UserError for what is neither a file, a run directory nor an official name."""
    if file_and_entry(source)[0].exists() or is_official(str(source)):
        return
    if source.suffix or source.is_absolute():
        raise UserError(f"--weights {source}: no such file or run directory; check the path")
    raise UserError(
        f"--weights {source}: no such file or run directory, and no official weights of that name; check the path, or "
        f"{suggest(str(source), PROJECTS)}"
    )


def check_source(source: Path) -> None:
    """Raises UserError for what is neither a weights file, a folder with one, nor an official name."""
    file, _ = file_and_entry(source)
    if file.is_dir():
        file_in(file)
    elif not file.exists() and not is_official(str(source)):
        raise no_weights(source)


def check_teacher(source: Path | None) -> None:
    """Raises UserError for what is no trained model."""
    if source is None:
        raise UserError(
            "--method.teacher: missing; name a network to learn from: a run directory, a weights file or a timm model"
        )
    if str(source).startswith(RANDOM):
        raise UserError(f"--method.teacher {source}: an untrained network has nothing to teach; name a trained one")
    check_model(str(source), "--method.teacher")


def check_model(spec: str, flag: str = "--weights") -> None:
    """Raises UserError for what is neither a run, a weights file, an official name nor a timm model."""
    name = spec.removeprefix(RANDOM)
    if not name:
        raise UserError(f"{flag} '{spec}': names no model; give a run directory, a weights file or a timm model")
    source = Path(name)
    if (source / "config.yaml").is_file():
        return
    if source.exists() and spec != name:
        raise UserError(
            f"{flag} {spec}: a weights file has no untrained version; name a run or a timm model after {RANDOM}"
        )
    if file_and_entry(source)[0].exists():
        check_source(source)
    elif not is_official(name) and source.name != "vit-pytorch" and not may_be_model(name):
        raise no_model(spec, flag)


def no_model(spec: str, flag: str = "--weights") -> UserError:
    hint = models_like(Path(spec.removeprefix(RANDOM)).name) or "check the path or name"
    return UserError(f"{flag} {spec}: not a run directory, a file or a timm model; {hint}")


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
