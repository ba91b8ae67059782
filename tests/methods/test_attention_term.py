import math

import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone
from twinsight.data.views import View, two_views
from twinsight.errors import UserError
from twinsight.methods.attention_term import AttentionTerm, inconsistency, similarity, trained, warp
from twinsight.methods.barlow_twins import BarlowTwins
from twinsight.methods.dino import DINO

WHOLE = torch.tensor([0.0, 0.0, 40.0, 60.0, 0.0])
FULL = (1.0, 1.0)


def vit(**options):
    sizes = {"image_size": 16, "patch_size": 4, "dim": 16, "depth": 2, "heads": 4, "mlp_dim": 16}
    return Backbone("vit-pytorch", **sizes | options)


def barlow(backbone=None):
    torch.manual_seed(0)
    return BarlowTwins(backbone or vit(), two_views(size=16), (8, 8))


def views(count=6, size=16, number=2):
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(count, 3, size, size, generator=generator) for _ in range(number)]


def some_crops(count=6, number=2):
    rng = np.random.default_rng(0)
    view = View(scale=(0.3, 1))
    drawn = [[view.draw(rng, 40, 60) for _ in range(number)] for _ in range(count)]
    return torch.tensor([[[*p.box, p.flip] for p in params] for params in drawn], dtype=torch.float32)


def shannon(p):
    return -sum(float(x) * math.log(x) for x in p if x > 0)


def crop(top, left, height, width, flip=0.0):
    return torch.tensor([[float(top), float(left), float(height), float(width), float(flip)]])


def ramp(crop, side, size=(40, 60)):
    """What a crop shows of an image whose two channels are the coordinates: (1, 2, side, side), patch middles."""
    top, left, height, width, flip = crop[0].tolist()
    places = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    y, x = top + places * height, left + (1 - places if flip else places) * width
    return torch.stack(torch.meshgrid(y, x, indexing="ij"))[None]


