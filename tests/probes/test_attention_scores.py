import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import Tensor

from twinsight.backbones.attention_maps import attention_maps
from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.attention.maps import mass_mask
from twinsight.probes.attention.regions import (
    center_prior,
    class_pixels,
    information,
    jaccard,
    level_pixels,
    levels,
    pointing,
    regions,
    shuffled,
)
from twinsight.probes.attention.scores import AttentionScores, untrained_like
from twinsight.probes.attention.tally import MASSES, score
from twinsight.probes.images import over_image

CLASSES = ("background", "Cat", "traffic light")
TINY = {"depth": 2, "embed_dim": 32, "num_heads": 2}


def make(name="vit_tiny_patch16_224", options=TINY) -> Backbone:
    torch.manual_seed(1)
    return Backbone(name, **options)


def masks_like(images, classes=3):
    generator = torch.Generator().manual_seed(0)
    coarse = [torch.randint(0, classes, (1, 1, 3, 3), generator=generator).float() for _ in images]
    masks = [torch.nn.functional.interpolate(c, i.shape[1:])[0, 0].byte() for c, i in zip(coarse, images)]
    for mask in masks:
        mask[:3, 5:9] = 255
    return masks


def disk(mask: list[list[int]]) -> Tensor:
    return torch.tensor(mask, dtype=torch.uint8).repeat_interleave(4, 0).repeat_interleave(4, 1)


LEFT = disk([[1, 0], [1, 0]])


def scored(maps: list[list[float]], mask: Tensor, mass=0.6, background: int | None = 0, classes=2):
    tensor = torch.tensor(maps, dtype=torch.float64).view(len(maps), 2, 2)
    return score([tensor], [class_pixels(mask, classes, (2, 2), (8, 8))], background, mass)


@pytest.mark.parametrize(
    ("maps", "mask", "mass", "overlap", "hit"),
    [
        ([[1, 0, 1, 0]], LEFT, 1.0, 1.0, 1.0),  # attention is the mask
        ([[0, 1, 0, 1]], LEFT, 1.0, 0.0, 0.0),  # its complement
        ([[1, 1, 1, 1]], LEFT, 1.0, 0.5, 0.5),  # uniform: the foreground's share
        ([[1, 1, 1, 1]], LEFT, 0.6, 2 / 3, 0.5),  # three of the four patches hold 60 %, in reading order
        ([[3, 1, 1, 1]], LEFT, 0.5, 0.5, 1.0),
        ([[2, 2, 0, 0]], LEFT, 1.0, 1 / 3, 0.5),  # two maxima, one of them inside
        ([[1, 0, 0, 0]], disk([[255, 0], [1, 0]]), 1.0, 0.0, math.nan),  # looks at void alone
        ([[1, 0, 1, 0]], disk([[255, 0], [1, 0]]), 1.0, 1.0, 1.0),  # void counts neither for nor against
    ],
)
def test_known_maps(maps, mask, mass, overlap, hit):
    row = scored(maps, mask, mass)
    assert row.jaccard.tolist() == pytest.approx([overlap])
    assert row.best == pytest.approx(overlap)
    assert row.classes.tolist()[1] == pytest.approx(overlap)
    assert row.pointing.tolist() == pytest.approx([hit], nan_ok=True)


def test_the_best_head_is_chosen_for_each_image_and_class():
    left, right = torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([[0.0, 1], [0, 1]])
    maps = [torch.stack([left, right]).double()] * 2
    pixels = [class_pixels(mask, 3, (2, 2), (8, 8)) for mask in (LEFT, disk([[2, 1], [2, 1]]))]
    row = score(maps, pixels, 0, 1.0)
    assert row.jaccard.tolist() == [0.75, 0.25]  # 1 and 0 in the first, 1/2 and 1/2 in the second
    assert row.best == 0.75
    assert row.classes.tolist() == [1, 1, 1]
    apart = score(maps, pixels, None, 1.0)
    assert apart.best == 1
    assert apart.jaccard.tolist() == [0.5, 0.5]


