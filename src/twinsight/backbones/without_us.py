"""The lines of Python that load weights of `save_backbone` without twinsight."""

from pathlib import Path

from twinsight.backbones.demands import read_about

TORCHVISION = {
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
    "wide_resnet50_2", "wide_resnet101_2",
}  # fmt: skip
"""Networks whose tensors have the same names and shapes in timm and in torchvision."""

OURS = ("mean", "std", "positions")
"""Options of `Backbone` that the network itself is made without."""


def loading_lines(file: Path) -> dict[str, tuple[str, str]]:
    """Two lines for each library that takes the file unchanged, by its name; none for weights from elsewhere,
    or of a network that no library makes so.

    file: a .safetensors file. They need `import timm, torchvision, safetensors.torch`.
    """
    about = read_about(file) if file.suffix == ".safetensors" else {}
    name = about.get("backbone")
    if name in (None, "vit-pytorch") or about["options"].get("small_stem"):
        return {}
    options = {key: value for key, value in about["options"].items() if key not in OURS}
    given = "".join(f", {key}={value!r}" for key, value in options.items())
    tensors = f"safetensors.torch.load_file({file.as_posix()!r})"
    lines = {
        "timm": (f"model = timm.create_model({name!r}, num_classes=0{given})", f"model.load_state_dict({tensors})")
    }
    if name in TORCHVISION and not options:
        lines["torchvision"] = (
            f"model = torchvision.models.{name}()",
            f"model.load_state_dict({tensors}, strict=False)  # lacks only fc, the classifier",
        )
    return lines
