"""Official weights fetched by name, and timm's."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from twinsight.backbones.likely import RESNETS
from twinsight.backbones.official import PROJECTS, Official
from twinsight.errors import UserError

SEGMENTERS = ("deeplabv3_resnet50", "deeplabv3_resnet101", "fcn_resnet50", "fcn_resnet101")


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
    if reason := unreachable(known.url):
        raise no_download(name, known, reason)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(known.url, str(file), known.sha256)
    except RuntimeError as error:
        raise UserError(f"{known.url}: the checksum of the download does not match; run again") from error
    except (OSError, HTTPException) as error:
        raise no_download(name, known, getattr(error, "reason", error)) from error
    return file


def no_download(name: str, known: Official, reason: object) -> UserError:
    return UserError(
        f"--weights {name}: cannot be downloaded ({reason}); check the network, or put {known.url} at {known.cached}"
    )


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


PATIENCE = 3.0
"""Most seconds to wait for a host."""


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
            f"({reason}); connect to the network, or give a file: --weights FILE --backbone {name}"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def unreachable(url: str) -> str | None:
    """Why a host does not answer; None if it does.

    In a thread, since a timeout of Python's holds for each of the host's addresses, and not for the name server.
    """
    found: list[str | None] = []
    asking = Thread(target=lambda: found.append(ask(url)), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return found[0] if found else f"no answer within {PATIENCE:.0f} s"


def ask(url: str) -> str | None:
    try:
        urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
    except HTTPError:
        return None  # an HTTP error is an answer
    except (OSError, HTTPException) as error:
        return str(getattr(error, "reason", error))
    return None
