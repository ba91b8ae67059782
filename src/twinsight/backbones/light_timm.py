"""timm without the imports that are not needed here, which halves the start time of a command.

timm imports torchvision, and both import torch.compile's machinery (3 s of CPU time) for two decorators; timm also
imports wandb if it is installed (1 s). During the import, a stand-in replaces each of these modules and loads the real
one on first use. All of twinsight imports timm from here.
"""

import sys
from collections.abc import Callable, Generator, MutableSequence
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any


class StandIn(ModuleType):
    """A module that imports the real one when an attribute is needed that was not given here."""

    def __init__(self, name: str, **given: object):
        super().__init__(name)
        self.__path__: MutableSequence[str] = []
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        if name == "__file__":  # Python's inspect reads it from every module whenever an operator is defined
            raise AttributeError(name)
        withdraw()
        return getattr(import_module(self.__name__), name)


def withdraw() -> None:
    for name in [name for name, module in sys.modules.items() if isinstance(module, StandIn)]:
        del sys.modules[name]


@contextmanager
def standing_in(*modules: StandIn) -> Generator[None]:
    """Replace these modules inside, unless they have been imported already."""
    sys.modules.update({module.__name__: module for module in modules if module.__name__ not in sys.modules})
    try:
        yield
    finally:
        withdraw()


def disable(function: Callable[..., Any], recursive: bool = True, **_: object) -> Callable[..., Any]:
    """`torch._dynamo.disable` in PyTorch's own lazy form, which imports `torch._dynamo` at the first call."""
    from torch._compile import _disable_dynamo  # private: another PyTorch may lack it

    return _disable_dynamo(function, recursive)


def is_compile_supported(device: Any) -> Any:
    return import_module("torch._dynamo.utils").is_compile_supported(device)


with (
    suppress(ImportError, AttributeError, TypeError),
    standing_in(
        StandIn("torch._dynamo", disable=disable),
        StandIn("torch._dynamo.utils", is_compile_supported=is_compile_supported),
        StandIn("wandb"),
    ),
):
    import timm

# If a stand-in does not suit these versions of PyTorch and timm, all of timm is imported here, slowly.
import timm  # noqa: E402
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD  # noqa: E402
from timm.layers.norm import LayerNorm2d  # noqa: E402
from timm.layers.pos_embed import resample_abs_pos_embed  # noqa: E402
from timm.models import group_parameters  # noqa: E402
from timm.models.eva import Eva  # noqa: E402
from timm.models.vision_transformer import Block, VisionTransformer  # noqa: E402

__all__ = [
    "IMAGENET_DEFAULT_MEAN",
    "IMAGENET_DEFAULT_STD",
    "Block",
    "Eva",
    "LayerNorm2d",
    "VisionTransformer",
    "group_parameters",
    "resample_abs_pos_embed",
    "timm",
]
