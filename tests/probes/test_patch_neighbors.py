import math

import numpy as np
import pytest
import torch
from colors import Colors
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.attention.maps import Look
from twinsight.probes.fits.votes import Memory, vote
from twinsight.probes.patches.labeled import majority, upsampled
from twinsight.probes.patches.neighbors import PatchNeighbors, patch_knn, remember
from twinsight.segmentation.metrics import ConfusionMatrix

CLASSES = ("background", "Big Cat", "dog")
PALETTE = np.array([[0, 0, 0], [200, 0, 0], [0, 200, 0]], np.uint8)


def some(count, seed, height=12, width=20):
    """Noise, and labels in blocks of 3 x 5 pixels, some of them void."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, height, width, generator=generator)
    coarse = torch.randint(0, 3, (count, -(-height // 3), -(-width // 5)), generator=generator)
    masks = coarse.repeat_interleave(3, 1).repeat_interleave(5, 2)[:, :height, :width].contiguous()
    masks[torch.rand(masks.shape, generator=generator) < 0.1] = 255
    return list(images), list(masks.byte())


def brute_force(train, train_masks, val, val_masks, k, temperature):
    """Patch by patch, in float64, for images of whole patches."""

    def cells(image):
        _, height, width = image.shape
        return [(slice(y, y + 4), slice(x, x + 4)) for y in range(0, height, 4) for x in range(0, width, 4)]

    memory = []
    for image, mask in zip(train, train_masks):
        for where in cells(image):
            votes = [(mask[where] == c).sum().item() for c in range(3)]
            if sum(votes):
                memory.append((image[:, where[0], where[1]].double().mean((1, 2)), votes.index(max(votes))))
    matrix = torch.zeros(3, 3, dtype=torch.int64)
    for image, mask in zip(val, val_masks):
        for where in cells(image):
            query = image[:, where[0], where[1]].double().mean((1, 2))
            near = sorted(((query @ v / query.norm() / v.norm()).item(), c) for v, c in memory)[-k:]
            votes = [sum(math.exp(s / temperature) for s, c in near if c == label) for label in range(3)]
            for truth in mask[where].flatten().tolist():
                if truth != 255:
                    matrix[truth, votes.index(max(votes))] += 1
    return matrix


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (7, 0.07), (20, 1.0), (1000, 0.5)])
def test_patch_knn_is_a_loop_over_patches(k, temperature):
    train, val = some(4, 0), some(2, 1)
    found = patch_knn(Colors(), *train, *val, classes=3, k=k, temperature=temperature).found
    assert torch.equal(found.matrix, brute_force(*train, *val, k, temperature))


def test_the_vote_is_sklearns():
    generator = torch.Generator().manual_seed(0)
    known = nn.functional.normalize(torch.randn(3000, 8, generator=generator), dim=1)
    asked = nn.functional.normalize(torch.randn(1500, 8, generator=generator), dim=1)
    labels = torch.randint(0, 5, (3000,), generator=generator)
    knn = KNeighborsClassifier(9, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07))
    expected = knn.fit(known.numpy(), labels.numpy()).predict(asked.numpy())
    np.testing.assert_array_equal(vote(asked, Memory(known, labels), 5, 9).numpy(), expected)


def test_majority_of_what_is_not_void_and_back_to_pixels():
    mask = torch.full((6, 7), 255, dtype=torch.uint8)
    mask[0, 0] = 2  # one pixel of its patch is labeled
    mask[:4, 4:] = 1
    mask[0, 4:] = 0  # 3 pixels against 9
    look = Look(torch.zeros(1, 2, 2), (8, 8), (6, 7))
    labels = majority(mask, 3, look)
    assert labels.tolist() == [2, 1, 255, 255]
    large = upsampled(labels, look)
    assert large.shape == (6, 7)
    assert large[:4, :4].unique().tolist() == [2]
    assert large[:4, 4:].unique().tolist() == [1]


def test_the_memory_is_a_draw_from_all_patches():
    images, masks = some(30, 0)
    everything = remember(Colors(), images, masks, 3, -1, 10**6, 0)
    small = remember(Colors(), images, masks, 3, -1, 50, 0)
    assert len(everything.labels) == 450
    assert len(small.labels) == 50
    places = [(everything.vectors == v).all(1).nonzero().flatten().tolist() for v in small.vectors]
    assert all(len(place) == 1 for place in places)
    index = sorted(place[0] for place in places)
    assert len(set(index)) == 50
    assert index[0] < 60
    assert index[-1] > 390
    assert torch.equal(everything.labels[[p[0] for p in places]], small.labels)
    again, other = (remember(Colors(), images, masks, 3, -1, 50, seed).vectors for seed in (0, 1))
    assert torch.equal(small.vectors, again)
    assert not torch.equal(small.vectors, other)


def test_the_probe_asks_the_second_half_with_the_first():
    images, masks = some(5, 3)
    finding = PatchNeighbors(CLASSES, PALETTE, k=5)(Colors(), images, masks)
    expected = patch_knn(Colors(), images[:3], masks[:3], images[3:], masks[3:], 3, k=5).found
    assert finding.numbers["mean_iou"] == pytest.approx(expected.scalars()["mean_iou"])
    assert finding.numbers["pixel_accuracy"] == pytest.approx(expected.scalars()["pixel_accuracy"])
    assert finding.numbers["class/big_cat/iou"] == pytest.approx(expected.iou[1].item())
    best = ConfusionMatrix(3)
    for mask in masks[3:]:
        for y in range(0, 12, 4):
            for x in range(0, 20, 4):
                cell = mask[y : y + 4, x : x + 4]
                label = max(range(3), key=lambda c: ((cell == c).sum().item(), -c))
                best.update(torch.full((1, 4, 4), label), cell[None])
    assert finding.numbers["ceiling_mean_iou"] == pytest.approx(best.compute().scalars()["mean_iou"])
    assert len(finding.scenes) == 2
    figure = finding.figures["patches"].figure()
    assert [a.get_title() for a in figure.axes[:3]] == ["image", "truth", "of the nearest patches"]
    figure.draw_without_rendering()


def test_a_backbone_that_sees_the_classes_reaches_the_ceiling():
    _, masks = some(6, 0, 16, 16)
    whole = [m[::4, ::4].repeat_interleave(4, 0).repeat_interleave(4, 1).clamp(max=2) for m in masks]
    images = [nn.functional.one_hot(m.long(), 3).permute(2, 0, 1).float() for m in whole]
    numbers = PatchNeighbors(CLASSES, PALETTE, k=1)(Colors(), images, whole).numbers
    assert numbers["mean_iou"] == numbers["ceiling_mean_iou"] == 1


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_odd_sizes_and_a_model_left_as_it_was(name):
    backbone = Backbone(name).train()
    next(backbone.parameters()).requires_grad = False
    before = [m.training for m in backbone.modules()], [p.requires_grad for p in backbone.parameters()]
    (a, m), (b, n) = some(2, 0, 37, 50), some(2, 1, 64, 33)
    state = torch.get_rng_state()
    finding = PatchNeighbors(CLASSES, PALETTE, level=-2)(backbone, a + b, m + n)
    assert torch.equal(torch.get_rng_state(), state)
    assert 0 <= finding.numbers["mean_iou"] <= finding.numbers["ceiling_mean_iou"] + 0.2
    assert [scene.masks["prediction"].shape for scene in finding.scenes] == [(64, 33)] * 2
    assert ([m.training for m in backbone.modules()], [p.requires_grad for p in backbone.parameters()]) == before
    assert not any(len(m._forward_hooks) for m in backbone.modules())


def test_what_cannot_be_asked():
    images, masks = some(2, 0)
    for option in ("k", "memory", "shown"):
        with pytest.raises(UserError, match=f"--{option} 0: is too small; give 1 or more"):
            PatchNeighbors(CLASSES, PALETTE, **{option: 0})
    ask = PatchNeighbors(CLASSES, PALETTE)
    with pytest.raises(UserError, match="masks: none given"):
        ask(Colors(), images)
    with pytest.raises(UserError, match="images: 1 given"):
        ask(Colors(), images[:1], masks[:1])
    with pytest.raises(UserError, match="--level 3: no such level in colors; give 0 to 0, or -1 to -1"):
        PatchNeighbors(CLASSES, PALETTE, level=3)(Colors(), images, masks)
    with pytest.raises(UserError, match="are void; choose other images"):
        ask(Colors(), images, [torch.full_like(mask, 255) for mask in masks])
