import pytest
import torch
import torch.nn.functional as F

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.weights import load_backbone, save_backbone
from twinsight.backbones.without_us import loading_lines
from twinsight.errors import UserError


@torch.no_grad()
def test_the_first_stage_sees_every_pixel():
    backbone = Backbone("resnet18", small_stem=True).eval()
    assert backbone.strides == (1, 1, 2, 4, 8)
    images = torch.rand(2, 3, 33, 47)
    maps = backbone.features(images, range(5)).maps
    assert [tuple(m.shape[2:]) for m in maps] == [(33, 47), (33, 47), (17, 24), (9, 12), (5, 6)]
    network = backbone.network
    stem = F.conv2d(backbone.normalize(images), network.conv1.weight, padding=1)
    torch.testing.assert_close(maps[0], network.bn1(stem).relu())
    torch.testing.assert_close(maps[1], network.layer1(maps[0]))


def test_as_many_parameters_as_the_cifar_resnet():
    """11,173,962 with a classifier of 10 classes, in the usual ResNet-18 for CIFAR-10."""
    backbone = Backbone("resnet18", small_stem=True)
    assert sum(p.numel() for p in backbone.parameters()) + 512 * 10 + 10 == 11_173_962


def test_saved_and_loaded(tmp_path):
    saved, other = (Backbone("resnet18", small_stem=True) for _ in range(2))
    save_backbone(saved, tmp_path / "backbone.safetensors")
    load_backbone(other, tmp_path / "backbone.safetensors")
    assert torch.equal(saved.network.conv1.weight, other.network.conv1.weight)
    with pytest.raises(UserError, match="not weights of resnet18"):
        load_backbone(Backbone("resnet18"), tmp_path / "backbone.safetensors")
    assert not loading_lines(tmp_path / "backbone.safetensors")


@pytest.mark.parametrize("name", ["test_vit", "resnet10t", "mobilenetv3_small_050"])
def test_other_networks_are_refused(name):
    with pytest.raises(
        UserError, match=f"^--backbone.small-stem: {name} has no stem of one convolution and a pooling; "
    ):
        Backbone(name, small_stem=True)


def test_pretrained_weights_are_refused():
    with pytest.raises(UserError, match=r"leave out --backbone\.pretrained"):
        Backbone("resnet18", pretrained=True, small_stem=True)
