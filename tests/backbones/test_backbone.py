import pytest
import timm
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError

# name, options that keep the test small, levels, largest stride, class and register tokens
NETWORKS = [
    ("resnet18", {}, 5, 32, 0),
    ("resnet50", {"output_stride": 8}, 5, 8, 0),
    ("vit_tiny_patch16_224", {}, 12, 16, 1),
    ("vit_small_patch16_224", {"img_size": 64}, 12, 16, 1),
    ("vit_small_patch8_224", {"img_size": 64}, 12, 8, 1),
    ("deit_tiny_patch16_224", {}, 12, 16, 1),
    ("deit_tiny_distilled_patch16_224", {}, 12, 16, 2),
    ("vit_small_patch14_reg4_dinov2", {"img_size": 98}, 12, 14, 5),
    ("vit_small_patch16_dinov3", {"img_size": 64}, 12, 16, 5),
    ("swin_tiny_patch4_window7_224", {}, 4, 32, 0),
    ("convnext_tiny", {}, 4, 32, 0),
    ("mobilenetv3_small_050", {}, 5, 32, 0),
]


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: network[0])
def case(request):
    name, options, *facts = request.param
    torch.manual_seed(0)
    return Backbone(name, **options).eval(), options, facts


@torch.no_grad()
def test_embedding_is_the_original_models(case):
    backbone, options, _ = case
    original = timm.create_model(backbone.name, num_classes=0, **options).eval()
    original.load_state_dict(backbone.network.state_dict())
    config = original.pretrained_cfg
    side = options.get("img_size", 224)
    images = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8)
    pixels = (images / 255 - torch.tensor(config["mean"]).view(3, 1, 1)) / torch.tensor(config["std"]).view(3, 1, 1)
    for given in (images, images.contiguous(memory_format=torch.channels_last), images / 255):
        before = given.clone()
        normalized = backbone.normalize(given)
        torch.testing.assert_close(normalized, pixels, atol=2e-6, rtol=0)  # of values up to 2.6, in a few operations
        assert torch.equal(given, before)
        # Of the same pixels: deep networks make thirty times of a difference in the last digit.
        expected = original(normalized)
        assert expected.shape == (1, backbone.dim)
        torch.testing.assert_close(backbone(given), expected, atol=1e-6, rtol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (70, 99), (33, 97)])
