import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from segmenting_runs import DATA

from twinsight.assemble.open import open_model
from twinsight.assemble.probing import make_probing, plan_looks
from twinsight.cli import main
from twinsight.commands import evaluate, pretrain
from twinsight.data.class_folder import ClassFolder
from twinsight.data.folder import Folder
from twinsight.data.samples import Dataset
from twinsight.data.shapes import Shapes
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Evaluate, Pretrain
from twinsight.options.data import ClassFolderOptions, FolderOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.probes.attention.scores import AttentionScores
from twinsight.probes.embeddings.knn import knn_predictions
from twinsight.probes.embeddings.neighbors import embed
from twinsight.probes.images import mask_to_tensor, to_tensor
from twinsight.probes.patches.linear import patch_linear
from twinsight.probes.patches.neighbors import patch_knn
from twinsight.runs.rows import read_rows

COLORS = {"blue": (0, 0, 250), "green": (0, 250, 0), "red": (250, 0, 0)}
CPU = torch.device("cpu")


def pretraining(run: Path, **changes) -> Pretrain:
    given = {
        "epochs": 1, "batch_size": 4, "workers": 0, "precision": "fp32", "warmup_epochs": 0, "log_every": 1,
        "method": BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
        "backbone": TimmOptions(name="test_vit"), "data": DATA, "probe": "none",
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> Path:
    return pretrain.run(pretraining(tmp_path_factory.mktemp("pretrain") / "run"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Photos in three colors under noise: 8 of each to learn, 4 to ask, in several sizes."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for name, color in COLORS.items():
            for i in range(count):
                file = root / split / name / f"{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                image = (np.array(color[::-1]) * 0.8 + rng.integers(0, 50, (40, 36 + 4 * (i % 2), 3))).astype(np.uint8)
                cv2.imwrite(str(file), image)
    return root


def judge(run: Path, probe: str, **changes):
    return evaluate.run(Evaluate(run=run, probe=probe, **{"workers": 0, "data": DATA} | changes))


def test_on_masks_each_judge_sees_whole_splits(pretrained):
    found = judge(pretrained, "attention,patches,linear")
    model = open_model(str(pretrained), TimmOptions(), "best", CPU).subjects["backbone"]
    fresh = open_model(f"random:{pretrained}", TimmOptions(), "best", CPU).subjects["backbone"]
    pairs = []
    for role in ("train", "val"):
        samples = list(DATA.open(role))
        images = [to_tensor(sample.image) for sample in samples]
        pairs.append((images, [mask_to_tensor(sample.mask, image) for sample, image in zip(samples, images)]))
    classes = DATA.open("val").classes
    numbers = AttentionScores(classes, untrained=fresh)(model, *pairs[1]).numbers
    assert {key: found["attention"][key] for key in numbers} == pytest.approx(numbers, nan_ok=True)
    assert [row["class"] for row in found["attention"]["classes"]] == list(classes)
    assert {"model", "untrained", "random", "center"} <= set(found["attention"]["classes"][0])
    for name, network in (("model", model), ("untrained", fresh)):
        by_patches = patch_knn(network, *pairs[0], *pairs[1], classes=8)
        assert found["patches"][name] == pytest.approx(by_patches.found.scalars(), nan_ok=True)
        assert found["patches"]["ceiling"] == pytest.approx(by_patches.ceiling.scalars(), nan_ok=True)
        by_layer, strength = patch_linear(network, *pairs[0], *pairs[1], classes=8)
        assert found["linear"][name] == pytest.approx(by_layer.scalars(), nan_ok=True)
        assert found["linear"]["strength"][name] == strength


def test_on_class_folders(pretrained, photos):
    found = judge(pretrained, "knn,linear", data=ClassFolderOptions(root=photos))
    model = open_model(str(pretrained), TimmOptions(), "best", CPU).subjects["backbone"]
    vectors, labels = [], []
    for split in ("train", "val"):
        data = ClassFolder(photos, split)
        images = [to_tensor(sample.image) for sample in data]
        squares = [image[:, 2:38] if image.shape[2] == 36 else image for image in images]
        vectors.append(embed(model, squares))
        labels.append(torch.tensor(data.targets))
    voted = knn_predictions(vectors[0], labels[0], vectors[1], 3, (10, 20))
    assert set(found["knn"]["model"]) == {"k10", "k20"}
    for k, row in zip((10, 20), voted):
        assert found["knn"]["model"][f"k{k}"] == pytest.approx((row == labels[1]).float().mean().item())
    assert found["knn"]["majority_share"] == pytest.approx(1 / 3)
    assert found["linear"]["model"]["top1"] > 0.6  # colors are easy
    assert found["linear"]["model"]["top5"] == 1  # of three
    assert [(row["class"], row["images"]) for row in found["linear"]["classes"]] == [(name, 4) for name in COLORS]


def run_main(capfd, *argv) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", *map(str, argv)])
    captured = capfd.readouterr()
    return exit_.value.code, captured.out, captured.err


def test_command_line_takes_the_runs_data_and_writes_json(pretrained, tmp_path, capfd):
    json_file = tmp_path / "numbers.json"
    code, out, err = run_main(capfd, pretrained, "--probe", "patches", "--workers", 0, "--json", json_file)
    assert code == 0, err
    assert "mean IoU" in out
    assert "ceiling" in out
    assert max(map(len, out.splitlines())) <= 80
    numbers = json.loads(json_file.read_text())
    assert set(numbers) == {"measured", "patches"}
    assert numbers["measured"]["val"]["split"] == "val"
    assert 0 < numbers["patches"]["model"]["mean_iou"] < numbers["patches"]["ceiling"]["mean_iou"]


def test_random_before_a_run_is_its_untrained_network(pretrained, capfd):
    code, out, err = run_main(capfd, f"random:{pretrained}", "--probe", "patches", "--workers", 0)
    assert code == 0, err
    mean = next(line for line in out.splitlines() if "mean IoU" in line).split("│")
    assert mean[2].strip() == mean[3].strip()


def test_a_segmenters_backbone(segmenter_run, capfd):
    code, out, err = run_main(capfd, segmenter_run, "--probe", "linear", "--workers", 0)
    assert code == 0, err
    assert "mean IoU" in out


def test_a_pretraining_without_probe_is_told_of_it(pretrained, capfd):
    code, out, err = run_main(capfd, pretrained)
    assert code == 2
    assert "--probe" in err
    assert "Traceback" not in err
    assert not out


def test_what_cannot_be_judged(pretrained, photos, segmenter_run):
    with pytest.raises(UserError, match="--probe atention: does not score a backbone; did you mean attention"):
        judge(pretrained, "patches,atention")
    with pytest.raises(
        UserError, match=r"--probe knn: requires a folder of images per class; .* attention or patches or linear"
    ):
        judge(pretrained, "knn")
    with pytest.raises(UserError, match="--probe patches: requires data with masks"):
        judge(pretrained, "linear,patches", data=ClassFolderOptions(root=photos))
    with pytest.raises(UserError, match="this data set has no masks"):
        judge(pretrained, "patches", data=FolderOptions(root=photos))
    with pytest.raises(UserError, match="leave out --window"):
        judge(pretrained, "patches", flip=True)
    with pytest.raises(UserError, match="twinsight look erf"):
        judge(segmenter_run, "attention")
    with pytest.raises(UserError, match="not a run directory, a file"):
        judge(Path("nowhere"), "patches")


def test_judges_while_training(tmp_path):
    options = pretraining(tmp_path / "run", probe="knn@1:16,linear@1:16,patches@1:4,scores@1:4", probe_budget=1.0)
    last = read_rows(pretrain.run(options) / "metrics.csv")[-1]
    for column in ("knn/k10/accuracy", "linear/accuracy", "patches/mean_iou", "scores/best_head_jaccard"):
        assert 0 <= last[f"probe/{column}"] <= 1


def subjects(name: str = "test_resnet"):
    from twinsight.backbones.backbone import Backbone

    network = Backbone(name)
    return {"backbone": network, "network": network, "method": network}


def probing(spec: str, data: Dataset, name: str = "test_resnet"):
    modules = subjects(name)
    return make_probing(plan_looks(spec, modules, data), modules, data, data, None, 0.05)


def test_labels_of_a_class_folder_reach_the_probes(photos):
    watching = probing("knn:24,linear:24", ClassFolder(photos))
    for one in watching[0].scheduled:
        assert one.probe.labels == ["blue"] * 8 + ["green"] * 8 + ["red"] * 8


def test_without_labels_or_masks_a_training_is_not_begun(photos):
    plain = Folder(photos)
    for name in ("knn", "linear"):
        with pytest.raises(UserError, match=f"--probe {name}: needs labels or masks"):
            probing(name, plain)
    with pytest.raises(UserError, match="--probe patches: needs masks"):
        probing("patches@5", ClassFolder(photos))
    with pytest.raises(UserError, match="--probe scores: needs masks"):
        probing("scores@5", ClassFolder(photos), "test_vit")
    assert probing("knn,patches", Shapes(count=20, size=32))


def test_data_check_reads_both_splits_of_a_class_folder(photos, capfd):
    with pytest.raises(SystemExit) as exit_:
        main(["data", "check", "--data", "class-folder", "--data.root", str(photos)])
    assert exit_.value.code == 0
    out, err = capfd.readouterr()
    assert f"data check: data class-folder {photos}, 3 classes, 24 train, 12 val, as the folders say" in err
    assert [line for line in out.splitlines() if line in ("train", "val")] == ["train", "val"]
    assert "3 classes, of 8 to 8 images" in out
    assert "3 classes, of 4 to 4 images" in out
