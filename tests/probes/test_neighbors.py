import math

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.draw import COLORS
from twinsight.probes.embeddings.neighbors import (
    Neighbors,
    class_names,
    dominant_class,
    embed,
    knn_accuracy,
    leave_one_out,
)


def reference(train, train_labels, test, test_labels, k, temperature):
    right = 0
    for x, label in zip(test.tolist(), test_labels.tolist()):
        similarity = []
        for y, other in zip(train.tolist(), train_labels.tolist()):
            cosine = sum(a * b for a, b in zip(x, y)) / math.hypot(*x) / math.hypot(*y)
            similarity.append((cosine, other))
        votes: dict[int, float] = {}
        for cosine, other in sorted(similarity, reverse=True)[:k]:
            votes[other] = votes.get(other, 0.0) + math.exp(cosine / temperature)
        right += max(votes, key=lambda name: votes[name]) == label
    return right / len(test)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.5), (1000, 0.07)])
def test_equals_a_loop(k, temperature):
    torch.manual_seed(0)
    centers = torch.randn(4, 6)
    train_labels, test_labels = torch.randint(0, 4, (60,)), torch.randint(0, 5, (30,))
    train = centers[train_labels] + 1.5 * torch.randn(60, 6)
    test = centers[test_labels % 4] + 1.5 * torch.randn(30, 6)
    arguments = (train, train_labels, test, test_labels, k, temperature)
    found = knn_accuracy(*arguments)
    assert found == pytest.approx(reference(*arguments))
    assert 0.2 < found < 0.9