def test_features_of_any_size(case, size):
    backbone, _, (levels, stride, prefix) = case
    assert len(backbone.dims) == len(backbone.strides) == levels
    assert (max(backbone.strides), backbone.prefix_tokens) == (stride, prefix)
    images = torch.rand(2, 3, *size)
    features = backbone.features(images, range(levels))
    torch.testing.assert_close(features.embedding, backbone(images))
    assert all(0 <= extent - side < stride for extent, side in zip(features.extent, size))
    for dim, stride, found in zip(backbone.dims, backbone.strides, features.maps):
        assert found.shape == (2, dim, -(-features.extent[0] // stride), -(-features.extent[1] // stride))
        assert found.isfinite().all()


@torch.no_grad()
def test_maps_come_in_the_order_asked_for(case):
    backbone, _, (levels, *_) = case
    images = torch.rand(1, 3, 64, 64)
    every = backbone.features(images, range(levels)).maps
    for order in ([-1], [levels - 1, 0, 2], [1, 1, -2]):
        for level, found in zip(order, backbone.features(images, order).maps):
            torch.testing.assert_close(found, every[level])


def test_freezing_the_first_blocks_drops_nothing_there(case):
    backbone, _, _ = case
    depth = backbone.layer_ids()
    assert set(depth.values()) == set(range(max(depth.values()) + 1))
    assert set(depth) == {name for name, _ in backbone.named_parameters()}
    backbone.freeze(2)
    try:
        assert {name for name, p in backbone.named_parameters() if not p.requires_grad} == {
            name for name, layer in depth.items() if layer <= 2
        }
    finally:
        backbone.requires_grad_(True)


@pytest.fixture
def resnet():
    torch.manual_seed(0)
    return Backbone("resnet18")


@pytest.fixture
def vit():
    torch.manual_seed(0)
    return Backbone("vit_tiny_patch16_224", drop_path_rate=0.5)


def trained(backbone):
    return {name.removeprefix("network.") for name, p in backbone.named_parameters() if p.requires_grad}


def begins(backbone, *prefixes):
    names = {name.removeprefix("network.") for name, _ in backbone.named_parameters()}
    return {name for name in names if name.startswith(prefixes)}


def test_freeze_names_exactly_the_stem_and_the_first_blocks(resnet, vit):
    resnet.freeze(3)
    frozen = begins(resnet, "conv1.", "bn1.", "layer1.", "layer2.0.")
    assert trained(resnet) == begins(resnet, "") - frozen
    vit.freeze(2)
    frozen = begins(vit, "cls_token", "pos_embed", "patch_embed.", "blocks.0.", "blocks.1.")
    assert trained(vit) == begins(vit, "") - frozen


def test_a_negative_number_leaves_the_last_blocks(resnet, vit):
    vit.freeze(-2)
    assert trained(vit) == begins(vit, "blocks.10.", "blocks.11.", "norm.")
    resnet.freeze(-1)
    assert trained(resnet) == begins(resnet, "layer4.1.")


def test_freeze_none_and_all(resnet):
    resnet.freeze(0)
    assert trained(resnet) == begins(resnet, "")
    resnet.freeze("all")
    assert not trained(resnet)
    assert not any(module.training for module in resnet.train().network.modules())


def test_frozen_batch_norms_keep_their_statistics(resnet):
    resnet.freeze(3)
    resnet.train()
    before = {name: value.clone() for name, value in resnet.network.named_buffers()}
    resnet(torch.rand(2, 3, 64, 64)).sum().backward()
    moved = {name for name, value in resnet.network.named_buffers() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if not name.startswith(("bn1.", "layer1.", "layer2.0."))}


def test_frozen_blocks_drop_nothing(vit):
    vit.freeze(2)
    vit.train()
    images = torch.rand(8, 3, 32, 32)
    first, second = (vit.features(images, [1, 11]).maps for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_train_still_reaches_what_is_not_frozen(vit):
    vit.freeze(2)
    vit.eval()
    vit.train()
    assert vit.network.blocks[2].training
    assert not any(module.training for module in vit.network.blocks[1].modules())


@pytest.mark.parametrize("blocks", [-8, 9])
def test_no_such_block(resnet, blocks):
    with pytest.raises(UserError, match=f"--freeze {blocks}: resnet18 has 8 blocks"):
        resnet.freeze(blocks)
    assert trained(resnet) == begins(resnet, "")


def test_uint8_and_float_images_are_the_same(resnet):
    images = torch.randint(0, 256, (2, 3, 20, 30), dtype=torch.uint8)
    torch.testing.assert_close(resnet.normalize(images), resnet.normalize(images.float() / 255))


def test_images_are_padded_right_and_below_with_the_mean_color(vit):
    pixels = vit.normalize(torch.rand(1, 3, 17, 30))
    assert pixels.shape == (1, 3, 32, 32)
    assert pixels[..., :17, :30].count_nonzero() == 3 * 17 * 30
    assert pixels.count_nonzero() == 3 * 17 * 30


def test_the_whole_backbone_learns(vit):
    vit.features(torch.rand(2, 3, 32, 32), [11]).maps[0].sum().backward()
    assert vit.network.patch_embed.proj.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet5O", {}, "did you mean .*resnet50"),
        ("vit_small_patch16", {}, "did you mean vit_small_patch16_"),
        ("!", {}, "no such model"),
        ("resnet18.no_such_tag", {}, "no_such_tag"),
        ("vit_tiny_patch16_224", {"output_stride": 8}, "no option output_stride"),
        ("resnet18", {"img_size": 64}, "no option img_size"),
        ("resnet18", {"output_stride": 7}, "timm cannot build it"),
    ],
)
def test_unknown_names_and_options(name, options, message):
    with pytest.raises(UserError, match=message):
        Backbone(name, **options)


def test_a_network_of_one_size_says_so():
    mixer = Backbone("mixer_s32_224").eval()
    for call in (mixer, lambda images: mixer.features(images, [0])):
        with pytest.raises(UserError, match=r"mixer_s32_224: cannot take images of 64x96 .* --backbone.img-size"):
            call(torch.rand(1, 3, 64, 90))
    assert Backbone("mixer_s32_224", img_size=64)(torch.rand(1, 3, 64, 64)).shape == (1, 512)


def test_other_errors_are_not_blamed_on_the_size(resnet):
    resnet.network.fc = nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        resnet(torch.rand(2, 3, 32, 32))