def test_an_image_without_the_region_does_not_count():
    maps = [torch.ones(1, 2, 2).double()] * 2
    empty = torch.zeros(8, 8, dtype=torch.uint8)
    row = score(maps, [class_pixels(mask, 3, (2, 2), (8, 8)) for mask in (LEFT, empty)], 0, 1.0)
    assert row.best == 0.5
    assert row.jaccard.tolist() == [0.5]
    assert row.classes.tolist() == pytest.approx([0.75, 0.5, math.nan], nan_ok=True)  # (1/2 + 1) / 2
    nothing = score(maps[:1], [class_pixels(empty, 3, (2, 2), (8, 8))], 0, 1.0)
    assert math.isnan(nothing.best)
    assert math.isnan(nothing.pointed)
    assert math.isnan(nothing.information[0])


@pytest.mark.parametrize(("size", "grid", "extent"), [((37, 50), (5, 7), (40, 56)), ((30, 33), (3, 4), (30, 36))])
def test_counts_score_the_pixels_of_the_upsampled_mask(size, grid, extent):
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(3, *grid, generator=generator)
    mask = torch.randint(0, 3, size, generator=generator).byte()
    mask[torch.rand(size, generator=generator) < 0.2] = 255
    held = mass_mask(maps, 0.6)
    pixels = class_pixels(mask, 3, grid, extent)
    assert pixels.sum() == (mask != 255).sum()
    found = jaccard(held, regions(pixels, None), pixels.sum(0))
    large = over_image(held, extent, size, "nearest").bool().numpy()
    for head in range(3):
        for label in range(3):
            truth, labeled = mask.numpy() == label, mask.numpy() != 255
            union = (large[head] | truth) & labeled
            assert found[head, label] == pytest.approx((large[head] & truth).sum() / union.sum())


def test_regions():
    pixels = torch.tensor([[[3.0]], [[0]], [[2]], [[1]]])
    assert regions(pixels, 0).tolist() == [[[3]]]
    assert regions(pixels, None).tolist() == [[[3]], [[2]], [[1]]]
    assert len(regions(pixels[:2], 0)) == 0


def test_a_label_that_is_no_class():
    with pytest.raises(UserError, match="class id 7, but there are 3"):
        class_pixels(torch.full((4, 4), 7, dtype=torch.uint8), 3, (2, 2), (4, 4))


def test_levels_are_ranks_and_equal_values_share_one():
    maps = torch.tensor([[[0.1, 0.4], [0.3, 0.2]], [[1, 1], [1, 1]], [[5, 0], [0, 0]]])
    assert levels(maps, 4).flatten(1).tolist() == [[0, 3, 2, 1], [2, 2, 2, 2], [3, 1, 1, 1]]
    many = torch.rand(2, 6, 8)
    counts = [np.bincount(one.flatten(), minlength=8).tolist() for one in levels(many, 8).numpy()]
    assert counts == [[6] * 8] * 2


def test_information_is_sklearns_mutual_information_by_the_classes_entropy():
    rng = np.random.default_rng(0)
    a, c = rng.integers(0, 5, 500), rng.integers(0, 3, 500)
    c[a == 2] = 1
    joint = np.zeros((5, 3))
    np.add.at(joint, (a, c), 1)
    share = np.bincount(c) / 500
    expected = mutual_info_score(a, c) / -(share * np.log(share)).sum()
    assert information(torch.from_numpy(joint)[None]).item() == pytest.approx(expected)


def test_information_at_its_ends():
    told = torch.tensor([[[0, 4.0], [4, 0]], [[2, 2], [2, 2]], [[8, 0], [0, 0]]])
    assert information(told).tolist() == pytest.approx([1, 0, math.nan], nan_ok=True)
    assert scored([[1, 0, 1, 0]], LEFT).information.item() == pytest.approx(1)
    assert scored([[0, 1, 0, 1]], LEFT).information.item() == pytest.approx(1)  # avoiding a class tells of it too
    assert scored([[1, 1, 1, 1]], LEFT).information.item() == pytest.approx(0)


