"""Official weights by name: their networks, their URLs, and downloading them."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from twinsight.backbones.likely import RESNETS
from twinsight.errors import UserError

META = "https://dl.fbaipublicfiles.com"

SEGMENTERS = ("deeplabv3_resnet50", "deeplabv3_resnet101", "fcn_resnet50", "fcn_resnet101")


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


@cache
def official() -> dict[str, Official]:
    """All official weights by name. torchvision's file names end in the first digits of the sha256."""
    from torchvision.models import get_model_weights

    found = dict(PROJECTS)
    for model in (*RESNETS.values(), *SEGMENTERS):
        for weights in get_model_weights(model):
            file = weights.url.rpartition("/")[2]
            digits = file.rpartition("-")[2].removesuffix(".pth")
            backbone = model.removeprefix("deeplabv3_").removeprefix("fcn_")
            found[f"torchvision/{model}.{weights.name}"] = Official(backbone, weights.url, file, digits)
    return found


def fetch(name: str) -> Path:
    """The file of an official name, from torch.hub's folder or downloaded into it.

    Raises UserError if it cannot be downloaded or its checksum does not match.
    """
    known = official()[name]
    file = known.cached
    if file.exists():
        if known.sha256 and not digest(file).startswith(known.sha256):
            raise UserError(f"{file}: its checksum does not match; delete it and run again, to download it anew")
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(known.url, str(file), known.sha256)
    except RuntimeError as error:
        raise UserError(f"{known.url}: the checksum of the download does not match; run again") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"--weights {name}: cannot be downloaded ({reason}); check the network, or save {known.url} as {file}"
        ) from error
    return file


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


PATIENCE = 4.0
"""Seconds to wait for the host of timm's weights before using the cache."""


@contextmanager
def timm_weights(name: str) -> Generator[None]:
    """Inside, timm loads the weights of `name` from huggingface_hub's cache if the host cannot be reached.

    Raises UserError at once if they are not cached; by itself, huggingface_hub retries for a minute.
    """
    reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else unreachable(constants.ENDPOINT)
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, reason is not None
    try:
        yield
    except LocalEntryNotFoundError as error:
        if reason is None:
            raise
        raise UserError(
            f"{name}: its weights are not in {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} cannot be reached "
            f"({reason}); connect to the network and run again"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def unreachable(url: str) -> str | None:
    """Why a host cannot be reached; None if it can."""
    try:
        urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
    except HTTPError:
        return None  # an HTTP error is an answer
    except (OSError, HTTPException) as error:
        return str(getattr(error, "reason", error))
    return None
