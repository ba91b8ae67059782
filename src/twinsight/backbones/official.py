"""Official weights by name, known without PyTorch: their networks and their URLs."""

from pathlib import Path
from typing import NamedTuple

META = "https://dl.fbaipublicfiles.com"


class Official(NamedTuple):
    """backbone: name of the network, as for `Backbone`; all use ImageNet's pixel mean and standard deviation.

    sha256: its first digits, None if not published. file: its name in torch.hub's folder.
    """

    backbone: str
    url: str
    file: str
    sha256: str | None = None

    @property
    def cached(self) -> Path:
        import torch

        return Path(torch.hub.get_dir()) / "checkpoints" / self.file


def dino(backbone: str, name: str) -> Official:
    return Official(backbone, f"{META}/dino/{name}_pretrain/{name}_pretrain.pth", f"{name}_pretrain.pth")


def dinov2(backbone: str, name: str) -> Official:
    return Official(backbone, f"{META}/dinov2/{name}/{name}_pretrain.pth", f"{name}_pretrain.pth")


PROJECTS = {
    "dino_vits16": dino("vit_small_patch16_224.dino", "dino_deitsmall16"),
    "dino_vits8": dino("vit_small_patch8_224.dino", "dino_deitsmall8"),
    "dino_vitb16": dino("vit_base_patch16_224.dino", "dino_vitbase16"),
    "dino_vitb8": dino("vit_base_patch8_224.dino", "dino_vitbase8"),
    "dino_resnet50": dino("resnet50", "dino_resnet50"),
    "dinov2_vits14": dinov2("vit_small_patch14_dinov2", "dinov2_vits14"),
    "dinov2_vitb14": dinov2("vit_base_patch14_dinov2", "dinov2_vitb14"),
    "dinov2_vitl14": dinov2("vit_large_patch14_dinov2", "dinov2_vitl14"),
    "barlowtwins_resnet50": Official(
        "resnet50",
        f"{META}/barlowtwins/ep1000_bs2048_lrw0.2_lrb0.0048_lambd0.0051/resnet50.pth",
        "barlowtwins_resnet50.pth",  # resnet50.pth would clash with other projects' files
    ),
}
