"""The device, its precision and its memory."""

import sys
from contextlib import AbstractContextManager

import psutil
import torch

from twinsight.errors import UserError


class Device:
    """What --accelerator means on this machine, and what that device can do.

    name: "gpu", "mps" or "cpu", as Lightning names it. torch: the device, as PyTorch names it.

    Raises UserError if this machine does not have it.
    """

    def __init__(self, accelerator: str = "auto"):
        present = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        name = next(name for name, there in present.items() if there) if accelerator == "auto" else accelerator
        if not present[name]:
            raise UserError(f"--accelerator {name}: this machine has none; leave it out")
        self.name = name
        self.torch = torch.device({"gpu": "cuda"}.get(name, name))
        self.cuda = name == "gpu"

    def precision(self, asked: str) -> str:
        """ "auto" means bfloat16 where the device supports it natively, else float32."""
        if asked != "auto":
            return asked
        return "bf16" if self.native_bf16() else "fp32"

    def native_bf16(self) -> bool:
        if self.cuda:
            return torch.cuda.get_device_capability() >= (8, 0)
        return self.torch.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # there is no public function for it

    def autocast_dtype(self, asked: str) -> torch.dtype | None:
        """The dtype of mixed precision; None for float32 throughout."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision(asked))

    def autocast(self, asked: str) -> torch.autocast:
        """A context in which networks compute as in training at this precision."""
        dtype = self.autocast_dtype(asked)
        return torch.autocast(self.torch.type, dtype, enabled=dtype is not None)

    def processes(self, asked: int | None = None) -> int:
        """The number of training processes: as requested, else one per GPU, else one."""
        return asked or (torch.cuda.device_count() if self.cuda else 1)

    def sync_batchnorm(self, asked: int | None = None) -> bool:
        """Whether batch norm uses statistics of all processes, which PyTorch supports only on GPUs."""
        return self.cuda and self.processes(asked) > 1

    def free_memory(self, sharing: int = 1) -> float:
        """Free bytes for each of `sharing` processes: of its own GPU, or its share of the machine's memory, including
        reclaimable caches.
        """
        return torch.cuda.mem_get_info()[0] if self.cuda else psutil.virtual_memory().available / sharing

    def peak_memory(self) -> int:
        """Peak bytes of this process: of the GPU if it computes on one, else of the machine's memory."""
        return torch.cuda.max_memory_allocated() if self.cuda else resident_peak()


def own_randomness() -> AbstractContextManager[None]:
    """Random numbers drawn inside do not affect those drawn outside, on the CPU or on the GPU in use."""
    return torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_initialized() else [])


def resident_peak() -> int:
    """Peak resident memory of this process in bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
