"""The names of timm's models, read from its source, since importing timm takes seconds."""

import re
import sys
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from twinsight.errors import UserError

MODEL = re.compile(r"^@register_model\ndef (\w+)\(", re.MULTILINE)


@cache
def source() -> str:
    """The part of timm that defines models; empty if it is not installed as plain files."""
    spec = find_spec("timm")
    folders = (spec and spec.submodule_search_locations) or []
    files = [file for folder in folders for file in sorted(Path(folder, "models").rglob("*.py"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def model_names() -> list[str]:
    """As `timm.list_models()`."""
    return sorted(MODEL.findall(source()))


def may_be_model(name: str) -> bool:
    """False only if timm surely has no model of this name, which may end in a tag: vit_small_patch16_224.dino.

    A file of the user's that has imported timm may have registered models of its own.
    """
    word = re.escape(name.partition(".")[0])
    return "timm" in sys.modules or not source() or re.search(rf"\b{word}\b", source()) is not None


def models_like(name: str) -> str:
    """A question after models of timm with names like it; "" if there are none."""
    close = get_close_matches(name, model_names(), n=3, cutoff=0.6)
    return f"did you mean {', '.join(close)}?" if close else ""


def unknown_model(name: str) -> UserError:
    hint = models_like(name) or "timm.list_models() lists them all"
    return UserError(f"--backbone {name}: timm has no such model; {hint}")


PLAIN = ("VisionTransformer", "VisionTransformerDistilled", "Eva", None)
"""Classes of plain vision transformers; None: unknown before it is built."""


def class_of(name: str) -> str | None:
    """The class of the network of this name; None where the source does not tell."""
    found = re.search(rf"^def {re.escape(name.partition('.')[0])}\([^)]*\)\s*->\s*(\w+):", source(), re.MULTILINE)
    return found and found[1]


def no_patches(method: str, name: str) -> UserError:
    return UserError(
        f"--method {method}: needs a plain vision transformer, but {name} has no patches to mask; "
        "give --backbone vit_small_patch16_224, for instance"
    )