def test_pixels_by_level_and_class():
    maps = torch.tensor([[[0.1, 0.2], [0.1, 0.9]]])
    pixels = class_pixels(disk([[0, 1], [1, 255]]), 2, (2, 2), (8, 8))
    assert level_pixels(maps, pixels, 2).tolist() == [[[16, 16], [0, 16]]]


def test_chance_keeps_the_values_and_the_random_state():
    torch.manual_seed(0)
    state, maps = torch.get_rng_state(), torch.arange(24.0).view(2, 3, 4)
    placed = shuffled(maps, 5)
    assert torch.equal(placed, shuffled(maps, 5))
    assert not torch.equal(placed, shuffled(maps, 6))
    assert torch.equal(placed.flatten(1).sort(1).values, maps.flatten(1))
    assert (placed[0] - maps[0] != placed[1] - maps[1]).any()  # each head on its own
    assert torch.equal(torch.get_rng_state(), state)


def test_the_center_is_the_images_not_the_paddings():
    prior = center_prior((3, 5), (48, 80), (48, 48))[0]
    assert prior.argmax().item() == 1 * 5 + 1
    torch.testing.assert_close(prior[:, 0], prior[:, 2])
    edge = math.exp(-0.5 * ((24 - 8) / 12) ** 2)
    assert prior[1, 0].item() == pytest.approx(edge)


def test_pointing_is_a_chance_over_maxima():
    maps = torch.tensor([[[1.0, 1], [0, 0]]])
    wanted, labeled = torch.tensor([[[3.0, 1], [9, 9]]]).double(), torch.tensor([[4.0, 2], [9, 9]]).double()
    assert pointing(maps, wanted, labeled).item() == pytest.approx(4 / 6)


