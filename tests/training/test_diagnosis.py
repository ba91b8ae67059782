"""What a loss that is not finite is blamed on."""

from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from twinsight.errors import UserError
from twinsight.training.finite import StopOnNan


class Root(nn.Module):
    """A square root, which negative numbers lack."""

    def forward(self, x):
        return x.sqrt()


class Steep(nn.Module):
    """Is 0 with a slope that is not finite."""

    def forward(self, x):
        return (x * 0).sqrt()


class Large(nn.Module):
    """Passes float32's range, in which bfloat16 and float32 alike are finite, but not float16's."""

    def forward(self, x):
        return x.half().mul(1e5).float() if torch.is_autocast_enabled("cpu") else x * 1e5


class Module(pl.LightningModule):
    """Three layers, of which the middle one is given, and a loss of two terms."""

    def __init__(self, middle: nn.Module, term: float = 1.0):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 4), middle, nn.Linear(4, 1, bias=False))
        self.term = term

    def training_step(self, batch, index):
        good = self.layers(batch).square().mean()
        other = good.detach() * 0 + self.term
        self.log_dict({"train/loss": good + other, "train/good": good, "train/other": other})
        return good + other

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)


def blamed(
    folder, module: pl.LightningModule, images: Any = None, precision: Any = "32-true", clip: float | None = None
) -> str:
    torch.manual_seed(0)
    images = torch.rand(8, 4) if images is None else images
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[StopOnNan(100, folder / "last.ckpt")], precision=precision,
        gradient_clip_val=clip,
    )  # fmt: skip
    with pytest.raises(UserError) as error:
        trainer.fit(module, DataLoader(images, 2))
    assert "NaN or infinite values at step " in str(error.value)
    return str(error.value)


def test_weights_that_it_starts_from(tmp_path):
    module = Module(nn.Identity())
    nn.init.constant_(module.layers[2].weight, torch.nan)
    message = blamed(tmp_path, module)
    assert message.startswith("--weights: ")
    assert "at step 1, first in layers.2.weight in the initial weights; " in message


def test_an_image(tmp_path):
    images = torch.rand(8, 4)
    images[5, 1] = torch.inf
    message = blamed(tmp_path, Module(nn.Identity()), images)
    assert message.startswith("--data: ")
    assert "at step 3, first in image 1 of the batch; " in message


def test_a_layer(tmp_path):
    module = Module(Root())
    nn.init.constant_(module.layers[0].bias, -9.0)
    message = blamed(tmp_path, module)
    assert message.startswith("--lr: ")
    assert "at step 1, first in the output of layers.1; there is no checkpoint yet; try a smaller --lr" in message


def test_a_layer_in_low_precision_alone(tmp_path):
    message = blamed(tmp_path, Module(Large()), precision="bf16-mixed")
    assert message.startswith("--precision: ")
    assert "first in the output of layers.1, which is finite in float32; " in message
    assert message.endswith("try --precision fp32")


def test_a_term_of_the_loss(tmp_path):
    message = blamed(tmp_path, Module(nn.Identity(), term=torch.inf))
    assert "first in train/other, after layers that are finite; " in message


def test_a_gradient(tmp_path):
    message = blamed(tmp_path, Module(Steep()))
    assert "at step 2, first in the gradient of layers.0.bias in the previous update; " in message
    assert message.startswith("--lr: ")
    assert blamed(tmp_path, Module(Steep()), precision="bf16-mixed").endswith("try --precision fp32")


def test_a_gradient_before_it_is_clipped(tmp_path):
    assert "at step 1, first in the gradient of layers.0.bias; " in blamed(tmp_path, Module(Steep()), clip=1.0)


def test_weights_spoiled_before_it_was_noticed(tmp_path, monkeypatch):
    def on_a_gpu(self, trainer, module):
        start(self, trainer, module)
        self.at_once = False

    start = StopOnNan.on_train_start
    monkeypatch.setattr(StopOnNan, "on_train_start", on_a_gpu)
    message = blamed(tmp_path, Module(Steep()))
    assert "at step 2, first in the loss, and by now in layers.0.weight; " in message
    assert "with --log-every 1 each step is checked" in message
