from typing import ClassVar

import numpy as np
import pytest
import torch
from begun import begun
from lightning.pytorch.loggers import WandbLogger
from torch import nn

from twinsight.data.loader import Views, train_loader
from twinsight.data.shapes import Shapes
from twinsight.data.views import two_views
from twinsight.errors import UserError
from twinsight.options.commands import Pretrain
from twinsight.probes.captions import Caption
from twinsight.probes.draw import curves
from twinsight.probes.finding import Finding, Scene
from twinsight.runs.directory import Run
from twinsight.runs.rows import read_rows
from twinsight.training import probing, trackers
from twinsight.training.optim import Optimization
from twinsight.training.pretrainer import Pretrainer
from twinsight.training.probing import Probing, Scheduled
from twinsight.training.trainer import Training


class Tiny(nn.Module):
    """A method of two weights, with randomness in its forward pass."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(1, 1)
        self.trunk.layer_ids = lambda: {"weight": 0, "bias": 0}

    def views(self):
        raise NotImplementedError  # no test augments

    def forward(self, views, progress):
        return {"loss": self.trunk(views[0].float().mean().view(1) * torch.rand(1)).square().mean()}


class Asks:
    """Answers with the images' number; draws random numbers, as careless probes do."""

    caption = Caption("Asks", "Read.", "Beware.")

    def __init__(self, subject="backbone", error=None):
        self.subject, self.error, self.calls = subject, error, 0

    def __call__(self, model, images, masks=None):
        self.calls += 1
        torch.rand(7)
        if self.error is not None:
            raise self.error
        plot = curves({"a": ([1, 2], [3, 4])}, "x", "y")
        numbers = {"images": float(len(images)), "nothing": np.nan}
        return Finding({"line": plot}, numbers, history={"array": np.arange(3)})


def fit(folder, *scheduled: Scheduled, budget: float = 1e9, epochs: int = 4, **changes) -> Run:
    """4 epochs of 4 steps."""
    torch.manual_seed(0)
    run = begun(folder, Pretrain(), "pretrain")
    loader = train_loader(Views(Shapes(count=16, size=16), two_views(size=16)), 4, 0)
    method = Tiny()
    watching = [Probing(scheduled, {"backbone": method.trunk}, budget)] if scheduled else []
    Training(epochs=epochs, log_every=1, **changes).fit(
        Pretrainer(method, Optimization(lr=1e-3)), loader, None, run, watching=watching
    )
    return run


def images(count: int) -> list[torch.Tensor]:
    return [torch.zeros(3, 8, 8, dtype=torch.uint8)] * count


def steps_of(run: Run, name: str) -> list[int]:
    return [int(file.stem.rpartition("-")[2]) for file in sorted((run.figures / name).glob("*.png"))]


def test_each_probe_has_its_own_interval_and_images(tmp_path):
    run = fit(
        tmp_path / "run",
        Scheduled("a", Asks(), images(2), every=2),
        Scheduled("b", Asks(), images(3), every=5, unit="steps"),
        Scheduled("c", Asks(), images(1), every=0),
    )
    assert steps_of(run, "a") == [0, 8, 16]
    assert steps_of(run, "b") == [0, 5, 10, 15, 16]
    assert steps_of(run, "c") == [0]
    rows = {int(row["step"]): row for row in read_rows(run.folder / "metrics.csv")}
    assert rows[8]["probe/a/images"] == 2
    assert rows[5]["probe/b/images"] == 3
    assert "probe/a/nothing" not in rows[8]
    assert rows[8]["probe/a/seconds"] > 0
    assert 0 < rows[8]["probe/share_of_time"] < 1
    assert np.load(run.figures / "a" / "array-0000008.npy").tolist() == [0, 1, 2]


def test_accumulated_steps_are_looked_at_once(tmp_path):
    run = fit(tmp_path / "run", Scheduled("a", Asks(), images(1), every=1, unit="steps"), epochs=1, accumulate=2)
    assert steps_of(run, "a") == [0, 1, 2]


class Clock:
    """Each reading is one second later; a look is two readings long and so costs a second."""

    now = 0.0

    def monotonic(self):
        self.now += 1
        return self.now