def test_the_probe_scores_the_models_maps():
    backbone = make()
    images = [torch.rand(3, 64, 80), torch.randint(0, 256, (3, 50, 33), dtype=torch.uint8), torch.rand(3, 50, 33)]
    masks = masks_like(images)
    finding = AttentionScores(CLASSES, mass=0.5)(backbone, images, masks)
    best, heads = [], []
    backbone.eval()
    for image, mask in zip(images, masks):
        found = attention_maps(backbone, image[None])
        h, w = -(-image.shape[1] // 16), -(-image.shape[2] // 16)
        held = mass_mask(found.maps[1][0, :, :h, :w], 0.5)
        large = over_image(held, found.extent, image.shape[1:], "nearest").bool()
        truth, labeled = (mask != 0) & (mask != 255), mask != 255
        overlaps = [(one & truth).sum() / ((one | truth) & labeled).sum() for one in large]
        best.append(max(overlaps))
        heads.append(overlaps)
    numbers = finding.numbers
    assert numbers["best_head_jaccard"] == numbers["block2/best_head_jaccard"] == pytest.approx(np.mean(best))
    assert numbers["block2/head2/jaccard"] == pytest.approx(np.mean(heads, 0)[1])
    assert numbers["jaccard"] == pytest.approx(np.mean(heads))
    assert set(finding.figures) == {"heads", "masses", "classes"}
    assert finding.arrays["heads"].shape == (2, 2, 4)
    assert finding.arrays["masses"].shape == (4, len(MASSES))
    assert {"class/cat/best_head_jaccard", "class/traffic_light/best_head_jaccard"} <= set(numbers)
    for who in ("random", "center", "untrained"):
        assert 0 < numbers[f"{who}/best_head_jaccard"] < 1
    assert numbers["random/entropy"] == pytest.approx(numbers["entropy"])
    assert all(0 <= value <= 1 for value in numbers.values())
    for plot in finding.figures.values():
        plot.figure().draw_without_rendering()


def test_an_untrained_model_equals_the_untrained_one():
    backbone = untrained_like(make())
    numbers = AttentionScores(CLASSES, blocks=(0,))(
        backbone, images := [torch.rand(3, 48, 48)], masks_like(images)
    ).numbers
    for what in ("best_head_jaccard", "information", "entropy"):
        assert numbers[what] == pytest.approx(numbers[f"untrained/{what}"])
    other = AttentionScores(CLASSES, untrained=make())(backbone, images, masks_like(images)).numbers
    assert other["untrained/entropy"] != other["entropy"]


def test_a_swin_with_blocks_of_different_heads_and_no_background():
    backbone = make(
        "swin_tiny_patch4_window7_224", {"depths": (1, 1), "embed_dim": 16, "num_heads": (1, 3), "window_size": 4}
    )
    images = [torch.rand(3, 32, 48)] * 2
    finding = AttentionScores(("a", "b", "c"))(backbone, images, masks_like(images))
    assert np.isnan(finding.arrays["heads"][0, 1:]).all()
    assert not np.isnan(finding.arrays["heads"][1]).any()
    assert {"block1/head1/jaccard", "block2/head3/jaccard"} <= set(finding.numbers)
    finding.figures["heads"].figure().draw_without_rendering()


def test_the_model_and_the_random_state_are_left_as_they_were():
    backbone = make().train()
    backbone.network.norm.eval()
    next(backbone.parameters()).requires_grad = False
    before = [m.training for m in backbone.modules()], [p.requires_grad for p in backbone.parameters()]
    images = [torch.rand(3, 32, 32)]
    state = torch.get_rng_state()
    AttentionScores(CLASSES)(backbone, images, masks_like(images))
    assert torch.equal(torch.get_rng_state(), state)
    assert ([m.training for m in backbone.modules()], [p.requires_grad for p in backbone.parameters()]) == before
    assert not any(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in backbone.modules())


def test_what_cannot_be_asked():
    for options, message in (({"mass": 1.5}, "--mass 1.5"), ({"seed": -1}, "--seed -1")):
        with pytest.raises(UserError, match=message):
            AttentionScores(CLASSES, **options)
    image, mask = torch.rand(3, 32, 32), torch.zeros(32, 32, dtype=torch.uint8)
    with pytest.raises(UserError, match="masks: none given"):
        AttentionScores(CLASSES)(make(), [image])
    with pytest.raises(UserError, match="masks: number 0"):
        AttentionScores(CLASSES)(make(), [image], [mask[:8]])
    with pytest.raises(UserError, match="--blocks 5"):
        AttentionScores(CLASSES, blocks=(5,))(make(), [image], [mask])
    with pytest.raises(UserError, match="twinsight look erf"):
        AttentionScores(CLASSES)(Backbone("test_resnet"), [image], [mask])


def test_the_public_protocol_pixel_by_pixel():
    """Each class has its own best head, images are cropped, and void under a mask counts against it."""
    backbone = make().eval()
    images = [torch.rand(3, 64, 80), torch.rand(3, 50, 45)]
    masks = masks_like(images)
    finding = AttentionScores(CLASSES, blocks=(-1,), protocol="public")(backbone, images, masks)
    scores = []
    for image, mask in zip(images, masks):
        height, width = image.shape[1] // 16 * 16, image.shape[2] // 16 * 16
        with torch.no_grad():
            maps = attention_maps(backbone, image[None, :, :height, :width], (-1,)).maps[0][0].double()
        heads = []
        for one in maps:
            ascending = one.flatten().sort()
            dropped = (ascending.values / ascending.values.sum()).cumsum(0) <= 1 - 0.6
            held = torch.ones(one.numel(), dtype=torch.bool)
            held[ascending.indices[dropped]] = False
            heads.append(held.view_as(one).repeat_interleave(16, 0).repeat_interleave(16, 1))
        truth = mask[:height, :width]
        best = [
            max(((head & (truth == label)).sum() / (head | (truth == label)).sum()).item() for head in heads)
            for label in truth.unique().tolist()
            if label not in (0, 255)
        ]
        scores.append(np.mean(best))
    assert finding.numbers["best_head_jaccard"] == pytest.approx(np.mean(scores), rel=1e-6)
    foreground = AttentionScores(CLASSES, blocks=(-1,))(backbone, images, masks)
    assert foreground.numbers["best_head_jaccard"] != pytest.approx(np.mean(scores), rel=0.05)
    with pytest.raises(UserError, match="smaller than a patch"):
        AttentionScores(CLASSES, protocol="public")(backbone, [torch.rand(3, 12, 64)], [torch.zeros(12, 64).byte()])
