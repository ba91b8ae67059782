"""A run whose training has ended and whose export is missing or broken gets it by --resume."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from segmenting_runs import segment_options

from twinsight.assemble.open import load_segmenter
from twinsight.commands import pretrain, segment
from twinsight.errors import UserError
from twinsight.training.best import Record


def break_by(how: str, file) -> None:
    content = file.read_bytes()
    middle = len(content) // 2
    if how == "missing":
        file.unlink()
    elif how == "half":
        file.write_bytes(content[:middle])
    else:
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "run"
    segment.run(segment_options(folder, epochs=2, head_lr=0.1))
    return folder


@pytest.mark.parametrize("how", ["missing", "half", "flipped"])
def test_a_segmenter_gets_its_export(trained, how, capfd):
    model = trained / "model.safetensors"
    before = {name: value.clone() for name, value in load_file(model).items()}  # load_file maps the file
    break_by(how, model)
    with pytest.raises(UserError, match=rf"model.safetensors: is .*twinsight segment --resume {trained}"):
        load_segmenter(trained, "best", torch.device("cpu"))
    options = replace(segment_options(None, epochs=2, head_lr=0.1), resume=trained)
    segment.run(options)
    assert "model.safetensors is missing or damaged; writing it" in capfd.readouterr().err
    after = load_file(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_damaged_best_checkpoint_is_not_exported(trained, capfd):
    (entry, *_) = Record(trained / "checkpoints").read()
    break_by("flipped", trained / "checkpoints" / entry.file)
    (trained / "model.safetensors").unlink()
    options = replace(segment_options(None, epochs=2, head_lr=0.1), resume=trained)
    segment.run(options)
    assert f"{entry.file}: is damaged" in capfd.readouterr().err
    last = torch.load(trained / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    exported = load_file(trained / "model.safetensors")
    assert all(torch.equal(exported[name], last[f"model.{name}"]) for name in exported)


@pytest.mark.parametrize("how", ["missing", "half", "flipped"])
def test_a_backbone_gets_its_export(tmp_path, how, capfd):
    from test_pretrain import options as pretrain_options

    run = pretrain.run(pretrain_options(tmp_path / "run"))
    file = run / "backbone.safetensors"
    before = {name: value.clone() for name, value in load_file(file).items()}
    break_by(how, file)
    pretrain.run(replace(pretrain_options(None), resume=run))
    assert "backbone.safetensors is missing or damaged; writing it" in capfd.readouterr().err
    after = load_file(file)
    assert all(torch.equal(before[name], after[name]) for name in before)
