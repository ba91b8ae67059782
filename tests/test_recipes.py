"""Every recipe, on a miniature data set in VOC layout that stands in for the one it names.

Where a recipe wants a folder per class, the folders of images and of masks are two.
"""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from torchvision.models.segmentation import deeplabv3_resnet50, fcn_resnet50

from twinsight.assemble.open import make_backbone, make_model
from twinsight.assemble.training import make_optimization
from twinsight.backbones.backbone import Backbone
from twinsight.backbones.weights import save_backbone
from twinsight.cli import main
from twinsight.options.build import build
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.parse import parse
from twinsight.options.segment import Start
from twinsight.runs.rows import read_rows

RECIPES = sorted(Path(__file__).parents[1].glob("recipes/*.yaml"))
COMMANDS = {"pretrain": Pretrain, "segment": Segment}
TORCHVISION = {"voc-segment-deeplabv3": deeplabv3_resnet50, "voc-segment-fcn": fcn_resnet50}
SMALL = {
    "barlow-twins": "--method.views.size 32 --method.projector 64 64",
    "vicreg": "--method.views.size 32 --method.projector 64 64",
    "simclr": "--method.views.size 32 --method.projector 64 64",
    "lejepa": "--method.views.size 32 --method.projector 64 64 --method.slices 16",
    "moco-v3": "--method.views.size 32 --method.projector 64 64 --method.hidden 64",
    "byol": "--method.views.size 32 --method.hidden 64 --method.dim 64",
    "simsiam": "--method.views.size 32 --method.dim 64 --method.hidden 16",
    "swav": "--method.views.size 32 --method.views.local-size 16 --method.prototypes 16",
    "dino": "--method.views.size 32 --method.views.local-size 16 --method.prototypes 64",
    "mae": "--method.views.size 32 --method.decoder-width 16",
    "ibot": "--method.views.size 32 --method.views.local-size 16 --method.prototypes 64",
    "dinov2": "--method.views.size 32 --method.views.local-size 16 --method.prototypes 64",
    "distill": "--method.views.size 32",
    "supervised": "--method.views.size 32",
    "arcface": "--method.views.size 32",
    None: "--augment.size 32",
}


def command(recipe):
    return yaml.safe_load(recipe.read_text())["command"]


def method(recipe):
    """Its name; None where a recipe is for another command."""
    return yaml.safe_load(recipe.read_text()).get("method", {}).get("name")


def needed(recipe, folder):
    """Options for what a recipe names and is not here: a part of many images, a network to learn from."""
    options = ["--data.fraction", "1"] if "fraction" in yaml.safe_load(recipe.read_text())["data"] else []
    if method(recipe) == "distill":
        file = folder / "teacher.safetensors"
        save_backbone(Backbone("test_vit"), file)
        options += ["--method.teacher", file]
    return options


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def write_dataset(root, images):
    """Noise in VOC layout, of 21 classes: `images` to train on and two to validate on."""
    rng = np.random.default_rng(0)
    for folder in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"class {i}\n" for i in range(21)))
    for i in range(images + 2):
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).save(root / f"JPEGImages/{i}.png")
        Image.fromarray(rng.integers(0, 21, (24, 32), np.uint8)).save(root / f"SegmentationClass/{i}.png")
    for split, numbers in (("train", range(images)), ("val", range(images, images + 2))):
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("".join(f"{i}\n" for i in numbers))
    return root


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """As many images as the largest batch of a recipe."""
    return write_dataset(tmp_path_factory.mktemp("voc"), 256)


def call(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


def test_the_recipes_that_are_promised():
    names = [recipe.stem for recipe in RECIPES]
    for backbone in ("resnet50", "vit-small", "vit-pytorch", "swin-tiny"):
        assert f"voc-pretrain-{backbone}" in names
    for data in ("folder", "voc", "coco-stuff"):
        for patch in (8, 16):
            assert f"{data}-pretrain-dino-vit-small-{patch}" in names
    for head in ("linear", "setr-naive", "setr-pup", "setr-mla", "deeplabv3", "fcn", "unet"):
        assert f"voc-segment-{head}" in names


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_header_gives_command_time_and_score(recipe):
    header = recipe.read_text().split("\ncommand:")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    assert f"twinsight {command(recipe)} --config recipes/{recipe.name}" in header
    assert "One step of 224 px, batch 4, took" in header
    assert "Expected score" in header


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_dry_run(recipe, dataset, capsys):
    """With small images and a small head: the estimate runs the network."""
    kind = command(recipe)
    options = ["--config", recipe, "--data.root", dataset, "--dry-run", *SMALL[method(recipe)].split()]
    options += needed(recipe, dataset)
    assert call(kind, *options) == 0
    printed = capsys.readouterr().out
    for word in ("backbone", "data", "parameters", "step", "memory"):
        assert word in printed


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_builds_at_full_size(recipe):
    kind = command(recipe)
    options = parse(COMMANDS[kind], kind, ["--config", str(recipe)])
    with torch.device("meta"):
        if kind == "pretrain":
            known = {"classes": 10, "teacher": Backbone("test_vit")}
            model = build(
                options.method,
                make_backbone(options.backbone, None),
                **{name: known[name] for name in options.method.given},
            )
        else:
            options, _ = options.settled(Start(images=1000, pretrained=True, transformer=True))
            model = make_model(options, 21)
    assert not make_optimization(options).warmup >= 1
    if recipe.stem in TORCHVISION:
        with torch.device("meta"):
            reference = TORCHVISION[recipe.stem](
                weights_backbone=None, num_classes=21, aux_loss=bool(options.aux_weight)
            )
        assert count(model) == count(reference)
    if recipe.stem == "voc-pretrain-resnet50":
        projector = 2048 * 8192 + 2 * 8192**2 + 4 * 8192
        assert count(model) == 23_508_032 + projector  # torchvision's ResNet-50 without its classifier


@pytest.mark.parametrize("recipe", [r for r in RECIPES if method(r) == "dino"], ids=lambda recipe: recipe.stem)
def test_dino_has_the_pixels_of_its_code(recipe):
    """Which normalizes by ImageNet's mean and deviation, whatever timm's default weights of a name want."""
    name = parse(Pretrain, "pretrain", ["--config", str(recipe)]).backbone.name
    if name != "vit-pytorch":
        config = timm.get_pretrained_cfg(name)
        assert (config.mean, config.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_one_full_size_step(recipe, tmp_path):
    data = write_dataset(tmp_path / "data", 4)
    size = {"pretrain": "--method.views.size", "segment": "--augment.size"}
    kind = command(recipe)
    run = tmp_path / "run"
    options = ["--config", recipe, "--run", run, "--data.root", data, size[kind], 224, *needed(recipe, tmp_path)]
    assert (
        call(
            kind,
            *options,
            "--batch-size",
            4,
            "--epochs",
            1,
            "--warmup-epochs",
            0,
            "--val-every",
            1,
            "--accelerator",
            "cpu",
        )
        == 0
    )
    losses = [row["train/loss"] for row in read_rows(run / "metrics.csv") if "train/loss" in row]
    assert len(losses) == 1
    assert np.isfinite(losses[0])
