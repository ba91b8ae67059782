"""Every kind of backbone and head trains on two processes, which wait for the gradients of all that can train."""

from importlib.util import find_spec
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from twinsight.assemble.segmenting import step_loss
from twinsight.backbones.backbone import Backbone
from twinsight.backbones.lora import Lora
from twinsight.options.build import build
from twinsight.options.heads import HEADS, FcnOptions
from twinsight.segmentation.model import SegmentationModel
from twinsight.training.unreached import freeze_unreached

BACKBONES: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("test_resnet", {}),
    "convnext": ("test_convnext", {}),
    "mobilenetv3": ("mobilenetv3_small_050", {}),
    "efficientnet": ("test_efficientnet", {}),
    "vit": ("test_vit", {}),
    "vit-reg-gap": (
        "vit_base_patch16_reg4_gap_256", {"embed_dim": 24, "depth": 3, "num_heads": 2, "img_size": 32},
    ),
    "swin": (
        "swin_tiny_patch4_window7_224", {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "img_size": 32},
    ),
}  # fmt: skip
SHALLOW = [(backbone, "linear", {"levels": (0,)}) for backbone in BACKBONES]
OTHERS = [("vit-reg-gap" if head.startswith(("fusion", "eomt")) else "resnet", head, {}) for head in HEADS]
NARROW = {"unet": {"channels": (16, 12, 8, 8)}, "linear": {}, "eomt": {"queries": 4, "blocks": 2, "points": 16}}


class Step(nn.Module):
    """A training step, as DistributedDataParallel wants it: a forward."""

    def __init__(self, backbone: str, head: str, changes: dict[str, Any]):
        super().__init__()
        torch.manual_seed(0)
        name, options = BACKBONES[backbone]
        trunk = Backbone(name, **options)
        shape = (trunk.dims, trunk.strides, 3)
        width = NARROW.get(head, {"channels": 16})
        aux = build(FcnOptions(level=0, channels=8), *shape) if head == "setr-pup" else None
        self.model = SegmentationModel(trunk, build(HEADS[head](**(width | changes)), *shape), aux)
        self.model.train()

    def forward(self) -> torch.Tensor:
        return step_loss(self.model, 2, 32)


def two_steps(rank: int, folder: str) -> None:
    """The second raises if the first left out a gradient."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.set_num_threads(1)
    steps = [Step(*combination) for combination in SHALLOW + OTHERS]
    if find_spec("peft"):
        steps.append(Step("vit", "linear", {"levels": (0,)}))  # the adapters of later blocks get no gradient
        Lora(rank=2).add(steps[-1].model.backbone)
    for step in steps:
        freeze_unreached(step.model, lambda model, batch: step_loss(model, batch, 32))
        parallel = DistributedDataParallel(step)
        for _ in range(2):
            parallel().backward()
    dist.destroy_process_group()


def test_two_processes(tmp_path):
    other = mp.spawn(two_steps, args=(str(tmp_path),), nprocs=1, join=False)  # its rank is 0
    two_steps(1, str(tmp_path))
    other.join()


@pytest.mark.parametrize(
    "combination", [*SHALLOW, *OTHERS, *((backbone, "linear", {}) for backbone in BACKBONES)], ids=str
)
def test_what_is_frozen_is_what_has_no_gradient(combination):
    step = Step(*combination)
    step().backward()
    none = [name for name, parameter in step.model.named_parameters() if parameter.grad is None]
    buffers = {name: buffer.clone() for name, buffer in step.model.named_buffers()}
    assert freeze_unreached(step.model, lambda model, batch: step_loss(model, batch, 32)) == none
    assert [name for name, parameter in step.model.named_parameters() if not parameter.requires_grad] == none
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in step.model.named_buffers())


def test_known_ones():
    def frozen(backbone: str, **changes: Any) -> list[str]:
        return freeze_unreached(Step(backbone, "linear", changes).model, lambda model, batch: step_loss(model, 2, 32))

    assert frozen("resnet") == []
    assert frozen("convnext") == ["backbone.network.head.norm.weight", "backbone.network.head.norm.bias"]
    assert all("conv_head" in name or "bn2" in name or "norm_head" in name for name in frozen("mobilenetv3"))
    assert any("fc_norm" in name for name in frozen("vit-reg-gap"))
    assert any("layers.1" in name or "layers_1" in name for name in frozen("swin", levels=(0,)))
