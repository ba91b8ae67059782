"""Recorded attention against the same networks with their fused kernels off."""

import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import _get_current_function_mode_stack

from twinsight.backbones.attention import CHUNK, recording_attention
from twinsight.backbones.attention_calls import fused, seeing_attention
from twinsight.backbones.attention_maps import attention_maps, attention_rollout
from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError

TINY = {"depth": 2, "embed_dim": 32, "num_heads": 2}
VITS = {
    "vit_tiny_patch16_224": TINY,
    "deit_tiny_distilled_patch16_224": TINY,
    "vit_small_patch14_reg4_dinov2": TINY | {"img_size": 98},
    "vit_small_patch16_dinov3": TINY,
    "vit_base_patch16_siglip_224": TINY,
    "vit_medium_patch16_reg4_gap_256": TINY,
}
PREFIX = dict(zip(VITS, (1, 2, 5, 5, 0, 4)))
SHAPE = {"dim": 32, "mlp_dim": 32, "heads": 2, "dim_head": 16, "depth": 2}
SWIN = {"depths": (2, 2), "embed_dim": 16, "num_heads": (2, 4)}
SWINS = {
    "swin_tiny_patch4_window7_224": SWIN | {"window_size": 7},
    "swinv2_tiny_window8_256": SWIN | {"window_size": 5},
    "swinv2_cr_tiny_224": SWIN | {"img_size": 80, "window_size": 5},
}


def make(name: str, options: dict) -> Backbone:
    torch.manual_seed(0)
    backbone = Backbone(name, **options).eval()
    for parameter in backbone.parameters():  # of random networks attention is nearly uniform, and hides mistakes
        if parameter.ndim == 2:
            parameter.data *= 4
        elif parameter.ndim == 3:
            parameter.data.normal_()
    return backbone


@pytest.fixture(scope="module", params=VITS)
def vit(request):
    return make(request.param, VITS[request.param])


def unfused(backbone: Backbone, images: torch.Tensor) -> list[torch.Tensor]:
    """(B, heads, N, N) of each block, as timm writes attention out: what enters the dropout on it."""
    seen = []
    blocks = [m for m in backbone.network.blocks.modules() if hasattr(m, "attn_drop")]
    hooks = [m.attn_drop.register_forward_pre_hook(lambda _, args: seen.append(args[0])) for m in blocks]
    for module in blocks:
        module.fused_attn = False
    backbone(images)
    for module, hook in zip(blocks, hooks):
        module.fused_attn = True
        hook.remove()
    return seen


