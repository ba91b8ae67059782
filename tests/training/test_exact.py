"""Large batches in parts: the gradient of the whole, in the memory of a part."""

import os
import signal
import subprocess
import sys
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.commands import pretrain
from twinsight.data.loader import Views, train_loader
from twinsight.data.shapes import Shapes
from twinsight.errors import UserError
from twinsight.methods.angular import Angular
from twinsight.methods.barlow_twins import BarlowTwins
from twinsight.methods.byol import BYOL
from twinsight.methods.dino import DINO
from twinsight.methods.lejepa import LeJEPA
from twinsight.methods.method import wants_labels
from twinsight.methods.moco_v3 import MoCoV3
from twinsight.methods.simclr import SimCLR
from twinsight.methods.simsiam import SimSiam
from twinsight.methods.swav import SwAV
from twinsight.methods.vicreg import VICReg
from twinsight.options.backbones import TimmOptions
from twinsight.options.build import build
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.attention_term import AttentionTermOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.runs.rows import read_rows
from twinsight.training.exact import LargeBatches, in_parts
from twinsight.training.last import LastCheckpoint

SWIN = {"img_size": 32, "depths": (1, 1), "num_heads": (1, 2), "embed_dim": 16, "window_size": 4}


def vit(drop: float = 0.0) -> Backbone:
    return Backbone("test_vit", img_size=32, drop_path_rate=drop)


BACKBONES = {
    "vit": vit,
    "resnet": lambda: Backbone("test_resnet"),
    "swin": lambda: Backbone("swin_tiny_patch4_window7_224", **SWIN, drop_path_rate=0.0),
}
METHODS = {
    "barlow-twins": lambda b: BarlowTwins(b, None, projector=(16, 16, 16)),
    "vicreg": lambda b: VICReg(b, None, projector=(16, 16, 16)),
    "simclr": lambda b: SimCLR(b, None, projector=(16, 16)),
    "lejepa": lambda b: LeJEPA(b, None, projector=(16, 8), slices=16),
    "moco-v3": lambda b: MoCoV3(b, None, projector=(16, 8), hidden=16),
    "byol": lambda b: BYOL(b, None, hidden=16, dim=8),
    "simsiam": lambda b: SimSiam(b, None, dim=16, hidden=8),
    "swav": lambda b: SwAV(b, None, prototypes=16, hidden=16, dim=8),
    "dino": lambda b: DINO(b, None, prototypes=16, hidden=16, bottleneck=8, batch_norm=True),
    "dino-sinkhorn": lambda b: DINO(b, None, prototypes=16, hidden=16, bottleneck=8, centering="sinkhorn-knopp"),
}
if find_spec("pytorch_metric_learning"):  # in `pip install twinsight[dev]`
    METHODS["angular"] = lambda b: Angular(b, 3, None)


def views_for(method: nn.Module, dtype: torch.dtype) -> list[torch.Tensor]:
    sides = (32, 32, 32, 32) if isinstance(method, DINO | LeJEPA | SwAV) else (32, 32)
    generator = torch.Generator().manual_seed(5)
    return [torch.rand(12, 3, side, side, generator=generator).to(dtype) for side in sides]


