import math

import numpy as np
import pytest
import torch

from twinsight.backbones.backbone import Backbone
from twinsight.probes.neighbors import dominant_class, embed, knn_accuracy


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


def test_embeddings_in_eval_mode():
    torch.manual_seed(0)
    backbone = Backbone("resnet10t").train()
    images = [np.random.default_rng(i).integers(0, 256, (32, 48, 3), np.uint8) for i in range(5)]
    found = embed(backbone, images, batch_size=2)
    assert backbone.training
    assert backbone.network.bn1.training
    assert found.shape == (5, backbone.dim)
    with torch.no_grad():
        one = backbone.eval()(torch.from_numpy(images[3]).permute(2, 0, 1)[None])
    torch.testing.assert_close(found[3:4], one, atol=1e-5, rtol=1e-4)


def test_dominant_class():
    mask = np.array([[0, 0, 0, 0], [255, 255, 255, 255], [2, 2, 2, 1]], np.uint8)
    assert dominant_class(mask) == 2
    assert dominant_class(np.array([[0, 255]], np.uint8)) == 0