def traces(backbone: Backbone) -> int:
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in backbone.modules())
    return hooks + len(_get_current_function_mode_stack())


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (50, 99)])
def test_vit_equals_unfused(vit, size):
    prefix = PREFIX[vit.name]
    images = torch.rand(2, 3, *size)
    whole = unfused(vit, images)
    found = attention_maps(vit, images)
    patch = vit.strides[0]
    grid = (-(-size[0] // patch), -(-size[1] // patch))
    assert found.extent == (grid[0] * patch, grid[1] * patch) == vit.features(images, [-1]).extent
    assert found.blocks == [0, 1]
    assert len(whole) == 2
    auto = [a[:, :, 0] if prefix not in (0, 4) else a[:, :, prefix:].mean(2) for a in whole]
    for one, expected in zip(found.maps, auto):
        assert one.shape == (2, 2, *grid)
        assert one.dtype == torch.float32
        close(one, expected[..., prefix:].unflatten(-1, grid))
    assert found.maps[0].std() > 1e-3  # not uniform, or nothing would be compared
    mean = attention_maps(vit, images, (-1,), "mean").maps[0]
    close(mean, whole[1][:, :, prefix:, prefix:].mean(2).unflatten(-1, grid))
    x, y = 0.7, 0.9
    row, column = int(y * size[0] / patch), int(x * size[1] / patch)
    there = attention_maps(vit, images, (0,), at=(x, y)).maps[0]
    close(there, whole[0][:, :, prefix + row * grid[1] + column, prefix:].unflatten(-1, grid))


@torch.no_grad()
def test_vit_rollout_equals_the_product(vit):
    prefix = PREFIX[vit.name]
    images = torch.rand(2, 3, 40, 70)
    product = torch.eye(1, dtype=torch.float64)
    for attention in unfused(vit, images):
        mean = attention.double().mean(1)
        step = 0.5 * mean + 0.5 * torch.eye(mean.shape[1], dtype=torch.float64)
        product = step if product.numel() == 1 else step @ product
    torch.testing.assert_close(product.sum(2), torch.ones_like(product.sum(2)))
    grid = attention_maps(vit, images).maps[0].shape[2:]
    rows = product[:, 0] if prefix not in (0, 4) else product[:, prefix:].mean(1)
    close(attention_rollout(vit, images).double(), rows[:, prefix:].unflatten(1, grid))
    close(attention_rollout(vit, images, at=(0, 0)).double(), product[:, prefix, prefix:].unflatten(1, grid))


@torch.no_grad()
def test_rows_sum_to_one_with_prefix_and_output_is_bitwise_the_same(vit):
    images = torch.rand(2, 3, 50, 99)
    expected = vit(images)
    sums = []
    with seeing_attention(vit.network, lambda call: sums.append(call.rows(slice(1, 4)).sum(-1))):
        assert torch.equal(vit(images), expected)
    assert [s.shape for s in sums] == [(2, 2, 3)] * 2
    close(torch.stack(sums), torch.ones(2, 2, 2, 3))
    assert traces(vit) == 0


@torch.no_grad()
def test_vit_pytorch():
    backbone = make("vit-pytorch", {"image_size": 64, "patch_size": 16, **SHAPE})
    seen = []
    for attention, _ in backbone.network.vit.transformer.layers:
        attention.dropout.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    images = torch.rand(2, 3, 33, 64)
    backbone(images)
    expected = seen[:2]
    for one, whole in zip(attention_maps(backbone, images).maps, expected):
        assert torch.equal(one, whole[:, :, 0, 1:].unflatten(-1, (3, 4)))


def tokens_of_windows(block: nn.Module, h: int, w: int) -> torch.Tensor:
    """(windows, tokens of a window): the index of each in the image, by Swin's own cutting; -1: padding."""
    index = torch.arange(h * w).view(h, w).roll((-block.shift_size[0], -block.shift_size[1]), (0, 1))
    wh, ww = block.window_size
    index = F.pad(index, (0, -w % ww, 0, -h % wh), value=-1)
    return torch.stack([part.reshape(-1) for rows in index.split(wh, 0) for part in rows.split(ww, 1)])


@torch.no_grad()
@pytest.mark.parametrize("size", [(80, 80), (72, 136)])
@pytest.mark.parametrize("name", SWINS)
@pytest.mark.parametrize("fused_kernels", [False, True])
def test_swin_is_assembled_as_its_blocks_cut_it(name, size, fused_kernels):
    options = SWINS[name] | ({"img_size": size} if "cr" in name else {})
    backbone = make(name, options)
    blocks = [m for m in backbone.network.modules() if hasattr(m, "shift_size")]
    assert any(any(block.shift_size) for block in blocks)
    images = torch.rand(2, 3, *size)
    seen = []
    hooks = [b.attn.attn_drop.register_forward_pre_hook(lambda _, args: seen.append(args[0])) for b in blocks]
    backbone(images)
    for block, hook in zip(blocks, hooks):
        hook.remove()
        block.attn.fused_attn = fused_kernels
    expected_output = backbone(images)
    with recording_attention(backbone, images) as found:
        assert torch.equal(backbone(images), expected_output)
    x, y = 0.55, 0.4
    there = attention_maps(backbone, images, at=(x, y))
    assert traces(backbone) == 0
    assert len(seen) == len(found.maps) == 4
    for block, whole, mean, patch in zip(blocks, seen, found.maps, there.maps):
        h, w = mean.shape[2:]
        tokens = tokens_of_windows(block, h, w)
        whole = whole.unflatten(0, (2, len(tokens)))  # (B, windows, heads, N, N)
        expected = torch.zeros(2, whole.shape[2], h * w)
        one = torch.zeros_like(expected)
        query = int(y * size[0] / found.extent[0] * h) * w + int(x * size[1] / found.extent[1] * w)
        for i, window in enumerate(tokens):
            real = window >= 0
            expected[..., window[real]] = whole[:, i].mean(2)[..., real] / len(tokens)
            if query in window:
                one[..., window[real]] = whole[:, i, :, (window == query).nonzero().item()][..., real]
        close(mean.flatten(2), expected)
        close(patch.flatten(2), one)
        if -1 not in tokens:
            close(mean.sum((2, 3)), torch.ones(mean.shape[:2]))
    with pytest.raises(UserError, match=f"{name}: rollout requires blocks"):
        attention_rollout(backbone, images)
    assert traces(backbone) == 0


@pytest.mark.parametrize("mask", ["none", "bool", "float", "one row", "causal"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_fused_call_as_pytorch_computes_it(mask, scale):
    """With the unit matrix as values, the output is the attention."""
    torch.manual_seed(0)
    query, key = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 5, 8)
    masks = {
        "none": None,
        "bool": torch.rand(2, 1, 5, 5) < 0.7,
        "float": torch.randn(5, 5),
        "one row": torch.tensor([True, True, False, True, True]).view(1, 1, 1, 5),
        "causal": None,
    }
    options = {"attn_mask": masks[mask], "is_causal": mask == "causal", "scale": scale}
    if mask == "bool":
        options["attn_mask"] |= torch.eye(5, dtype=torch.bool)
    value = torch.eye(5).expand(2, 3, 5, 5)
    expected = F.scaled_dot_product_attention(query, key, value, **options)
    call = fused(query, key, value, **options)
    assert call.shape == (2, 3, 5, 5)
    close(call.rows(slice(0, 5)), expected)
    close(call.rows(slice(3, 4)), expected[:, :, 3:4])


def test_float32_under_autocast():
    backbone = make("vit_tiny_patch16_224", TINY)
    images = torch.rand(1, 3, 32, 32)
    calls = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), seeing_attention(backbone.network, calls.append):
        backbone(images)
        rows = calls[0].rows(slice(0, 5))
    assert rows.dtype == torch.float32
    close(rows.sum(-1), torch.ones(1, 2, 5))


@torch.no_grad()
@pytest.mark.parametrize(("query", "largest"), [("class", 1), ("mean", CHUNK)])
def test_only_the_rows_asked_for_are_computed(query, largest, monkeypatch):
    backbone = make("vit_tiny_patch16_224", TINY)
    softmax, shapes = torch.special.softmax, []
    monkeypatch.setattr(torch.special, "softmax", lambda x, dim: shapes.append(x.shape) or softmax(x, dim))
    attention_maps(backbone, torch.rand(1, 3, 160, 160), (-1,), query)
    assert {shape[-1] for shape in shapes} == {101}
    assert max(shape[-2] for shape in shapes) == largest
    # One row is read of every block, so that none need be kept whole; all rows of the block asked for only.
    assert sum(shape[-2] for shape in shapes) == {"class": TINY["depth"], "mean": 100}[query]


@torch.no_grad()
def test_rollout_holds_two_matrices(monkeypatch):
    backbone = make("vit_tiny_patch16_224", TINY | {"depth": 4})
    alive: list[weakref.ref] = []
    empty, most = torch.empty_like, []

    def watched(*args, **kwargs):
        made = empty(*args, **kwargs)
        alive.append(weakref.ref(made))
        most.append(sum(ref() is not None for ref in alive))
        return made

    monkeypatch.setattr(torch, "empty_like", watched)
    attention_rollout(backbone, torch.rand(1, 3, 32, 32))
    assert len(most) == 4
    assert max(most) == 2


@torch.no_grad()
def test_blocks_are_counted_from_either_end():
    backbone = make("vit_tiny_patch16_224", TINY | {"depth": 4})
    images = torch.rand(1, 3, 32, 48)
    every = attention_maps(backbone, images)
    some = attention_maps(backbone, images, (-1, 0, -3, 3, 0))
    assert (every.blocks, some.blocks) == ([0, 1, 2, 3], [3, 0, 1, 3, 0])
    for block, one in zip(some.blocks, some.maps):
        assert torch.equal(one, every.maps[block])
    for block in (4, -5, 13):
        with pytest.raises(UserError, match=f"--blocks {block}: vit_tiny_patch16_224 has 4 blocks .* 0 to 3;"):
            attention_maps(backbone, images, (0, block))


def test_features_with_attention(vit):
    images = torch.rand(2, 3, 50, 99)
    plain, features = vit.features(images, [-1, 0]), vit.features(images, [-1, 0], attention=[-1])
    assert plain.attention == ()
    (attention,) = features.attention
    assert torch.equal(features.embedding, plain.embedding)
    assert all(torch.equal(a, b) for a, b in zip(features.maps, plain.maps))
    assert torch.equal(attention, attention_maps(vit, images, (-1,)).maps[0])
    attention.square().sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in vit.parameters())
    vit.zero_grad()


def test_features_of_a_swin_with_attention():
    backbone = make("swin_tiny_patch4_window7_224", SWINS["swin_tiny_patch4_window7_224"])
    features = backbone.features(torch.rand(2, 3, 64, 48), [-1], attention=[-1])
    assert features.attention[0].shape == (2, 4, 8, 6)


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "vit_tiny_patch16_224"])
def test_nothing_stays_behind_whatever_is_raised(name):
    backbone = make(name, (VITS | SWINS)[name])
    images = torch.rand(1, 3, 64, 64)

    def fail(*_):
        raise ZeroDivisionError

    last = list(backbone.network.modules())[-1]
    hook = last.register_forward_pre_hook(fail)
    for ask in (attention_maps, attention_rollout, lambda b, i: b.features(i, [-1], attention=[-1])):
        with pytest.raises((ZeroDivisionError, UserError)):
            ask(backbone, images)
    hook.remove()
    assert traces(backbone) == 0


