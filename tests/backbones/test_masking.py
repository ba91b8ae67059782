"""Plain vision transformers on some of their patches, or with a token in place of some."""

import pytest
import torch

from twinsight.assemble.checks import check_pretrain
from twinsight.backbones.backbone import Backbone
from twinsight.backbones.masking import check_patches, has_patches, patch_grid, random_patches, take
from twinsight.backbones.timm_names import PLAIN, class_of
from twinsight.errors import UserError
from twinsight.options.commands import Pretrain
from twinsight.options.parse import parse

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 2}
VIT_PYTORCH = {"image_size": 32, "patch_size": 8, "dim": 24, "depth": 2, "heads": 2, "mlp_dim": 32, "dim_head": 12}
PLAIN_VITS = {
    "test_vit": {},
    "vit_small_patch14_reg4_dinov2": SMALL | {"img_size": 56},  # registers without positions
    "deit_tiny_distilled_patch16_224": SMALL,
    "vit_tiny_patch16_224": SMALL | {"positions": "dino"},
    "vit_small_patch16_dinov3": SMALL,  # rotary positions, registers, pooled over patches
    "eva02_tiny_patch14_224": SMALL,  # both kinds of positions
    "vit_small_patch16_rope_mixed_224": SMALL,  # rotary positions of their own in each block
    "vit-pytorch": VIT_PYTORCH,
}


@pytest.fixture(params=PLAIN_VITS)
def backbone(request):
    torch.manual_seed(0)
    backbone = Backbone(request.param, **PLAIN_VITS[request.param]).double().eval()
    with torch.no_grad():  # some begin with blocks that hardly change their input
        for parameter in backbone.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return backbone


def images(height=45, width=70):
    return torch.rand(3, 3, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_unmasked_tokens_are_the_features(backbone):
    """On odd sizes, which are padded."""
    found, expected = backbone.tokens(images()), backbone.features(images(), [-1])
    assert torch.equal(found.embedding, expected.embedding)
    assert torch.equal(found.patches.mT.unflatten(2, patch_grid(images(), backbone.strides[-1])), expected.maps[0])
    assert found.prefix.shape[1] == backbone.prefix_tokens
    every = torch.arange(found.patches.shape[1]).expand(3, -1)
    torch.testing.assert_close(backbone.tokens(images(), keep=every).patches, found.patches)
    none = torch.zeros_like(every, dtype=torch.bool)
    assert torch.equal(backbone.tokens(images(), mask=none, mask_token=torch.ones(backbone.dim)).patches, found.patches)


def test_kept_patches_do_not_see_the_others(backbone):
    """The same whatever the pixels of dropped patches, in any order; and other than with all patches."""
    rows, columns = patch_grid(images(), backbone.strides[-1])
    side = backbone.strides[-1]
    keep = torch.tensor([[1, columns, rows * columns - 1], [columns + 1, 0, 2], [3, 1, columns]])
    changed = images()
    for i, kept in enumerate(keep.tolist()):
        for patch in set(range(rows * columns)) - set(kept):
            y, x = (side * place for place in divmod(patch, columns))
            changed[i, :, y : y + side, x : x + side] = 0.3
    one, other = backbone.tokens(images(), keep=keep), backbone.tokens(changed, keep=keep)
    torch.testing.assert_close(one.embedding, other.embedding)
    torch.testing.assert_close(one.patches, other.patches)
    torch.testing.assert_close(backbone.tokens(images(), keep=keep.flip(1)).patches, one.patches.flip(1))
    assert not torch.allclose(one.patches, take(backbone.tokens(images()).patches, keep))


def test_kept_tokens_are_those_of_the_blocks_by_hand():
    torch.manual_seed(0)
    vit = Backbone("test_vit").double().eval()
    network, keep = vit.network, torch.tensor([[3, 0], [1, 2], [5, 3]])
    tokens = network._pos_embed(network.patch_embed(vit.normalize(images(32, 48))))
    tokens = torch.stack([each[[0, *(1 + kept).tolist()]] for each, kept in zip(tokens, keep)])
    for block in network.blocks:
        tokens = block(tokens)
    tokens = network.norm(tokens)
    found = vit.tokens(images(32, 48), keep=keep)
    torch.testing.assert_close(torch.cat([found.prefix, found.patches], 1), tokens)
    torch.testing.assert_close(found.embedding, tokens[:, 0])


def test_a_masked_patch_is_the_token_at_its_place(backbone):
    """As an image whose patch embeds to the token: its pixels do not count, its place does."""
    rows, columns = patch_grid(images(), backbone.strides[-1])
    side, token = backbone.strides[-1], torch.randn(backbone.dim, dtype=torch.float64, requires_grad=True)
    mask = torch.zeros(3, rows * columns, dtype=torch.bool)
    mask[:, columns + 1] = True
    changed = images()
    changed[:, :, side : 2 * side, side : 2 * side] = 0.3
    one, other = (backbone.tokens(each, mask=mask, mask_token=token) for each in (images(), changed))
    torch.testing.assert_close(one.patches, other.patches)
    elsewhere = backbone.tokens(images(), mask=mask.roll(1, 1), mask_token=token)
    assert not torch.allclose(one.embedding, elsewhere.embedding)
    one.patches.square().sum().backward()
    assert token.grad.abs().sum() > 0
    assert torch.equal(backbone.tokens(images()).embedding, backbone(images()))  # nothing is left behind


def test_random_patches():
    torch.manual_seed(0)
    drawn = random_patches(400, 9, 4, torch.device("cpu"))
    assert drawn.shape == (400, 4)
    assert all(len(set(each)) == 4 for each in drawn.tolist())
    shares = torch.bincount(drawn.flatten(), minlength=9) / 400
    assert (shares - 4 / 9).abs().max() < 0.1


@pytest.mark.parametrize(
    "name", ["test_resnet", "swin_tiny_patch4_window7_224", "test_convnext", "vit_relpos_small_patch16_224"]
)
def test_other_networks_are_refused_before_pytorch_is_loaded(name):
    said = f"--method mae: needs a plain vision transformer, but {name} has no patches to mask"
    with pytest.raises(UserError, match=said):
        check_pretrain(parse(Pretrain, "pretrain", ["--method", "mae", "--backbone", name]))
    with torch.device("meta"):
        backbone = Backbone(name)
    assert not has_patches(backbone.network)
    with pytest.raises(UserError, match=said):
        check_patches("mae", backbone.network, name)


def test_names_tell_the_class():
    assert class_of("vit_small_patch16_224.dino") == "VisionTransformer"
    assert class_of("vit_small_patch16_dinov3") == "Eva"
    assert class_of("resnet50") == "ResNet"
    assert class_of("no_such_model") is None in PLAIN
