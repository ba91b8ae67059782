"""What dropout and stochastic depth draw."""

from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import torch

from twinsight.training.noise import OwnNoise


def drawn(seed: int = 0, rank: int = 0, epoch: int = 0, step: int = 0) -> tuple[float, ...]:
    trainer: Any = SimpleNamespace(global_rank=rank, current_epoch=epoch)
    OwnNoise(seed).on_train_batch_start(trainer, pl.LightningModule(), None, step)
    return tuple(torch.rand(4).tolist())


def test_each_process_and_step_has_noise_of_its_own():
    places = [(seed, rank, epoch, step) for seed in (0, 1) for rank in (0, 1) for epoch in (0, 1) for step in (0, 1)]
    first = {place: drawn(*place) for place in places}
    assert len(set(first.values())) == len(places)
    assert {place: drawn(*place) for place in reversed(places)} == first
