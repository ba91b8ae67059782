import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from twinsight.assemble.training import Machine
from twinsight.commands import pretrain
from twinsight.device import Device, resident_peak
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.runs.rows import read_rows

CUDA = (
    "get_device_capability", "mem_get_info", "max_memory_allocated", "get_rng_state", "set_rng_state",
    "current_device", "init", "_lazy_init",
)  # fmt: skip


@pytest.fixture
def gpu(monkeypatch):
    """A machine with two GPUs that nobody may ask anything but whether they are there."""

    def touched(*_, **__):
        raise AssertionError("a GPU was asked")

    for name in CUDA:
        monkeypatch.setattr(torch.cuda, name, touched)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture
def gpus(monkeypatch):
    """A machine with two GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (7, 9))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 5)


@pytest.mark.parametrize("native", [False, True])
def test_cpu_on_a_machine_with_a_gpu_is_a_cpu(gpu, monkeypatch, native):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    device = Device("cpu")
    assert device.torch == torch.device("cpu")
    assert device.precision("auto") == ("bf16" if native else "fp32")
    assert device.autocast_dtype("auto") == (torch.bfloat16 if native else None)
    assert (device.processes(), device.processes(2)) == (1, 2)
    assert not device.sync_batchnorm(2)
    assert device.free_memory() > 2**20
    assert device.free_memory(2) < 0.6 * psutil.virtual_memory().total
    assert device.peak_memory() > 2**20


def test_gpus(gpus):
    device = Device("auto")
    assert device.torch == torch.device("cuda")
    assert (device.precision("auto"), device.precision("fp32"), device.precision("fp16")) == ("bf16", "fp32", "fp16")
    assert (device.processes(), device.processes(1)) == (2, 1)
    assert device.sync_batchnorm()
    assert not device.sync_batchnorm(1)
    assert (device.free_memory(2), device.peak_memory()) == (7, 5)


def test_autocast():
    weights = torch.ones(2, 2)
    for asked, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)):
        with Device("cpu").autocast(asked):
            assert (weights @ weights).dtype == dtype


def test_a_device_that_is_missing(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--accelerator gpu: this machine has none"):
        Device("gpu")


def test_a_training_on_the_cpu_leaves_the_gpu_alone(gpu, tmp_path, monkeypatch):
    # PyTorch's own optimizers look whether a graph is being captured, on whatever GPU there is.
    monkeypatch.setattr(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", lambda _: None, raising=False)
    options = Pretrain(
        run=tmp_path / "run", epochs=1, batch_size=4, workers=0, probe="correlation:4", accelerator="cpu",
        method=BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
        backbone=TimmOptions(name="test_resnet"), data=ShapesOptions(count=8, size=32),
    )  # fmt: skip
    assert Machine.choose(options).processes == 1
    pretrain.run(options)
    assert any("probe/correlation/seconds" in row for row in read_rows(tmp_path / "run/metrics.csv"))


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_memory_on_macos_and_windows(monkeypatch, system):
    """macOS lacks /proc/meminfo and two names of sysconf, Windows the module `resource`."""
    monkeypatch.setattr("os.sysconf", None, raising=False)
    monkeypatch.setattr(sys, "platform", system)
    if system == "win32":
        monkeypatch.setitem(sys.modules, "resource", None)
        monkeypatch.setattr(psutil.Process, "memory_info", lambda _: SimpleNamespace(peak_wset=2**30))
    assert Device("cpu").free_memory() > 2**20
    assert resident_peak() > 2**18
