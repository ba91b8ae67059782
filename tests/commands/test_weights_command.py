import pytest
import safetensors.torch
import timm
import torch
import torchvision

from twinsight.assemble.open import make_backbone
from twinsight.backbones.backbone import Backbone
from twinsight.backbones.hub import official
from twinsight.backbones.weights import save_backbone
from twinsight.cli import main
from twinsight.commands import weights
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Weights


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A ResNet-18 as torchvision writes it, with 10 classes."""
    file = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("resnet18", num_classes=10).state_dict(), file)
    return file


def lines(capfd) -> dict[str, str]:
    return {line[:12].strip(): line[12:].strip() for line in capfd.readouterr().out.splitlines()}


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as exit:
        main(["weights", *argv])
    return int(exit.value.code or 0)


def test_what_a_file_is(classifier, capfd):
    assert call(str(classifier)) == 0
    out = lines(capfd)
    assert out["layout"] == "ResNet, as torchvision and timm name it"
    assert out["network"] == "122 tensors, 11.18 M parameters"
    assert out["backbone"].startswith("resnet18, which normalizes pixels by the mean 0.485")
    assert out["matches"] == "100.0 % of its 11.18 M parameters"
    share = 100 * 5130 / (11_176_512 + 5130)
    assert out["left out"] == (
        f"fc (classifier): 2 tensors, {share:.1f} % of the parameters of the file: fc.weight, fc.bias"
    )
    assert out["verdict"] == f"loads with --backbone resnet18 --weights {classifier}"


def test_another_backbone(classifier, capfd):
    found = weights.run(Weights(file=classifier, backbone="resnet34"))
    out = lines(capfd)
    assert found is not None
    assert found.share == pytest.approx(11_176_512 / 21_284_672)
    assert out["matches"] == "52.5 % of its 21.28 M parameters"
    lacks = len(Backbone("resnet34").network.state_dict()) - 120
    counters = 16  # which may be missing
    assert out["missing"].startswith(f"{lacks - counters} tensors, 47.5 % of the parameters of resnet34: layer1.2.")
    assert out["missing"].endswith(f"and {lacks - counters - 8} more")
    assert out["verdict"].startswith("refused: ")
    assert out["verdict"].endswith("give --backbone resnet18")


def test_our_own_files_say_what_they_are_of(tmp_path, capfd):
    backbone = Backbone("vit-pytorch", image_size=16, patch_size=8, dim=8, depth=1, heads=1, mlp_dim=8)
    save_backbone(backbone, tmp_path / "backbone.safetensors")
    found = weights.run(Weights(file=tmp_path / "backbone.safetensors"))
    assert found is not None
    assert found.problem is None
    assert lines(capfd)["backbone"].startswith("vit-pytorch")


@pytest.mark.parametrize(
    ("name", "options", "libraries"),
    [
        ("resnet18", {}, {"timm", "torchvision"}),
        ("resnet18", {"channels": (8, 8, 8, 8), "stem_width": 8}, {"timm"}),
        ("test_vit", {"positions": "dino"}, {"timm"}),
    ],
)
def test_the_lines_that_load_it_without_twinsight(tmp_path, capfd, name, options, libraries):
    backbone = Backbone(name, **options)
    file = tmp_path / "backbone.safetensors"
    save_backbone(backbone, file)
    weights.run(Weights(file=file))
    printed = capfd.readouterr().out.splitlines()
    for library in libraries:
        start = next(i for i, line in enumerate(printed) if line.startswith(f"{library} "))
        world = {"timm": timm, "torchvision": torchvision, "safetensors": safetensors}
        exec("\n".join(line[14:] for line in printed[start : start + 2]), world)
        images = torch.rand(1, 3, 160, 160)
        features = world["model"].eval()
        features.fc = torch.nn.Identity()
        assert torch.allclose(features(images), backbone.eval().network(images), atol=1e-5)
    assert {line.split()[0] for line in printed if " model = " in line} == libraries


def test_a_run_says_what_it_is_of(segmenter_run, capfd):
    found = weights.run(Weights(file=segmenter_run))
    out = lines(capfd)
    assert found is not None
    assert found.problem is None
    assert out["layout"] == "ResNet, as torchvision and timm name it, in a segmenter of twinsight"
    assert out["backbone"].startswith("test_resnet")
    assert out["left out"].startswith("head (decoder)")


def test_nothing_that_we_know(tmp_path, capfd):
    torch.save({"backbone.encoder.weight": torch.ones(2), "backbone_other": torch.ones(1)}, tmp_path / "odd.pth")
    assert weights.run(Weights(file=tmp_path / "odd.pth")) is None
    out = lines(capfd)
    names = "backbone.encoder.weight, backbone_other"
    assert out["verdict"] == f"no known network has these names and shapes ({names}); give --backbone"


def test_list(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    there = official()["dino_vitb8"].cached
    there.touch()
    assert weights.run(Weights()) is None
    out = capfd.readouterr().out.splitlines()
    assert len(out) == 2 * len(official())
    assert (
        out[1].strip() == "https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth"
    )
    assert "no published checksum" in out[0]
    assert [str(there) in line for line in out].count(True) == 1
    assert any(line.startswith("torchvision/resnet50.IMAGENET1K_V2") and "11ad3fa6" in line for line in out)


def test_no_such_file(capfd):
    assert call("dino_vits61") == 2
    assert "run directory or official weights" in capfd.readouterr().err


def test_training_says_what_it_leaves_out(classifier, capfd):
    make_backbone(TimmOptions(name="resnet18"), classifier)
    assert f"{classifier}: left out: fc (classifier), 2 tensors" in capfd.readouterr().err
    with pytest.raises(UserError, match="give --backbone resnet18"):
        make_backbone(TimmOptions(name="resnet34"), classifier)