def test_nothing_stays_behind_after_an_exception_in_nested_recordings():
    backbone = make("swin_tiny_patch4_window7_224", SWINS["swin_tiny_patch4_window7_224"])
    images = torch.rand(1, 3, 64, 64)

    def fail():
        with recording_attention(backbone, images), recording_attention(backbone, images):
            backbone(images)
            assert traces(backbone) > 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert traces(backbone) == 0


@torch.no_grad()
def test_a_recorder_does_not_see_another_ones_work():
    vit = make("vit_tiny_patch16_224", TINY)
    images = torch.rand(1, 3, 64, 64)
    with recording_attention(vit, images, query="mean") as outer, recording_attention(vit, images) as inner:
        vit(images)
    assert outer.blocks == inner.blocks == [0, 1]
    assert torch.equal(outer.maps[1], attention_maps(vit, images, query="mean").maps[1])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet18", "has no attention"),
        ("convnext_atto", "has no attention"),
        ("xcit_nano_12_p16_224", "not between patches of the image"),
        ("pvt_v2_b0", "not between patches of the image"),
        ("maxvit_rmlp_pico_rw_256", "not between patches of the image"),
    ],
)
def test_networks_without_maps(name, reason):
    backbone = Backbone(name, **({"img_size": 64} if name.startswith("maxvit") else {})).eval()
    images = torch.rand(1, 3, 64, 64)
    for ask in (attention_maps, attention_rollout, lambda b, i: b.features(i, [-1], attention=[-1])):
        with pytest.raises(
            UserError, match=rf"--backbone {name}: .*{reason}.* twinsight look erf --weights random:{name}$"
        ):
            ask(backbone, images)
    assert traces(backbone) == 0


def test_impossible_questions():
    images = torch.rand(1, 3, 64, 64)
    swin = make("swin_tiny_patch4_window7_224", SWINS["swin_tiny_patch4_window7_224"])
    with pytest.raises(UserError, match="--query class: swin_tiny_patch4_window7_224 has no class token"):
        attention_maps(swin, images, query="class")
    with pytest.raises(UserError, match="--query class: vit_medium_patch16_reg4_gap_256 has no class token"):
        attention_maps(make("vit_medium_patch16_reg4_gap_256", TINY), images, query="class")
    for at in ((1.0, 0.5), (0.5, -0.1)):
        with pytest.raises(UserError, match=f"--at {at[0]:g} {at[1]:g}: "):
            attention_maps(swin, images, at=at)


def test_fused_kernels_stay_on(vit):
    dropped = []
    hooks = [m.register_forward_hook(lambda *_: dropped.append(1)) for n, m in vit.named_modules() if "attn_drop" in n]
    attention_maps(vit, torch.rand(1, 3, 50, 99))
    for hook in hooks:
        hook.remove()
    assert len(hooks) >= 2
    assert not dropped  # timm drops attention by this module only where it writes it out
