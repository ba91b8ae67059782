"""A segmenter trained by low-rank adapters: what changes, what leaves, and that nothing but the training needs peft."""

import sys

import pytest
import torch
from safetensors.torch import load_file
from segmenting_runs import DATA, segment_options, trained

from twinsight.assemble import checks
from twinsight.assemble.open import load_segmenter, make_model, without_training
from twinsight.commands import evaluate
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Evaluate
from twinsight.options.lora import LoraOptions

LORA = LoraOptions(rank=2)
VIT = TimmOptions(name="test_vit")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("peft")
    folder = tmp_path_factory.mktemp("lora") / "run"
    given = segment_options(folder, backbone=VIT, lora=LORA, epochs=2, lr=0.1, ema=0.5, layer_decay=0.9)
    return *trained(given), given


def test_only_adapters_and_the_head_change(run):
    _, folder, given = run
    torch.manual_seed(given.seed)
    first = make_model(given, 8).state_dict()
    last = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    changed = {name for name, value in first.items() if not torch.equal(last[f"model.{name}"], value)}
    assert {name for name in changed if name.startswith("backbone.")} == {name for name in first if ".lora_" in name}
    assert any(name.startswith("head.") for name in changed)


def test_what_leaves_needs_no_peft(run, monkeypatch):
    scores, folder, given = run
    monkeypatch.setitem(sys.modules, "peft", None)  # importing it raises
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    exported = load_file(folder / "model.safetensors")
    assert exported.keys() == make_model(without_training(given), 8).state_dict().keys()
    best, last = (load_segmenter(folder, each, torch.device("cpu"))[0] for each in ("best", "last"))
    again = evaluate.run(Evaluate(run=folder, workers=0, data=DATA, checkpoint="last"))
    assert again.scalars()["mean_iou"] == pytest.approx(scores.scalars()["mean_iou"], abs=1e-5)
    images = torch.rand(2, 3, 45, 37)
    if (folder / "checkpoints/best.json").read_text().count('"epoch": 1'):  # the last is the best
        torch.testing.assert_close(best(images), last(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lora": LoraOptions(alpha=8.0)}, "^--lora: does nothing without a rank; "),
        ({"lora": LORA, "freeze": "all"}, "^--lora: cannot be combined with --freeze all, "),
        ({"lora": LORA}, "^--lora: requires peft, which is not installed; run: pip install"),
    ],
    ids=["no rank", "all frozen", "no peft"],
)
def test_refused_before_any_work(tmp_path, monkeypatch, changes, sentence):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=sentence):
        trained(segment_options(tmp_path / "run", backbone=VIT, **changes))
    assert not (tmp_path / "run").exists()