class Lookup(nn.Module):
    """Embeds an image as the row of a table that its first pixel names."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(torch.as_tensor(table, dtype=torch.float32))

    def forward(self, images):
        return self.table[images[:, 0, 0, 0].long()]


def numbered(count, size=(4, 6)):
    return [torch.full((3, *size), i, dtype=torch.uint8) for i in range(count)]


def at_angles(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float32).deg2rad()
    return Lookup(torch.stack([angles.cos(), angles.sin()], 1) * torch.arange(1, len(degrees) + 1)[:, None])


def captions(finding):
    return [axis.get_xlabel() for axis in finding.figures["neighbors"].figure().axes]


@pytest.mark.parametrize("k", [1, 5, 20, 1000])
def test_leaving_one_out_equals_a_loop(k):
    torch.manual_seed(0)
    labels = torch.randint(0, 4, (40,))
    embeddings = torch.randn(4, 6)[labels] + 1.5 * torch.randn(40, 6)
    right = 0.0
    for i in range(40):
        rest = torch.arange(40) != i
        one = embeddings[i : i + 1], labels[i : i + 1]
        right += reference(embeddings[rest], labels[rest], *one, k, 0.07)
    found = leave_one_out(embeddings, labels, k)
    assert found == pytest.approx(right / 40)
    assert 0.2 < found < 0.9


def test_leaving_one_out_of_two_leaves_the_other():
    embeddings = torch.eye(2)
    assert leave_one_out(embeddings, torch.tensor([1, 1])) == 1
    assert leave_one_out(embeddings, torch.tensor([0, 1])) == 0


def test_embeddings_of_any_sizes_in_eval_mode():
    torch.manual_seed(0)
    backbone = Backbone("resnet10t").train()
    backbone.network.layer1.eval()
    modes = [module.training for module in backbone.modules()]
    sizes = [(32, 48), (32, 48), (32, 48), (40, 33), (32, 48)]
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
    found = embed(backbone, images, batch_size=2)
    assert [module.training for module in backbone.modules()] == modes
    assert found.shape == (5, backbone.dim)
    assert not found.requires_grad
    backbone.eval()
    with torch.no_grad():
        expected = torch.cat([backbone(image[None]) for image in images])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_dominant_class():
    mask = np.array([[0, 0, 0, 0], [255, 255, 255, 255], [2, 2, 2, 1]], np.uint8)
    assert dominant_class(mask) == 2
    assert dominant_class(mask, background=-1) == 0
    assert dominant_class(np.array([[0, 255]], np.uint8)) == 0
    assert dominant_class(np.array([[255, 255]], np.uint8), background=-1) == -1


def test_names_of_classes():
    masks = [torch.tensor([[0, 0, 1]]), torch.tensor([[255, 255]]), torch.tensor([[0, 0]])]
    assert class_names(3, masks, ("background", "cat"), None) == ["cat", "background", "background"]
    assert class_names(3, masks, ("sky", "road"), None) == ["sky", "void", "sky"]
    assert class_names(3, masks, ("sky", "road"), ["a", "b", "c"]) == ["a", "b", "c"]
    assert class_names(3, None, ("sky", "road"), None) is None
    assert class_names(3, masks, (), None) is None
    with pytest.raises(UserError, match="2 names for 3 images"):
        class_names(3, masks, (), ["a", "b"])


def test_the_nearest_come_first_and_none_is_its_own_neighbor():
    finding = Neighbors(queries=2, k=3, labels=list("aabba"))(at_angles(0, 10, 30, 90, 180), numbered(5))
    cosines = [f"{math.cos(math.radians(degrees)):z.3f}" for degrees in (10, 30, 90, 90, 150, 170)]
    first, last = captions(finding)[:4], captions(finding)[4:]
    assert first == ["query\na", f"{cosines[0]}\na", f"{cosines[1]}\nb", f"{cosines[2]}\nb"]
    assert last == ["query\na", f"{cosines[3]}\nb", f"{cosines[4]}\nb", f"{cosines[5]}\na"]


def test_frames_tell_the_querys_class_from_others():
    finding = Neighbors(queries=1, k=3, labels=list("aabb"))(at_angles(0, 10, 30, 90), numbered(4))
    axes = finding.figures["neighbors"].figure().axes
    frames = [axis.spines["top"].get_edgecolor() if axis.spines["top"].get_visible() else None for axis in axes]
    same, other = map(to_rgba, COLORS[:2])
    assert frames == [None, same, other, other]


def test_numbers_equal_loops():
    torch.manual_seed(0)
    table = torch.randn(12, 5).double()
    labels = [str(i % 3) for i in range(12)]
    numbers = Neighbors(k=4, labels=labels)(Lookup(table), numbered(12)).numbers
    cosine = [[float(a @ b / a.norm() / b.norm()) for b in table] for a in table]
    first, pairs, agreed, chance = [], [], [], []
    for i in range(12):
        near = sorted((j for j in range(12) if j != i), key=lambda j: -cosine[i][j])
        first.append(cosine[i][near[0]])
        pairs += [cosine[i][j] for j in near]
        agreed += [labels[j] == labels[i] for j in near[:4]]
        chance += [labels[j] == labels[i] for j in near]
    assert numbers["first_similarity"] == pytest.approx(np.mean(first), abs=1e-6)
    assert numbers["mean_similarity"] == pytest.approx(np.mean(pairs), abs=1e-6)
    assert numbers["agreement"] == pytest.approx(np.mean(agreed))
    assert numbers["agreement_chance"] == pytest.approx(np.mean(chance))


def test_a_collapsed_network_finds_all_alike():
    finding = Neighbors(queries=1, k=2)(Lookup(torch.ones(4, 3)), numbered(4))
    assert finding.numbers == pytest.approx({"first_similarity": 1, "mean_similarity": 1})
    assert captions(finding) == ["query", "1.000", "1.000"]


def test_images_of_any_shape_have_cells_of_one():
    images = [image for size in ((8, 4), (3, 9), (5, 5)) for image in numbered(3, size)]
    figure = Neighbors(queries=3, k=2)(at_angles(0, 10, 30), images).figures["neighbors"].figure()
    assert len({axis.images[0].get_array().shape for axis in figure.axes}) == 1


@pytest.mark.parametrize(("queries", "k", "needed"), [(4, 6, 7), (9, 6, 9)])
def test_too_few_images(queries, k, needed):
    with pytest.raises(UserError, match=f"need {needed} images, but there are 6"):
        Neighbors(queries, k)(at_angles(*range(6)), numbered(6))


@pytest.mark.parametrize("options", [{"queries": 0}, {"k": 0}, {"k": 13}])
def test_impossible_options(options):
    with pytest.raises(UserError, match=f"--{next(iter(options))} "):
        Neighbors(**options)
