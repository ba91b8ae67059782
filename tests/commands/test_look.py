import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from twinsight.cli import main
from twinsight.commands import pretrain
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> Path:
    return pretrain.run(
        Pretrain(
            run=tmp_path_factory.mktemp("pretrain") / "run", epochs=1, batch_size=4, workers=0, precision="fp32",
            warmup_epochs=0, method=BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
            backbone=TimmOptions(name="test_vit"), data=ShapesOptions(count=16, size=32), probe="none",
        )
    )  # fmt: skip


@pytest.fixture
def photos(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for name, (height, width) in {"cats/a": (70, 90), "cats/b": (64, 64), "dogs/c": (90, 50)}.items():
        file = tmp_path / "photos" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), rng.integers(0, 255, (height, width, 3), np.uint8))
    return tmp_path / "photos"


def look(capsys, *argv) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(["look", *map(str, argv)])
    captured = capsys.readouterr()
    return exit_.value.code, captured.out, captured.err


def test_models_side_by_side_in_one_figure(pretrained, tmp_path, capsys):
    out = tmp_path / "out"
    both = ("--weights", pretrained, "--weights", f"random:{pretrained}")
    code, printed, told = look(capsys, "filters", *both, "--count", 4, "--out", out, "--numbers")
    assert code == 0, told
    assert [file.name for file in out.iterdir()] == ["filters.png"]
    numbers = json.loads(printed)
    assert list(numbers) == ["run", "run, untrained"]
    assert numbers["run"]["redundancy"] != numbers["run, untrained"]["redundancy"]


def test_images_of_the_runs_own_data_by_default(pretrained, tmp_path, capsys):
    code, _, told = look(capsys, "features", "--weights", pretrained, "--sample", 3, "--out", tmp_path / "out")
    assert code == 0, told
    assert (tmp_path / "out" / "features-components.png").is_file()


def test_a_segmenter_shows_its_predictions_beside_the_truth(segmenter_run, tmp_path, capsys):
    code, printed, told = look(
        capsys, "predictions", "--weights", segmenter_run, "--out", tmp_path, "--format", "svg", "--numbers"
    )
    assert code == 0, told
    assert (tmp_path / "predictions.svg").read_text().startswith("<?xml")
    assert 0 <= json.loads(printed)["run"]["mean_iou"] <= 1


def test_several_segmenters_are_compared_in_one_row(segmenter_run, tmp_path, capsys):
    both = ("--weights", segmenter_run, "--weights", f"random:{segmenter_run}")
    code, _, told = look(capsys, "predictions", *both, "--out", tmp_path / "out")
    assert code == 0, told
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["predictions-compared.png", "predictions.png"]


def test_a_name_and_photos_of_any_size(photos, tmp_path, capsys):
    code, printed, told = look(
        capsys, "attention", photos, "--weights", "random:test_vit", "--blocks", -1, 0, "--out", tmp_path / "out",
        "--numbers",
    )  # fmt: skip
    assert code == 0, told
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert all(value is None or np.isfinite(value) for value in json.loads(printed)["test_vit, untrained"].values())


ASKS_CLASSES = {"embedding": "knn", "neighbors": "agreement"}


@pytest.mark.parametrize("probe", ASKS_CLASSES)
def test_folders_are_classes_only_of_a_class_folder(photos, tmp_path, capsys, probe):
    """Folders by year or by camera are not classes: agreement with them would be measured of nothing."""
    asked = [
        probe,
        "--weights",
        "random:test_resnet",
        "--numbers",
        *(["--k", 2, "--queries", 2] * (probe == "neighbors")),
    ]
    of = {
        "files": [photos],
        "folder": ["--data", "folder", "--data.root", photos],
        "classes": ["--data", "class-folder", "--data.root", photos, "--data.val-fraction", 0],
    }
    for name, data in of.items():
        code, printed, told = look(capsys, *asked, *data, "--out", tmp_path / name)
        assert code == 0, told
        numbers = json.loads(printed)["test_resnet, untrained"]
        assert (ASKS_CLASSES[probe] in numbers) == (name == "classes")


def test_knn_of_photos_in_folders_has_no_classes_to_vote_for(photos, tmp_path, capsys):
    for data in ([photos], ["--data", "folder", "--data.root", photos]):
        code, _, told = look(capsys, "knn", *data, "--weights", "random:test_resnet", "--out", tmp_path / "out")
        assert code == 2
        assert "choose --data class-folder" in told


def test_a_weights_file_says_itself_what_it_is(pretrained, tmp_path, capsys):
    code, _, told = look(capsys, "filters", "--weights", pretrained / "backbone.safetensors", "--out", tmp_path / "out")
    assert code == 0, told


def test_views_need_no_model(photos, tmp_path, capsys):
    code, _, told = look(capsys, "views", photos, "--out", tmp_path / "out")
    assert code == 0, told
    assert (tmp_path / "out" / "views.png").is_file()


def test_curves_of_a_run(pretrained, tmp_path, capsys):
    code, _, told = look(capsys, "curves", "--weights", pretrained, "--out", tmp_path / "out")
    assert code == 0, told
    assert (tmp_path / "out" / "curves-loss.png").is_file()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("attention", "--weights", "random:test_resnet"), "twinsight look erf"),
        (("predictions", "--weights", "random:test_resnet"), "needs a segmenter"),
        (("features", "--weights", "nowhere/at/all"), "nowhere/at/all: not a run directory, a file"),
        (("features",), "--weights: none given"),
        (("features", "--weights", "random:test_resnet", "--sample", "0"), "--sample 0: must be at least 1"),
        (("curves",), "--weights: none given"),
        (("curves", "--weights", "nowhere"), "no metrics.csv"),
        (("attentoin",), "did you mean attention?"),
        (("features", "no-such.png", "--weights", "random:test_resnet"), "no-such.png: no such file"),
    ],
)
def test_bad_input_is_one_sentence(argv, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed, told = look(capsys, *argv)
    assert code == 2
    assert said in told
    assert "Traceback" not in told
    assert not printed
    assert not list(tmp_path.iterdir())


def test_no_figure_is_replaced_unasked(tmp_path, capsys):
    argv = ("filters", "--weights", "random:test_resnet", "--out", tmp_path)
    assert look(capsys, *argv)[0] == 0
    before = (tmp_path / "filters.png").read_bytes()
    code, printed, told = look(capsys, *argv, "--count", 4)
    assert (code, printed) == (2, "")  # before any work
    assert "--overwrite" in told
    assert (tmp_path / "filters.png").read_bytes() == before
    assert look(capsys, *argv, "--count", 4, "--overwrite")[0] == 0
    assert (tmp_path / "filters.png").read_bytes() != before


def test_only_what_a_probe_asks_is_loaded(capsys, tmp_path, pretrained, photos):
    """The projector, whose checkpoint is broken here, is read for the correlation, and not for attention."""
    run = shutil.copytree(pretrained, tmp_path / "run")
    (run / "checkpoints/last.ckpt").write_bytes(b"broken")
    to = ("--weights", run, "--out", tmp_path / "out")
    code, _, said = look(capsys, "attention", photos, *to)
    assert (code, said.count("error:")) == (0, 0)
    code, _, said = look(capsys, "correlation", photos, *to)
    assert code == 2
    assert "last.ckpt" in said
