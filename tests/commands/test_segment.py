import json

import pytest
import torch
from safetensors.torch import load_file
from segmenting_runs import DATA, segment_options, trained

from twinsight.assemble.open import make_model
from twinsight.commands import evaluate, segment
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Evaluate
from twinsight.options.heads import DeepLabV3Options, EomtOptions
from twinsight.runs.rows import read_rows
from twinsight.training import trainer as training
from twinsight.training.best import Record


def train(folder, **changes):
    return trained(segment_options(folder / "run", **changes))


def best(run):
    return [file for file in (run / "checkpoints").rglob("*.ckpt") if file.name != "last.ckpt"]


def test_writes_a_run_directory(segmenter_run):
    names = {file.name for file in segmenter_run.iterdir()} - {".lock", ".twinsight"}
    assert names == {
        "config.yaml",
        "environment.txt",
        "data.json",
        "metrics.csv",
        "checkpoints",
        "classes.json",
        "model.safetensors",
        "figures",
        "report.html",
    }
    assert (segmenter_run / "checkpoints/last.ckpt").is_file()
    assert json.loads((segmenter_run / "classes.json").read_text())["classes"][0] == "background"


def test_prints_a_table_and_logs_each_validation(tmp_path, capfd):
    scores, run = train(tmp_path, epochs=2)
    out = capfd.readouterr().out
    assert "striped disk" in out
    assert "mean IoU" in out
    logged = [row["val/mean_iou"] for row in read_rows(run / "metrics.csv") if "val/mean_iou" in row]
    assert len(logged) == 2
    assert logged[-1] == pytest.approx(scores.scalars()["mean_iou"], abs=1e-5)


def test_keep_and_val_every(tmp_path):
    _, run = train(tmp_path, epochs=6, keep=2, val_every=2, head_lr=0.1)
    rows = [row for row in read_rows(run / "metrics.csv") if "val/mean_iou" in row]
    assert [row["epoch"] for row in rows] == [1, 3, 5]
    assert len(best(run)) == 2
    first, _ = Record(run / "checkpoints").read()
    chosen = run / "checkpoints" / first.file
    state = torch.load(chosen, weights_only=True)["state_dict"]
    for name, value in load_file(run / "model.safetensors").items():
        assert torch.equal(value, state[f"model.{name}"])
    top = sorted((row["val/mean_iou"] for row in rows), reverse=True)
    assert first.score == pytest.approx(top[0], abs=1e-6)


def test_early_stopping(tmp_path):
    _, run = train(tmp_path, epochs=9, early_stopping=2, lr=0.0, head_lr=0.0)
    rows = [row for row in read_rows(run / "metrics.csv") if "val/mean_iou" in row]
    assert len(rows) < 9
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == len(rows) - 1


def test_swa_is_the_mean_of_the_last_epochs(tmp_path, monkeypatch):
    seen = []
    original = training.StochasticWeightAveraging.on_train_batch_end

    head = make_model(segment_options(None), 8).head
    name = next(name for name, p in head.named_parameters() if p.ndim == 4)

    def record(self, trainer, *args, **kwargs):
        original(self, trainer, *args, **kwargs)
        if trainer.is_last_batch:
            seen.append(trainer.lightning_module.model.head.state_dict()[name].clone())

    monkeypatch.setattr(training.StochasticWeightAveraging, "on_train_batch_end", record)
    _, run = train(tmp_path, epochs=4, swa=0.5, head_lr=0.1)
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    torch.testing.assert_close(state[f"model.head.{name}"], (seen[2] + seen[3]) / 2)


@pytest.mark.parametrize("averaging", [{"ema": 0.5}, {"swa": 0.5}])
def test_averaged_weights_are_validated_on_every_pixel(tmp_path, averaging):
    scores, run = train(tmp_path, epochs=2, **averaging)
    assert scores.matrix.sum() == 4 * 32 * 32
    assert all(0 < row["val/pixel_accuracy"] <= 1 for row in read_rows(run / "metrics.csv") if "val/mean_iou" in row)


def test_ema_is_exported(tmp_path):
    _, run = train(tmp_path, epochs=1, ema=0.5, head_lr=0.1)
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    exported = load_file(run / "model.safetensors")
    name = next(name for name in exported if name.startswith("head.") and exported[name].ndim == 4)
    torch.testing.assert_close(exported[name], state["state_dict"][f"model.{name}"])
    assert not torch.equal(exported[name], state["current_model_state"][f"model.{name}"])


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32", "auto"])
def test_precision(tmp_path, precision):
    scores, _ = train(tmp_path, precision=precision)
    assert 0 <= scores.scalars()["mean_iou"] <= 1


