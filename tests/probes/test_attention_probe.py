import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import nn

from twinsight.backbones.attention_maps import attention_maps, attention_rollout
from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.attention.maps import Attention, diversity, look_inside, mass_mask, normalized_entropy

TINY = {"depth": 2, "embed_dim": 32, "num_heads": 2}
SWIN = {"depths": (2, 2), "embed_dim": 16, "num_heads": (2, 4), "window_size": 4}


def make(name: str = "vit_tiny_patch16_224", options: dict = TINY) -> Backbone:
    torch.manual_seed(0)
    backbone = Backbone(name, **options)
    for parameter in backbone.parameters():
        if parameter.ndim == 2:
            parameter.data *= 4
    return backbone


@pytest.mark.parametrize(
    ("values", "mass", "expected"),
    [
        ([[0, 9, 0], [0, 0, 0]], 0.6, [[0, 1, 0], [0, 0, 0]]),  # one peak
        ([[0, 9, 0], [0, 0, 0]], 1, [[0, 1, 0], [0, 0, 0]]),
        ([[3, 1, 0], [2, 4, 0]], 1, [[1, 1, 0], [1, 1, 0]]),  # all of it, and no empty patch
        ([[3, 1, 0], [2, 4, 0]], 0.6, [[1, 0, 0], [0, 1, 0]]),  # 4 + 3 of 10
        ([[3, 1, 0], [2, 4, 0]], 0.7, [[1, 0, 0], [0, 1, 0]]),  # exactly 0.7
        ([[3, 1, 0], [2, 4, 0]], 0.71, [[1, 0, 0], [1, 1, 0]]),
        ([[1, 1, 1, 1, 1]] * 2, 0.6, [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]),  # ties: in reading order
        ([[1, 1, 1, 1, 1]] * 2, 0.61, [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]),
        ([[0, 0]], 0.5, [[0, 0]]),
    ],
)
@pytest.mark.parametrize("unit", [1, 0.1, 1e-7])
def test_mass_mask(values, mass, expected, unit):
    maps = torch.tensor(values, dtype=torch.float32)[None].repeat(2, 1, 1) * unit
    assert mass_mask(maps, mass).int().tolist() == [expected] * 2


def test_mass_mask_is_the_smallest_that_holds_the_mass():
    maps = torch.rand(50, 5, 7).softmax(-1)
    for mass in (0.01, 0.5, 0.95):
        mask = mass_mask(maps, mass)
        held = (maps * mask).sum((1, 2)) / maps.sum((1, 2))
        least = torch.where(mask, maps, torch.inf).amin((1, 2)) / maps.sum((1, 2))
        assert (held >= mass - 1e-5).all()
        assert (held - least < mass).all()
        assert (torch.where(mask, 0, maps).amax((1, 2)) <= torch.where(mask, maps, torch.inf).amin((1, 2))).all()


def test_entropy_and_diversity_at_their_ends():
    uniform, peak = torch.full((1, 4, 5), 0.05), torch.zeros(1, 4, 5)
    peak[0, 2, 2] = 0.3
    torch.testing.assert_close(normalized_entropy(torch.cat((uniform, peak))), torch.tensor([1.0, 0.0]))
    assert diversity(uniform.repeat(3, 1, 1)) == pytest.approx(0, abs=1e-6)
    assert diversity(torch.eye(6).view(6, 2, 3)) == pytest.approx(1)
    assert math.isnan(diversity(uniform))


def test_diversity_of_two_heads_is_scipys_divergence():
    maps = torch.rand(2, 3, 4, dtype=torch.float64)
    expected = jensenshannon(*maps.flatten(1).numpy(), base=2) ** 2
    assert diversity(maps) == pytest.approx(expected)


def test_patches_beyond_the_image_are_left_out():
    maps = torch.rand(2, 8, 8)
    look = look_inside(maps, (32, 32), (17, 32))
    assert look.extent == (20, 32)
    assert torch.equal(look.maps, maps[:, :5])
    assert torch.equal(look_inside(maps, (32, 32), (29, 30)).maps, maps)


def test_numbers_are_those_of_the_maps():
    backbone = make()
    images = [torch.rand(3, 64, 80), torch.randint(0, 256, (3, 50, 33), dtype=torch.uint8), torch.rand(3, 50, 33)]
    finding = Attention(blocks=(0, -1), mass=0.5, rollout=True)(backbone, images)
    assert list(finding.figures) == ["block1", "block2", "rollout"]
    heads = {f"head{i}/entropy" for i in (1, 2)}
    common = {"entropy", "mass_area", "prefix_share"}
    expected = {f"{b}/{n}" for b in ("block1", "block2") for n in common | heads | {"diversity"}}
    assert set(finding.numbers) == expected | {f"rollout/{n}" for n in common}
    backbone.eval()
    entropies, areas, shares, apart, rolled = [], [], [], [], []
    for image in images:
        maps = attention_maps(backbone, image[None]).maps[1][0].double().flatten(1).numpy()
        shares.append(1 - maps.sum(1).mean())
        p = maps / maps.sum(1, keepdims=True)
        entropies.append(-(p * np.log(p)).sum(1) / np.log(p.shape[1]))
        apart.append(jensenshannon(*p, base=2) ** 2)
        areas.append(np.mean([(np.sort(q)[::-1].cumsum() < 0.5).sum() + 1 for q in p]) / p.shape[1])
        rolled.append(1 - attention_rollout(backbone, image[None]).sum().item())
    numbers = finding.numbers
    assert numbers["block2/entropy"] == pytest.approx(np.mean(entropies), abs=1e-6)
    assert numbers["block2/head2/entropy"] == pytest.approx(np.mean(entropies, axis=0)[1], abs=1e-6)
    assert numbers["block2/mass_area"] == pytest.approx(np.mean(areas))
    assert numbers["block2/prefix_share"] == pytest.approx(np.mean(shares), abs=1e-6)
    assert numbers["block2/diversity"] == pytest.approx(np.mean(apart), abs=1e-6)
    assert numbers["rollout/prefix_share"] == pytest.approx(np.mean(rolled), abs=1e-6)


