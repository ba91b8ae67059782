"""--match-parameters: heads of equal size."""

from dataclasses import replace

import pytest
import torch
import yaml
from segmenting_runs import segment_options

from twinsight.assemble.matching_size import matched
from twinsight.assemble.open import load_segmenter, make_model
from twinsight.commands import segment
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions, VitPytorchOptions
from twinsight.options.heads import HEADS, LinearOptions, SegFormerOptions, SetrPupOptions

BACKBONES = {
    "resnet18": TimmOptions(name="resnet18"),
    "swin": TimmOptions(name="swin_tiny_patch4_window7_224"),
    "vit": VitPytorchOptions(image_size=64, patch_size=16, dim=192, depth=4, heads=3, mlp_dim=256),
}
WITH_WIDTH = [name for name, options in HEADS.items() if hasattr(options(), "channels")]


def parameters(head):
    return sum(parameter.numel() for parameter in head.parameters())


def sketch(options, classes=7):
    with torch.device("meta"):
        return make_model(options, classes, empty=True)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_head_with_a_width_comes_within_a_percent(backbone, capfd):
    options = segment_options(None, backbone=BACKBONES[backbone], match_parameters=8e6)
    network = sketch(options).backbone
    for name in WITH_WIDTH:
        if backbone != "vit" and name.startswith("fusion"):  # a ResNet has no attention, and a Swin takes long to ask
            continue
        found = matched(replace(options, head=HEADS[name]()), network, 7)
        count = parameters(sketch(found).head)
        assert count == pytest.approx(8e6, rel=0.01), name
        assert f"{name} has channels" in capfd.readouterr().err
        assert found.match_parameters is None


def test_the_nearest_width_is_taken_and_proportions_are_kept():
    options = segment_options(None, head=HEADS["unet"](), match_parameters=20_000.0)
    network = sketch(options).backbone
    chosen = matched(options, network, 7)
    first, *_, last = chosen.head.channels
    assert last == max(1, round(first / 8))
    pup = replace(options, head=SetrPupOptions())
    width = matched(pup, network, 7).head.channels
    off = {
        w: abs(parameters(sketch(replace(pup, head=SetrPupOptions(channels=w))).head) - 20_000) for w in range(2, 99)
    }
    assert off[width] == min(off.values())


def test_a_run_is_matched_kept_resumed_and_opened(tmp_path, capfd):
    first = segment.run(segment_options(tmp_path / "first", head=SegFormerOptions(channels=24)))
    second = segment.run(segment_options(tmp_path / "second", head=SetrPupOptions(), match_parameters=first))
    assert f"of {first}" in capfd.readouterr().err
    kept = yaml.safe_load((second / "config.yaml").read_text())
    assert kept["match_parameters"] is None
    sizes = [parameters(load_segmenter(run, "best", torch.device("cpu"))[0].head) for run in (first, second)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    again = segment_options(None, head=SetrPupOptions(channels=kept["head"]["channels"]), resume=second, epochs=2)
    assert segment.run(again) == second


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": LinearOptions(), "match_parameters": 2e6}, "--head linear has no width to choose"),
        ({"head": SetrPupOptions(channels=9), "match_parameters": 2e6}, "--head.channels: cannot be combined"),
        (
            {"head": SetrPupOptions(), "match_parameters": "nowhere"},
            "nowhere: is neither a number, nor a head, nor a run",
        ),
        ({"head": SetrPupOptions(), "match_parameters": 20.0}, "comes no nearer to 20 parameters than by channels 2"),
    ],
)
def test_what_cannot_be_matched_is_refused_before_anything_is_written(changes, words, tmp_path):
    if isinstance(changes["match_parameters"], str):
        changes = changes | {"match_parameters": tmp_path / changes["match_parameters"]}
    with pytest.raises(UserError, match=words):
        segment.run(segment_options(tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()