def norms(monkeypatch) -> list[float]:
    """Gradient norms that the optimizer meets, update by update."""
    seen = []
    original = torch.optim.AdamW.step

    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure()
        grads = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        seen.append(torch.stack([grad.norm() for grad in grads]).norm().item())
        original(self)
        return loss

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    return seen


def test_clip_and_accumulate(tmp_path, monkeypatch):
    seen = norms(monkeypatch)
    train(tmp_path, epochs=2, batch_size=2, accumulate=2, clip=0.01)
    assert len(seen) == 2 * 8 // 2 // 2  # updates, not steps
    assert max(seen) <= 0.01 * 1.001


def test_layer_decay(tmp_path):
    _, run = train(tmp_path, lr=1e-3, head_lr=1e-2, layer_decay=0.5)
    optimizer = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["optimizer_states"][0]
    peaks = sorted({group["initial_lr"] for group in optimizer["param_groups"]})
    assert peaks[-2:] == [pytest.approx(1e-3), pytest.approx(1e-2)]
    assert len(peaks) > 3
    assert all(1e-3 / low == pytest.approx(2 ** round(torch.tensor(1e-3 / low).log2().item())) for low in peaks[:-1])


def test_find_lr(tmp_path, capfd):
    train(tmp_path, find_lr=True, lr=1e-4, head_lr=1e-3)
    assert "for the head" in capfd.readouterr().err
    config = (tmp_path / "run/config.yaml").read_text()
    rates = {line.split(": ")[0]: line.split(": ")[1] for line in config.splitlines() if "lr: " in line}
    assert float(rates["lr"]) == pytest.approx(float(rates["head_lr"]) / 10)
    assert rates["find_lr"] == "false"


def test_tensorboard_and_wandb_without_login(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    pytest.importorskip("tensorboard")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    _, run = train(tmp_path, log=("tensorboard", "wandb"))
    assert list((run / "tensorboard").glob("events.*"))
    assert list((run / "wandb").glob("offline-run-*"))


def test_dry_run_writes_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert segment.run(segment_options(None, dry_run=True)) is None
    out = capfd.readouterr().out
    for word in (
        "linear on levels",
        "test_resnet",
        "8 images to train, 4 to validate, 8 classes",
        "FLOP",
        "memory",
        "steps",
    ):
        assert word in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 1, "head": DeepLabV3Options(channels=8)}, "--batch-size: too small for batch norm"),
        ({"class_weights": (1.0,)}, "--class-weights: 1 given for 8 classes"),
        ({"class_weights": (0.0,) * 8}, "--class-weights: are all 0"),
        ({"class_weights": (1.0,) * 8, "loss": "dice"}, "--class-weights: only cross-entropy and focal"),
        ({"label_smoothing": 1.0}, "--label-smoothing 1.0: must be at least 0 and below 1"),
        ({"label_smoothing": 0.1, "loss": "focal"}, "--label-smoothing: only cross-entropy"),
        ({"loss": "dise"}, "dice"),
        ({"backbone": TimmOptions(name="test_resnet", output_stride=7)}, "--backbone test_resnet: "),
        ({"accelerator": "mps"}, "--accelerator mps"),
    ],
    ids=str,
)
def test_bad_options_leave_no_run(tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        train(tmp_path, **changes)
    assert not (tmp_path / "run").exists()


def test_weights_of_another_backbone(tmp_path, segmenter_run):
    with pytest.raises(UserError, match="not weights of test_vit"):
        train(tmp_path, weights=segmenter_run, backbone=TimmOptions(name="test_vit"))
    assert not (tmp_path / "run").exists()


def test_a_head_with_a_loss_of_its_own(tmp_path):
    """Trained to the end, its masks are annealed; what is exported predicts as the last validation did."""
    head = EomtOptions(queries=8, blocks=2, points=64)
    scores, run = train(tmp_path, head=head, backbone=TimmOptions(name="test_vit"), epochs=6, val_every=6)
    model = load_file(run / "model.safetensors")
    assert model["head.probabilities"][0] == 0
    assert model["head.probabilities"][1] < 0.6
    losses = [row["train/loss"] for row in read_rows(run / "metrics.csv") if "train/loss" in row]
    assert losses[-1] < losses[0]
    again = evaluate.run(Evaluate(run=run, workers=0, data=DATA))
    assert again.scalars()["mean_iou"] == pytest.approx(scores.scalars()["mean_iou"], abs=1e-5)


@pytest.mark.parametrize(
    "changes", [{"loss": "dice"}, {"class_weights": "auto"}, {"label_smoothing": 0.1}, {"aux_weight": 0.4}], ids=str
)
def test_its_loss_takes_no_options_of_others(tmp_path, changes):
    (name,) = changes
    with pytest.raises(UserError, match=f"^--{name.replace('_', '-')}: cannot be combined with --head eomt, which "):
        train(tmp_path, head=EomtOptions(), backbone=TimmOptions(name="test_vit"), **changes)