def gradients(method: nn.Module, parts: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Of a copy, so that a center that moves is the same at the next call."""
    method = deepcopy(method)
    views = views_for(method, next(method.parameters()).dtype)
    labels = {"labels": torch.arange(12) % 3} if wants_labels(method) else {}
    torch.manual_seed(3)
    with in_parts(method, parts):
        loss = method(views, progress=0.3, **labels)["loss"]
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in method.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("kind", METHODS)
def test_gradient_is_the_large_batchs(backbone, kind):
    torch.manual_seed(0)
    method = METHODS[kind](BACKBONES[backbone]().double()).double()
    for norm in (norm for b in backbones(method) for norm in b.modules() if isinstance(norm, nn.BatchNorm2d)):
        norm.eval()  # else it would couple the batch within the backbone
    loss, expected = gradients(method, 1)
    found_loss, found = gradients(method, 3)
    assert expected.keys() == found.keys()
    assert any("network" in name for name in found)
    torch.testing.assert_close(found_loss, loss, rtol=1e-12, atol=0)
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=float(1e-9 * largest), msg=name)


def test_float32_gradient():
    torch.manual_seed(0)
    method = METHODS["barlow-twins"](vit())
    (_, expected), (_, found) = gradients(method, 1), gradients(method, 4)
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=float(1e-5 * largest), msg=name)


def test_what_is_dropped_at_random_is_dropped_again():
    """Beside the same parts whose graphs are kept."""
    torch.manual_seed(0)
    method = METHODS["barlow-twins"](vit(drop=0.5)).double()
    loss, found = gradients(method, 3)

    kept = deepcopy(method)
    torch.manual_seed(3)
    trunk = kept.trunk

    def forward(images):
        return torch.stack([type(trunk).forward(trunk, images[part::3]) for part in range(3)], dim=1).flatten(0, 1)

    trunk.forward = forward
    expected = kept(views_for(kept, torch.float64), progress=0.3)["loss"]
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    for name, parameter in kept.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-9, msg=name)


def test_the_whole_batch_would_not_come_from_adding_up():
    """Why: ordinary accumulation has another gradient."""
    torch.manual_seed(0)
    method = METHODS["barlow-twins"](vit()).double()
    _, expected = gradients(method, 1)
    views = views_for(method, torch.float64)
    for part in range(3):
        (method([view[part::3] for view in views], progress=0.3)["loss"] / 3).backward()
    name = "trunk.network.blocks.0.mlp.fc1.weight"
    found = dict(method.named_parameters())[name].grad
    assert torch.cosine_similarity(found.flatten(), expected[name].flatten(), dim=0) < 0.99


def test_backbones_see_parts_and_are_left_as_they_were():
    method = METHODS["dino"](vit())
    sizes = []
    hooks = [b.network.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0]))) for b in backbones(method)]
    before = [dict(vars(b)) for b in backbones(method)]
    with in_parts(method, 6):
        method(views_for(method, torch.float32), progress=0.0)
    with pytest.raises(RuntimeError, match="size of tensor"), in_parts(method, 2):
        method.trunk(torch.zeros(2, 3, 32, 32, 2))
    assert sizes[:12] == [4] * 6 + [8] * 6  # the teacher's two views of 12 images, the student's four
    assert before == [dict(vars(b)) for b in backbones(method)]
    assert len(hooks) == 2


def backbones(method: nn.Module) -> list[Backbone]:
    return [module for module in method.modules() if isinstance(module, Backbone)]


@pytest.mark.parametrize("color", [True, False])
def test_joined_batches_and_their_place_in_the_epoch(color):
    options = TwoViewsOptions(size=32)

    def loader():
        return train_loader(Views(Shapes("train", size=32, count=22), build(options), color=color), 4, 0)

    small, large = list(loader()), LargeBatches(loader(), 2)
    assert len(small) == 5
    assert len(large) == 2
    for joined, first, second in zip(large, small[:4:2], small[1:4:2], strict=True):
        assert joined.indices.tolist() == [*first.indices, *second.indices]
        assert torch.equal(joined.crops, torch.cat([first.crops, second.crops]))
        if color:
            assert joined.params is None
        else:
            assert joined.params.images == first.params.images + second.params.images
        for view, a, b in zip(joined.views, first.views, second.views):
            assert torch.equal(view, torch.cat([a, b]))
            assert view.is_contiguous(memory_format=torch.channels_last)

    begun = LargeBatches(loader(), 2)
    next(iter(begun))
    resumed = LargeBatches(loader(), 2)
    resumed.load_state_dict(begun.state_dict())
    assert [b.indices.tolist() for b in resumed] == [b.indices.tolist() for b in large][1:]


def options(run: Path | None, **changes) -> Pretrain:
    given = {
        "epochs": 2, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0, "lr": 0.01,
        "method": BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
        "backbone": TimmOptions(name="test_vit", img_size=32), "data": ShapesOptions(count=26, size=32),
        "probe": "none", "optimizer": "sgd",
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def test_a_run_is_as_one_with_large_batches(tmp_path):
    pretrain.run(options(tmp_path / "large", batch_size=12))
    pretrain.run(options(tmp_path / "exact", accumulate=3, accumulate_exact=True))
    large, exact = weights(tmp_path / "large"), weights(tmp_path / "exact")
    for name, value in large.items():
        torch.testing.assert_close(exact[name], value, rtol=0, atol=1e-5, msg=name)
    rows = [read_rows(tmp_path / run / "metrics.csv") for run in ("large", "exact")]
    assert [row["step"] for row in rows[1]] == [0, 1, 2, 3]
    for a, b in zip(*rows):
        assert a == pytest.approx(b, rel=1e-4)


def test_resumed_is_as_uninterrupted(tmp_path, monkeypatch):
    changes = {"accumulate": 3, "accumulate_exact": True, "backbone": TimmOptions(name="test_vit", drop_path_rate=0.4)}
    pretrain.run(options(tmp_path / "whole", **changes))
    original = LastCheckpoint.on_train_batch_end

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == 3:  # within the second epoch
            self.signals.receive(signal.SIGINT)
        original(self, trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_batch_end", on_train_batch_end)
        with pytest.raises(KeyboardInterrupt):
            pretrain.run(options(tmp_path / "cut", **changes))
    pretrain.run(options(None, **changes, resume=tmp_path / "cut"))
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    for name, value in whole.items():
        torch.testing.assert_close(cut[name], value, rtol=0, atol=1e-7, msg=name)


def test_two_processes_are_as_one(tmp_path):
    def run(name: str, *more: str) -> dict[str, torch.Tensor]:
        command = [
            sys.executable, "-m", "twinsight", "pretrain", "--backbone", "test_vit", "--backbone.img-size", "32",
            "--data.size", "32", "--data.count", "24", "--method.projector", "16", "16", "--method.views.size", "32",
            "--epochs", "2", "--workers", "0", "--run", str(tmp_path / name), "--probe", "none", "--optimizer", "sgd",
            "--lr", "0.01", "--warmup-epochs", "0", "--precision", "fp32", "--accumulate", "3", "--accumulate-exact",
            *more,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr
        return weights(tmp_path / name)

    one, two = run("one", "--batch-size", "4"), run("two", "--batch-size", "2", "--devices", "2")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-5, msg=name)


def test_batch_norm_counts_each_batch_once(tmp_path):
    pretrain.run(options(tmp_path / "run", accumulate=3, accumulate_exact=True, backbone=TimmOptions("test_resnet")))
    counts = {name: int(value) for name, value in weights(tmp_path / "run").items() if "num_batches" in name}
    # 4 updates; a backbone sees two views of three parts, the projector two views.
    assert {count for name, count in counts.items() if "trunk" in name} == {4 * 2 * 3}
    assert {count for name, count in counts.items() if "projector" in name} == {4 * 2}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"accumulate": 1}, "--accumulate-exact: requires --accumulate"),
        ({"accumulate": 7}, "--accumulate 7: an epoch has only 6 steps of 4 images"),
        ({"attention": AttentionTermOptions(sharpness=1.0)}, "--accumulate-exact: cannot be combined with --attention"),
    ],
    ids=str,
)
def test_errors(tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        pretrain.run(options(tmp_path / "run", **{"accumulate": 2, "accumulate_exact": True} | changes))
    assert not (tmp_path / "run").exists()
