"""The whole fast path beside the plain one: the same losses, step for step."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from twinsight.assemble import pretraining
from twinsight.commands import pretrain
from twinsight.data.folder import Folder
from twinsight.data.sampler import EpochSampler
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import FolderOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.runs.rows import read_rows

BATCH, STEPS, SIDE = 8, 20, 48


@pytest.fixture
def photos(tmp_path):
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for i in range(32):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
        coarse.resize((int(rng.integers(50, 90)), int(rng.integers(50, 90))), Image.Resampling.BICUBIC).save(
            folder / f"{i:02d}.png"
        )
    return folder


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_twenty_steps(photos, tmp_path, monkeypatch, backbone):
    """Cache, workers, channels_last, normalization in one pass in place, fused AdamW; beside files decoded one by one,
    plane after plane, normalized as it is written down, and AdamW tensor by tensor.

    Float32's last digits grow with each step: without vector instructions to 5e-5 in five and to 3e-3 in twenty, and at
    ten times the learning rate to percents. A batch in another order or of another epoch differs by tens of percents.
    """
    made: list[nn.Module] = []

    class Keeping(pretraining.Pretrainer):
        def __init__(self, method, *args):
            made.append(copy.deepcopy(method))
            super().__init__(method, *args)

    monkeypatch.setattr(pretraining, "Pretrainer", Keeping)
    options = Pretrain(
        run=tmp_path / "run", epochs=STEPS * BATCH // 32, batch_size=BATCH, lr=1e-4, lr_batch=BATCH, warmup_epochs=0,
        final_lr=1, weight_decay=0, workers=2, log_every=1, precision="fp32", probe="none", seed=3,
        method=BarlowTwinsOptions(projector=(16, 16), views=TwoViewsOptions(size=SIDE)),
        backbone=TimmOptions(name=backbone), data=FolderOptions(root=photos, cache=tmp_path / "cache"),
    )  # fmt: skip
    run = pretrain.run(options)
    fast = [row["train/loss"] for row in read_rows(run / "metrics.csv") if "train/loss" in row]

    method = made[0]
    mean, std = method.trunk.mean, method.trunk.std
    monkeypatch.setattr(method.trunk, "normalize", lambda images: (images / 255 - mean) / std)
    optimizer = torch.optim.AdamW(method.parameters(), 1e-4, weight_decay=0, foreach=False, fused=False)
    dataset, views = Folder(photos), method.views()
    sampler, plain = EpochSampler(len(dataset), True, 3), []
    for epoch in range(options.epochs):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        for first in range(0, len(keys) - BATCH + 1, BATCH):
            batch = [views(dataset.image(i), np.random.default_rng([3, e, i])) for e, i in keys[first : first + BATCH]]
            planes = [torch.from_numpy(np.stack(view)).permute(0, 3, 1, 2).contiguous() for view in zip(*batch)]
            loss = method(planes, 0.0)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            plain.append(loss.item())
    assert len(plain) == STEPS
    np.testing.assert_allclose(fast[0], plain[0], rtol=1e-5)
    np.testing.assert_allclose(fast[:5], plain[:5], rtol=1e-3)
    np.testing.assert_allclose(fast, plain, rtol=0.02)