def test_a_swin_has_no_prefix():
    finding = Attention(blocks=(1, -1))(make("swin_tiny_patch4_window7_224", SWIN), [torch.rand(3, 70, 40)])
    assert list(finding.figures) == ["block2", "block4"]
    assert "block2/head2/entropy" in finding.numbers
    assert "block2/prefix_share" not in finding.numbers
    assert all(0 <= value <= 1 for value in finding.numbers.values())


def test_the_model_and_the_random_state_are_left_as_they_were():
    backbone = make("swin_tiny_patch4_window7_224", SWIN).train()
    backbone.network.norm.eval()
    for parameter in list(backbone.parameters())[::2]:
        parameter.requires_grad = False
    modes = [m.training for m in backbone.modules()]
    wanted = [p.requires_grad for p in backbone.parameters()]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    Attention()(backbone, [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))])
    with pytest.raises(UserError, match="--rollout"):
        Attention(rollout=True)(backbone, [torch.zeros(3, 64, 64)])
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in backbone.modules()] == modes
    assert [p.requires_grad for p in backbone.parameters()] == wanted
    assert not any(p.grad is not None for p in backbone.parameters())
    assert not any(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in backbone.modules())


def shown(probe: Attention, backbone: nn.Module, images: list[torch.Tensor], name: str):
    """What stands on the figure: titles and captions, axes with an image, texts of the legend."""
    figure = probe(backbone, images).figures[name].figure()
    axes = [axis for axis in figure.axes if axis.images]
    texts = [axis.get_title() or axis.get_xlabel() for axis in axes]
    legend = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return axes, [text for text in texts if text], legend


def test_a_line_of_the_figure():
    images = [torch.rand(3, 50, 77), torch.rand(3, 40, 40)]
    axes, titles, legend = shown(Attention(at=(0.3, 0.7)), make(), images, "block2")
    assert titles == ["image", "head 1", "head 2", "60% of each"]
    assert legend == ["head 1", "head 2"]
    assert [axis.images[0].get_array().shape for axis in axes] == [(50, 77, 3)] * 4 + [(40, 40, 3)] * 4
    np.testing.assert_array_equal(axes[0].images[0].get_array(), (images[0].permute(1, 2, 0) * 255).round())
    for axis in axes[:4]:  # the middle of the patch that holds (23.1, 35)
        assert {tuple(line.get_xydata()[0]) for line in axis.lines} == {(24.0, 40.0)}


@pytest.mark.parametrize(("heads", "lines", "colors"), [(12, 2, 12), (20, 3, 12)])
def test_many_heads_take_several_lines(heads, lines, colors):
    backbone = make(options={"depth": 1, "embed_dim": heads * 4, "num_heads": heads})
    axes, captions, legend = shown(Attention(mass=0.25), backbone, [torch.rand(3, 48, 48)], "block1")
    assert len(axes) == heads + 2
    assert sorted(captions) == sorted(["image", "25% of each", *(f"head {i + 1}" for i in range(heads))])
    assert len(legend) == colors
    assert len({axis.get_position().y0.round(3) for axis in axes}) == lines


def test_masks_lie_where_the_head_looks():
    """One head looks at one patch each: the figure shows its color there and gray elsewhere."""
    probe = Attention()
    maps = torch.zeros(2, 4, 4)
    maps[0, 1, 2] = maps[1, 3, 0] = 1
    look = look_inside(maps, (64, 64), (64, 60))
    painted = probe.paint(np.full((64, 60, 3), 128, np.uint8), look, (64, 64), {0: "#ff0000", 1: "#0000ff"}).astype(int)
    colored = np.ptp(painted, axis=2) > 0
    assert painted[24, 40].argmax() == 0
    assert painted[56, 8].argmax() == 2
    assert colored[16:32, 32:48].sum() + colored[48:, :16].sum() == colored.sum() > 200


def test_the_head_that_looks_there_most_gets_the_pixel():
    maps = torch.ones(2, 4, 4)
    maps[0, :, :2], maps[1, :, 2:] = 3, 5
    look = look_inside(maps, (64, 64), (64, 64))
    painted = Attention(mass=1).paint(np.zeros((64, 64, 3), np.uint8), look, (64, 64), {0: "#ff0000", 1: "#0000ff"})
    assert (painted[:, :24].argmax(2) == 0).all()
    assert (painted[:, 40:].argmax(2) == 2).all()


@pytest.mark.parametrize("mass", [0, 1.5, -1])
def test_impossible_mass(mass):
    with pytest.raises(UserError, match=f"--mass {mass}: is out of range; give a fraction above 0"):
        Attention(mass=mass)


def test_impossible_questions_are_the_recorders():
    with pytest.raises(UserError, match="--blocks 2: vit_tiny_patch16_224 has 2 blocks"):
        Attention(blocks=(2,))(make(), [torch.rand(3, 32, 32)])
    with pytest.raises(UserError, match="twinsight look erf"):
        Attention()(Backbone("resnet18"), [torch.rand(3, 32, 32)])
