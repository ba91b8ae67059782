import pytest
from test_runs import make_run

from twinsight.report.record import Record
from twinsight.report.verdict import verdict


def of(folder, rows, command="segment", **options):
    return verdict(Record.read(make_run(folder / "run", rows, command, **options)))


def scored(*ious, epoch=2):
    return [{"step": 10 * i + 9, "epoch": epoch, "val/mean_iou": iou} for i, iou in enumerate(ious)]


@pytest.mark.parametrize(
    ("ious", "says"),
    [
        ([0.1, 0.3, 0.4], "Mean IoU is 40.0% at the end. It was still rising: more --epochs should help."),
        ([0.1, 0.4, 0.401], "Mean IoU is 40.1% at the end."),
        (
            [0.1, 0.4, 0.3],
            "Mean IoU is 40.0% at its best, at step 19, and 30.0% at the end. It has fallen since: try fewer "
            "--epochs, --early-stopping, or more images.",
        ),
        ([0.4], "Mean IoU is 40.0% at the end."),
    ],
)
def test_what_a_segmenter_came_to(tmp_path, ious, says):
    found = of(tmp_path, scored(*ious))
    assert " ".join(found.sentences) == says
    assert [command for _, command in found.commands] == [
        f"twinsight evaluate {tmp_path / 'run'}",
        f"twinsight predict {tmp_path / 'run'} photos",
    ]


def test_classes_that_were_not_found_are_named(tmp_path):
    run = make_run(tmp_path / "run", scored(0.4))
    (run / "figures/classes").mkdir(parents=True)
    (run / "figures/classes/per-class.csv").write_text("class,iou\nroad,0.8\npole,0\nbird,\n")
    assert verdict(Record.read(run)).sentences[-1] == "Not found at all: pole."


def test_an_unfinished_run_is_to_be_resumed(tmp_path):
    run = make_run(tmp_path / "run", scored(0.4, epoch=0))
    assert verdict(Record.read(run)).sentences[0] == "The run is in epoch 1 of 3, at step 9."
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    assert verdict(Record.read(run)).commands[0][1] == f"twinsight segment --resume {run}"


def pretrained(losses, **numbers):
    rows = [{"step": i, "epoch": 2, "train/loss": loss} for i, loss in enumerate(losses)]
    looked = {f"probe/health/{name.replace('__', '/')}": value for name, value in numbers.items()}
    return [*rows[:-1], rows[-1] | looked]


FINE = {
    "images": 64, "noise_floor": 0.125, "embedding__spread": 0.5, "embedding__dead_dimensions": 0.0,
    "embedding__effective_rank": 40.0, "embedding__dimensions": 128.0, "embedding__length": 1.0,
    "embedding__alignment": 0.5,
}  # fmt: skip


def test_what_a_pretraining_came_to(tmp_path):
    found = of(
        tmp_path / "a", pretrained([100 - i for i in range(60)], **FINE), "pretrain", data={"name": "shapes"},
        backbone={"name": "resnet10t", "pretrained": True, "channels": [8, 16, 32, 64], "stem_width": None},
    )  # fmt: skip
    assert found.sentences == ["The loss fell from 100 to 41.", "No sign of collapse or divergence."]
    assert found.commands[1][1] == (
        f"twinsight segment --weights {tmp_path / 'a' / 'run'} --backbone resnet10t --backbone.channels 8 16 32 64 "
        "--data shapes"
    )
    found = of(tmp_path / "b", pretrained([1, 2]), "pretrain", data={"name": "folder", "root": "photos"})
    assert found.sentences[0] == "The loss rose from 1 to 2, over too few logged steps to judge."
    assert "--probe health" in found.sentences[1]
    assert found.commands[0][1].endswith("--probe patches,linear --data folder --data.root IMAGES --data.masks MASKS")


@pytest.mark.parametrize(
    ("method", "two"), [("supervised", False), ("mae", False), ("dino", True), ("own.py:Own", True)]
)
def test_health_is_asked_only_of_who_makes_two_views(tmp_path, method, two):
    found = of(tmp_path, pretrained([2, 1]), "pretrain", method={"name": method})
    assert ("--probe health" in found.sentences[1]) == two
    assert ("this method makes one" in found.sentences[1]) != two


def test_an_alarm_is_told_with_what_to_try(tmp_path):
    flat = FINE | {"embedding__spread": 0.001}
    found = of(tmp_path, pretrained([100 - i for i in range(60)], **flat), "pretrain")
    assert found.sentences[1].startswith("All images have the same embedding: it varies by 0.10% of its length. Try")
    assert not any("No sign" in sentence for sentence in found.sentences)


def test_a_run_that_has_only_begun(tmp_path):
    assert of(tmp_path, []).sentences == ["Nothing is logged yet."]
