"""No command computes with weights that are not whole."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from twinsight.cli import main

NAME = "backbone.network.conv1.0.weight"


def spoil(tensors: dict, how: str) -> dict:
    tensor = tensors[NAME].contiguous().clone()
    if how == "nan":
        tensor[0, 0, 0, 0] = float("nan")
    return tensors | {NAME: tensor.to(torch.int32) if how == "integers" else tensor[1:] if how == "shape" else tensor}


@pytest.fixture(params=["nan", "integers", "shape"])
def damaged(request, segmenter_run, tmp_path):
    """A run whose exported weights and last checkpoint are spoilt in one tensor."""
    run = shutil.copytree(segmenter_run, tmp_path / "run")
    exported = run / "model.safetensors"
    save_file(spoil(load_file(exported), request.param), exported)
    last = run / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    plain = {name.removeprefix("model."): value for name, value in content["state_dict"].items()}
    content["state_dict"] = {f"model.{name}": value for name, value in spoil(plain, request.param).items()}
    torch.save(content, last)
    return run


@pytest.mark.parametrize(
    "command",
    [
        "predict {run} {photos} --out {out}",
        "evaluate {run}",
        "evaluate {run} --checkpoint last",
        "look neighbors --weights {run} {photos} --out {out}",
        "look erf --weights {run}/model.safetensors --backbone test_resnet {photos} --out {out}",
        "pretrain --backbone test_resnet --weights {run} --data folder --data.root {photos} --batch-size 2 --run {out}",
    ],
    ids=lambda command: " ".join(command.split()[:2]),
)
def test_every_command_refuses_them(damaged, command, tmp_path, capfd):
    (tmp_path / "photos").mkdir()
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"photos/{i}.png"), np.random.default_rng(i).integers(0, 256, (32, 32, 3), np.uint8))
    argv = command.format(run=damaged, photos=tmp_path / "photos", out=tmp_path / "out").split()
    with pytest.raises(SystemExit) as exit:
        main(argv)
    out = "".join(capfd.readouterr())
    assert exit.value.code == 2
    assert "conv1.0.weight" in out
    assert not (tmp_path / "out").exists()
