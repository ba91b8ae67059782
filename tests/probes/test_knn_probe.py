import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.embeddings.knn import Knn, knn_predictions, labeled
from twinsight.probes.embeddings.neighbors import leave_one_out


class Lookup(nn.Module):
    """Embeds an image as the row of a table that its first pixel names."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(table.float())

    def forward(self, images):
        return self.table[images[:, 0, 0, 0].long()]


def numbered(count):
    return [torch.full((3, 4, 6), i, dtype=torch.uint8) for i in range(count)]


def clusters(count, noise):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 4
    return torch.eye(4, 6)[labels] + noise * torch.randn(count, 6, generator=generator), labels


@pytest.mark.parametrize("ks", [(1,), (10, 20, 100), (20, 10)])
def test_votes_are_sklearns(ks):
    (train, labels), (test, _) = clusters(1500, 0.8), clusters(1200, 0.7)
    found = knn_predictions(train, labels, test, 4, ks)
    for k, row in zip(ks, found):
        knn = KNeighborsClassifier(k, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07))
        np.testing.assert_array_equal(row.numpy(), knn.fit(train.numpy(), labels.numpy()).predict(test.numpy()))


def test_more_neighbors_than_there_are_ask_all():
    (train, labels), (test, _) = clusters(30, 0.8), clusters(20, 0.9)
    few, many = knn_predictions(train, labels, test, 4, (30, 1000))
    assert torch.equal(few, many)


def test_clusters_far_apart_are_told_apart():
    vectors, labels = clusters(80, 0.05)
    numbers = Knn(labels=[f"class {label}" for label in labels.tolist()])(Lookup(vectors), numbered(80)).numbers
    assert numbers == {"k10/accuracy": 1, "k20/accuracy": numbers["k20/accuracy"], "majority_share": 0.25}


def test_each_image_asks_all_others():
    vectors, labels = clusters(60, 0.8)
    finding = Knn(labels=[str(label) for label in labels.tolist()], ks=(5, 20))(Lookup(vectors), numbered(60))
    for k in (5, 20):
        assert finding.numbers[f"k{k}/accuracy"] == pytest.approx(leave_one_out(vectors, labels, k))
    assert 0.3 < finding.numbers["k5/accuracy"] < 1
    finding.figures["accuracy"].figure().draw_without_rendering()


def test_few_images_ask_all_with_the_least_k():
    numbers = Knn(labels=list("aabbb"))(Lookup(torch.eye(5)), numbered(5)).numbers
    assert set(numbers) == {"k10/accuracy", "majority_share"}
    assert numbers["majority_share"] == 0.6


def test_masks_stand_in_for_labels_and_void_is_left_out():
    masks = [torch.full((4, 6), value, dtype=torch.uint8) for value in (1, 255, 2, 0, 1)]
    masks[4][:1] = 2
    chosen, labels, names = labeled(5, masks, ("background", "cat", "dog"), None)
    assert chosen == [0, 2, 3, 4]
    assert [names[label] for label in labels] == ["cat", "dog", "background", "cat"]
    assert labeled(2, masks[:2], ("background", "cat"), ["void", "x"])[0] == [0, 1]  # a label may be called so


def test_the_model_is_left_as_it_was():
    backbone = Backbone("test_resnet").train()
    images = [torch.rand(3, 33, 50), torch.rand(3, 64, 32)]
    state = torch.get_rng_state()
    Knn(labels=list("ab"))(backbone, images)
    assert torch.equal(torch.get_rng_state(), state)
    assert backbone.training
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_what_cannot_be_asked():
    model, images = Lookup(torch.eye(4)), numbered(4)
    for options, said in (({"ks": ()}, "--ks"), ({"ks": (0,)}, "--ks 0"), ({"temperature": 0}, "--temperature 0")):
        with pytest.raises(UserError, match=said):
            Knn(**options)
    with pytest.raises(UserError, match="has neither image classes nor masks"):
        Knn()(model, images)
    with pytest.raises(UserError, match="all of class a"):
        Knn(labels=["a"] * 4)(model, images)
    with pytest.raises(UserError, match="all void"):
        Knn(classes=("a", "b"))(model, images, [torch.full((4, 6), 255, dtype=torch.uint8)] * 4)