@pytest.mark.parametrize("flips", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_warped_map_shows_what_the_other_crop_shows(flips):
    source, target = crop(4, 5, 30, 40, flips[0]), crop(10, 20, 24, 30, flips[1])
    warped, inside = warp(ramp(source, 7), source, target, FULL)
    expected = ramp(target, 7)
    y, x = expected[0]
    assert torch.equal(inside[0], (y >= 4) & (y <= 34) & (x >= 5) & (x <= 45))
    assert 0 < inside.sum() < 49
    # Beyond the middles of the outermost patches nothing is known but their own value.
    known = ((y - 4 >= 30 / 14) & (34 - y >= 30 / 14) & (x - 5 >= 40 / 14) & (45 - x >= 40 / 14))[None, None]
    assert known.sum() > 10
    torch.testing.assert_close(warped[known.expand_as(warped)], expected[known.expand_as(warped)])


def test_a_view_that_does_not_fill_its_map():
    """Views of 6 pixels in maps of 2 patches of 4: the outer patch's middle is still inside, of 3 patches it is not."""
    _, inside = warp(torch.ones(1, 1, 2, 2), crop(0, 0, 9, 9), crop(0, 0, 9, 9), (6 / 8, 6 / 8))
    assert inside.all()
    _, inside = warp(torch.ones(1, 1, 3, 3), crop(0, 0, 9, 9), crop(0, 0, 9, 9), (6 / 12, 6 / 12))
    assert inside.tolist() == [[[True, True, False]] * 2 + [[False] * 3]]
    source, target = crop(0, 0, 24, 24), crop(6, 6, 12, 12)
    maps = ramp(crop(0, 0, 32, 32), 8)
    warped, inside = warp(maps, source, target, (0.75, 0.75))
    expected = ramp(crop(6, 6, 16, 16), 8)
    torch.testing.assert_close(warped[:, :, :6, :6], expected[:, :, :6, :6])
    assert inside.sum() == 36


def test_consistency_of_hand_made_maps():
    same = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    both = torch.stack([WHOLE, WHOLE])[None]
    assert inconsistency(same, same, both, FULL).item() == pytest.approx(0, abs=1e-6)
    mirrored = torch.stack([WHOLE, WHOLE + torch.tensor([0, 0, 0, 0, 1.0])])[None]
    assert inconsistency(same, same.flip(-1), mirrored, FULL).item() == pytest.approx(0, abs=1e-6)
    assert inconsistency(same, same.flip(-1), both, FULL).item() > 0.01
    left, right = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    left[..., :2], right[..., 2:] = 1, 1
    assert inconsistency(left, right, both, FULL).item() == pytest.approx(1, abs=1e-5)
    # Apart, nothing is to be said; beside a pair that overlaps such a pair does not count.
    apart = torch.stack([crop(0, 0, 10, 10)[0], crop(20, 20, 10, 10)[0]])[None]
    assert inconsistency(left, right, apart, FULL).item() == 0
    twice = inconsistency(torch.cat([left, left]), torch.cat([right, right]), torch.cat([both, apart]), FULL)
    assert twice.item() == pytest.approx(1, abs=1e-5)


def at(image, y, x):
    """Bilinear value of an (h, w) map at shares of its height and width; beyond the outermost middles, the edge's."""
    h, w = image.shape
    y, x = min(max(y * h - 0.5, 0), h - 1), min(max(x * w - 0.5, 0), w - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
    upper = (1 - (x - left)) * image[top, left] + (x - left) * image[top, right]
    lower = (1 - (x - left)) * image[bottom, left] + (x - left) * image[bottom, right]
    return (1 - (y - top)) * upper + (y - top) * lower


def inconsistent(first, second, crops):
    """A patch, a head, an image at a time: what both crops show of the image, compared on either's patches."""
    found = []
    for one, other, where in zip(first, second, crops):
        for here, there, (target, source) in ((one, other, where), (other, one, where[::-1])):
            both = []
            for i, j in np.ndindex(here.shape[1:]):
                y, x = (i + 0.5) / here.shape[1], (j + 0.5) / here.shape[2]
                x = 1 - x if target[4] else x
                y, x = target[0] + y * target[2], target[1] + x * target[3]  # in the image
                y, x = (y - source[0]) / source[2], (x - source[1]) / source[3]
                x = 1 - x if source[4] else x
                if 0 <= y <= 1 and 0 <= x <= 1:
                    both.append([(head[i, j], at(far, y, x)) for head, far in zip(here, there)])
            if len(both) >= 2:
                heads = [np.array(pairs).T for pairs in zip(*both)]
                shares = [(p / p.sum(), q / q.sum()) for p, q in heads]
                apart = [shannon((p + q) / 2) - (shannon(p) + shannon(q)) / 2 for p, q in shares]
                found.append(np.mean(apart) / math.log(2))
    return np.mean(found)


def test_parts_equal_the_formulas_written_out():
    method, term, crops = barlow(), AttentionTerm(0.3, 0.5, 0.7, blocks=(0, 1)), some_crops()
    out = term(method, views(), crops, 0.0)
    plain = method(views(), 0.0)
    sharp, alike, apart = [], [], []
    for block in (0, 1):
        maps = [attention_maps(method.trunk, view, (block,)).maps[0].double() for view in views()]
        shares = [(m / m.sum((2, 3), keepdim=True)).numpy() for m in maps]
        for view in shares:
            for heads in view:
                entropies = [shannon(head.flatten()) for head in heads]
                sharp.append(np.mean(entropies) / math.log(16))
                alike.append(1 - (shannon(heads.mean(0).flatten()) - np.mean(entropies)) / math.log(4))
        apart.append(inconsistent(*(m.numpy() for m in maps), crops.double().numpy()))
    assert out["attention_entropy"].item() == pytest.approx(np.mean(sharp), rel=1e-5)
    assert out["attention_similarity"].item() == pytest.approx(np.mean(alike), rel=1e-5)
    assert out["attention_inconsistency"].item() == pytest.approx(np.mean(apart), rel=1e-5)
    total = plain["loss"].item() + 0.3 * np.mean(sharp) + 0.5 * np.mean(alike) + 0.7 * np.mean(apart)
    assert out["loss"].item() == pytest.approx(total, rel=1e-5)
    assert set(out) == {*plain, "attention_entropy", "attention_similarity", "attention_inconsistency"}


@pytest.mark.parametrize("part", ["sharpness", "diversity", "consistency"])
def test_gradients_are_those_of_the_parts(part):
    """Finite differences along a random direction, of the part alone: the method's own loss is taken out."""

    class Nothing(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.trunk = vit().double()

        def forward(self, views, progress):
            return {"loss": sum(self.trunk(view).sum() * 0 for view in views)}

    method, term, crops = Nothing(), AttentionTerm(**{part: 1.0}), some_crops()
    inputs = [view.double() for view in views()]
    weights = dict(method.trunk.named_parameters())["network.vit.transformer.layers.1.0.to_qkv.weight"]
    direction = torch.randn(weights.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    term(method, inputs, crops, 0.0)["loss"].backward()
    assert weights.grad is not None
    slope = (weights.grad * direction).sum().item()
    found = []
    with torch.no_grad():
        for step in (-0.003, 0.003):
            weights.add_(direction, alpha=step)
            found.append(term(method, inputs, crops, 0.0)["loss"].item())
            weights.sub_(direction, alpha=step)
    assert abs(slope) > 1e-6
    assert slope == pytest.approx((found[1] - found[0]) / 0.006, rel=0.05)


def after(term, seed, name, peaked=1.0, steps=20):
    """Its value after some steps of training, all in float64."""
    torch.manual_seed(seed)
    method = BarlowTwins(vit(), two_views(size=16), (8, 8)).double()
    with torch.no_grad():
        dict(method.trunk.named_parameters())["network.vit.transformer.layers.1.0.to_qkv.weight"].mul_(peaked)
    optimizer = torch.optim.AdamW(method.parameters(), 3e-3)
    images, crops = [view.double() for view in views()], some_crops()
    for _ in range(steps):
        optimizer.zero_grad()
        out = term(method, images, crops, 0.5)
        out["loss"].backward()
        optimizer.step()
    return out[name].item()


@pytest.mark.parametrize(
    ("part", "name", "peaked"),
    [
        ("sharpness", "attention_entropy", 1.0),
        ("diversity", "attention_similarity", 1.0),
        # Peaked maps first: at the start all are nearly uniform, and so consistent. Not so peaked that the softmax
        # passes no gradient on.
        ("consistency", "attention_inconsistency", 5.0),
    ],
)
def test_each_part_does_what_it_says(part, name, peaked):
    """In the mean over seeds: where one training of many steps ends depends on a processor's last digits."""
    plain, pulled = (
        np.mean([after(term, seed, name, peaked) for seed in range(3)])
        for term in (AttentionTerm(), AttentionTerm(**{part: 100.0}))
    )
    assert plain > 0.5
    assert pulled < 0.7 * plain


def test_maps_without_any_attention_on_the_patches():
    """Where the class token keeps all to itself: uniform, and no gradient rather than NaN."""
    nowhere = torch.zeros(2, 3, 4, 4, requires_grad=True)
    sizes = (16, 16), (16, 16)
    parts = AttentionTerm().parts([nowhere], [nowhere], some_crops(2), *sizes)
    assert parts["sharpness"].item() == pytest.approx(1, abs=1e-6)
    assert parts["diversity"].item() == pytest.approx(1, abs=1e-6)
    assert parts["consistency"].item() == pytest.approx(0, abs=1e-6)
    sum(parts.values()).backward()
    assert torch.equal(nowhere.grad, torch.zeros(2, 3, 4, 4))


def test_dino_is_observed_in_its_student():
    torch.manual_seed(0)
    method = DINO(vit(), two_views(size=16), prototypes=8, hidden=8, bottleneck=4)
    assert trained(method) is method.student[0]
    inputs = [*views(), *views(size=8, number=3)]
    out = AttentionTerm(1.0, 1.0, 1.0)(method, inputs, some_crops(number=5), 0.0)
    maps = [attention_maps(method.student[0], view, (-1,)).maps[0] for view in inputs[:2]]
    assert out["attention_similarity"].item() == pytest.approx(similarity(torch.cat(maps)).item(), rel=1e-5)
    out["loss"].backward()
    assert all(parameter.grad is None for parameter in method.trunk.parameters())


def test_nothing_stays_behind_even_after_a_failure():
    method = barlow()
    with pytest.raises(UserError, match="--blocks 7"):
        AttentionTerm(1.0, blocks=(7,))(method, views(), some_crops(), 0.0)
    with pytest.raises(RuntimeError):
        AttentionTerm(1.0)(method, [torch.rand(2, 5, 16, 16)] * 2, some_crops(2), 0.0)
    assert not method.trunk._forward_pre_hooks
    assert not method.trunk._forward_hooks
    before = method(views(), 0.0)["loss"]
    torch.testing.assert_close(AttentionTerm()(method, views(), some_crops(), 0.0)["loss"], before)


def test_swin_and_bfloat16():
    swin = Backbone("swin_tiny_patch4_window7_224", embed_dim=16, depths=(1, 1), num_heads=(1, 2), window_size=2)
    method = barlow(swin)
    with torch.autocast("cpu", torch.bfloat16):
        out = AttentionTerm(1.0, 1.0, 1.0)(method, views(size=32), some_crops(), 0.0)
    out["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


def test_wrong_weights_and_networks():
    with pytest.raises(UserError, match=r"--attention.diversity -1: must be finite and at least 0"):
        AttentionTerm(diversity=-1.0)
    with pytest.raises(UserError, match=r"test_resnet: has no attention"):
        AttentionTerm(1.0).check(barlow(Backbone("test_resnet")), 32)
    with pytest.raises(UserError, match=r"--attention.blocks 2: vit-pytorch has 2 blocks .* give 0 to 1,"):
        AttentionTerm(1.0, blocks=(2,)).check(barlow(), 16)
    with pytest.raises(UserError, match=r"--attention.blocks: none given; give at least one"):
        AttentionTerm(1.0, blocks=()).check(barlow(), 16)
