"""The device that computes, the precision it computes in, and the memory it has."""

import os
from pathlib import Path
from typing import Any

import torch

from twinsight.errors import UserError


def choose_device(accelerator: str) -> torch.device:
    """Raises UserError for one that this machine has not."""
    present = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(name for name, there in present.items() if there) if accelerator == "auto" else accelerator
    if not present[name]:
        raise UserError(f"--accelerator {name}: this machine has none; leave it out")
    return torch.device({"gpu": "cuda"}.get(name, name))


def precision(name: str) -> Any:
    """Lightning's name for a precision."""
    return {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}[chosen_precision(name)]


def autocast(name: str) -> torch.dtype | None:
    """What a precision computes in, where that is not float32."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(chosen_precision(name))


def chosen_precision(name: str) -> str:
    """ "auto" is bfloat16 where the processor computes in it natively."""
    if name == "auto":
        return "bf16" if native_bf16() else "fp32"
    return name


def native_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= (8, 0)
    return torch.cpu._is_avx512_bf16_supported()


def available_memory() -> int:
    """Free bytes: of the GPU where there is one, else of the machine, what caches would give back included."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # no Linux
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