def test_looks_wait_until_they_are_cheap_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "time", Clock())
    probe = Asks()
    run = fit(tmp_path / "run", Scheduled("a", probe, images(1), every=1, unit="steps"), budget=0.2, epochs=10)
    rows = [row for row in read_rows(run.folder / "metrics.csv") if "probe/share_of_time" in row]
    assert 4 < probe.calls < 20
    assert all(row["probe/share_of_time"] <= 0.2 for row in rows[1:-1])
    assert rows[0]["step"] == 0
    assert rows[-1]["step"] == 40


class Dear(Asks):
    """Takes twenty seconds of the clock."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def __call__(self, *args):
        self.clock.now += 20
        return super().__call__(*args)


def test_cheap_probes_leave_a_dear_one_its_turn(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(probing, "time", clock)
    cheap, dear = Asks(), Dear(clock)
    scheduled = [Scheduled(name, probe, images(1), unit="steps") for name, probe in (("cheap", cheap), ("dear", dear))]
    fit(tmp_path / "run", *scheduled, budget=0.5, epochs=20)
    assert 3 < dear.calls < 40
    assert cheap.calls <= 2 * dear.calls


@pytest.mark.parametrize(("error", "said"), [(UserError("mend it"), "mend it"), (KeyError("k"), "KeyError: 'k'")])
def test_a_probe_that_fails_is_named_once_and_the_training_goes_on(tmp_path, capsys, error, said):
    probe = Asks(error=error)
    run = fit(tmp_path / "run", Scheduled("broken", probe, images(1)), Scheduled("good", Asks(), images(1)))
    told = capsys.readouterr().err
    assert told.count("--probe broken") == 1
    assert said in told
    assert probe.calls == 1
    assert steps_of(run, "good") == [0, 4, 8, 12, 16]


def test_a_subject_that_the_training_lacks_is_named(tmp_path, capsys):
    fit(tmp_path / "run", Scheduled("a", Asks(subject="segmenter"), images(1)), epochs=1)
    assert "--probe a: failed and is dropped" in capsys.readouterr().err


def test_looking_changes_nothing(tmp_path):
    def weights(run):
        return torch.load(run.last, weights_only=True)["state_dict"]

    with_probes = weights(fit(tmp_path / "a", Scheduled("a", Asks(), images(2), every=1, unit="steps")))
    without = weights(fit(tmp_path / "b"))
    assert all(torch.equal(with_probes[name], without[name]) for name in without)


class Offline(WandbLogger):
    """Keeps what W&B would be told."""

    told: ClassVar[dict] = {}

    def __init__(self):
        """No run is begun."""

    experiment = property(lambda self: self)

    def log(self, content):
        self.told |= content


class Step:
    global_step = 7
    loggers: ClassVar = [Offline()]


def test_wandb_gets_masks_with_their_class_names(tmp_path):
    mask = np.array([[0, 1], [255, 1]], np.uint8)
    scene = Scene(np.zeros((2, 2, 3), np.uint8), {"prediction": mask, "truth": mask}, ("road", "car"))
    trackers.log_scenes(Step, "predictions/scenes", [scene])
    trackers.log_table(Step, "classes", [{"class": "road", "iou": 0.5}, {"class": "car", "iou": 0.25}])
    [image] = Offline.told["predictions/scenes"]
    assert image._masks.keys() == {"prediction", "truth"}
    assert trackers.masks(scene)["truth"]["class_labels"] == {0: "road", 1: "car", 255: "void"}
    assert Offline.told["classes"].columns == ["class", "iou"]
    assert Offline.told["classes"].data == [["road", 0.5], ["car", 0.25]]
    assert Offline.told["trainer/global_step"] == 7


def test_tensorboard_gets_figures_and_tables(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = fit(tmp_path / "run", Scheduled("a", Asks(), images(1)), epochs=1, log=("tensorboard",))
    events = EventAccumulator(str(run.folder / "tensorboard"), size_guidance={"images": 0}).Reload()
    assert [event.step for event in events.Images("a/line")] == [0, 4]
    assert events.Scalars("probe/a/images")[0].value == 1
