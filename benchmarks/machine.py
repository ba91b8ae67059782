"""What the benchmarks ran on, and the most that it can do."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import seconds

PACKAGES = ("torch", "torchvision", "timm", "lightning", "opencv-python-headless", "pillow", "torchmetrics", "lightly")


def machine() -> dict[str, Any]:
    """As plain data: processor, GPU, versions, date."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", "").split()
    return {
        "processor": facts.get("model name", platform.processor() or platform.machine()),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "flags": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := installed_version(name))},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def native_bf16() -> bool:
    """Whether bfloat16 multiplies faster than float32 here, rather than being emulated."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool({"avx512_bf16", "amx_bf16"} & set(machine()["flags"]))


def matmul_limit(dtype: torch.dtype, side: int = 2048, rounds: int = 5) -> float:
    """GFLOP/s of the fastest of a few square matrix products, on as many threads as torch now has."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    torch.mm(a, b)
    return 2 * side**3 / min(seconds(lambda: torch.mm(a, b)) for _ in range(rounds)) / 1e9
