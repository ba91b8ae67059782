import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.segmentation import deeplabv3_resnet50

from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.heads.deeplab import DeepLabV3
from twinsight.heads.fcn import Fcn
from twinsight.heads.linear import Linear
from twinsight.segmentation.classes import load_classes, save_classes
from twinsight.segmentation.model import SegmentationModel


@torch.no_grad()
def test_deeplabv3_resnet50_equals_torchvisions():
    torch.manual_seed(0)
    original = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True).eval()
    for module in original.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    backbone = Backbone("resnet50", output_stride=8)
    shape = (backbone.dims, backbone.strides, 21)
    model = SegmentationModel(backbone, DeepLabV3(*shape), Fcn(*shape, level=-2)).eval()
    model.backbone.network.load_state_dict(original.backbone.state_dict())
    weights = {name: value for name, value in original.state_dict().items() if name.startswith("classifier.")}
    model.head.load_state_dict(weights)
    theirs = list(original.aux_classifier.state_dict().values())
    model.aux.load_state_dict(dict(zip(model.aux.state_dict(), theirs, strict=True)))

    images = torch.rand(2, 3, 65, 97)
    expected = original(backbone.normalize(images))
    logits, auxiliary = model.every_logits(images, [model.head, model.aux])
    torch.testing.assert_close(logits, expected["out"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(auxiliary, expected["aux"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model(images), logits)


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return Backbone(
        "vit-pytorch", image_size=16, patch_size=8, dim=8, depth=3, heads=1, mlp_dim=8
    ).eval()  # fmt: skip


@torch.no_grad()
def test_logits_have_the_images_own_size(vit):
    model = SegmentationModel(vit, Linear(vit.dims, vit.strides, 5)).eval()
    images = torch.randint(0, 256, (2, 3, 21, 35), dtype=torch.uint8)
    logits = model(images)
    assert logits.shape == (2, 5, 21, 35)
    torch.testing.assert_close(logits, model(images.float() / 255))


@torch.no_grad()
def test_padding_is_cropped_not_squeezed(vit):
    """Images that their padding completes have the logits of the completed images, cropped."""
    model = SegmentationModel(vit, Linear(vit.dims, vit.strides, 5)).eval()
    images = torch.rand(1, 3, 21, 35)
    whole = vit.mean.expand(1, 3, 24, 40).clone()
    whole[..., :21, :35] = images
    torch.testing.assert_close(model(images), model(whole)[..., :21, :35], atol=1e-5, rtol=1e-5)


class Level(nn.Module):
    """The first channel of one level, as logits."""

    def __init__(self, level):
        super().__init__()
        self.levels = (level,)

    def forward(self, features):
        (only,) = features.maps
        return only[:, :1]


@torch.no_grad()
def test_each_head_gets_its_own_levels(vit):
    heads = [Level(2), Level(0), Level(1)]
    model = SegmentationModel(vit, heads[0])
    images = torch.rand(1, 3, 16, 16)
    for head, logits in zip(heads, model.every_logits(images, heads)):
        assert torch.equal(logits, model.every_logits(images, [head])[0])
    assert not torch.equal(*model.every_logits(images, heads[:2]))


class Looking(nn.Module):
    """Keeps the features that it gets."""

    levels = (2,)

    def __init__(self, *attention):
        super().__init__()
        self.attention = attention

    def forward(self, features):
        self.features = features
        return features.maps[0][:, :1]


@torch.no_grad()
def test_a_head_gets_the_attention_of_its_blocks_from_the_same_pass(vit):
    head = Looking((2, 0), "auto")
    model = SegmentationModel(vit, head)
    passes = []
    hook = vit.network.vit.to_patch_embedding.register_forward_pre_hook(lambda *_: passes.append(1))
    images = torch.rand(2, 3, 21, 35)
    model.every_logits(images, [head, Linear(vit.dims, vit.strides, 5)])
    hook.remove()
    assert len(passes) == 1
    for found, expected in zip(head.features.attention, attention_maps(vit, images, (2, 0)).maps, strict=True):
        assert found.shape == (2, 1, 3, 5)
        assert torch.equal(found, expected)


@torch.no_grad()
def test_heads_without_attention_get_none(vit):
    class Blind(Level):
        def forward(self, features):
            assert len(features.attention) == 0
            return super().forward(features)

    SegmentationModel(vit, Blind(0))(torch.rand(1, 3, 16, 16))


def test_the_first_look_changes_no_mode(vit):
    for mode in (True, False):
        head, before = Looking((0,), "patches").train(mode), vit.training
        model = SegmentationModel(vit.train(mode), head)
        assert (model.training, vit.training, head.training) == (True, mode, mode)
        vit.train(before)
    assert head.features.attention[0].shape == (1, 1, 4, 2, 2)
    assert not head.features.attention[0].requires_grad


@pytest.mark.parametrize(
    ("name", "blocks", "message"),
    [
        ("test_resnet", (-1,), "--backbone test_resnet: has no attention to record; choose .* --head setr-pup$"),
        ("test_vit", (0, 6), "--head.blocks 6: test_vit has 6 blocks with attention, 0 to 5; .* --head setr-pup$"),
    ],
)
def test_attention_that_is_not_there_is_refused_at_once(name, blocks, message):
    backbone = Backbone(name)
    with pytest.raises(UserError, match=message):
        SegmentationModel(backbone, Looking(blocks, "auto"))
    assert backbone.training


def test_classes_on_disk(tmp_path):
    palette = np.array([[0, 0, 0], [255, 1, 2]], np.uint8)
    save_classes(tmp_path / "classes.json", ("ground", "été"), palette)
    classes, found = load_classes(tmp_path / "classes.json")
    assert classes == ("ground", "été")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, palette)
