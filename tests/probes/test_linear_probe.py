import numpy as np
import pytest
import torch
from colors import Colors
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import top_k_accuracy_score
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.embeddings.linear import LinearProbe, linear_logits, top
from twinsight.probes.fits.linear import Linear, choose_strength, fit, held_out
from twinsight.probes.patches.labeled import labeled_patches
from twinsight.probes.patches.linear import patch_linear


def some(count=300, dim=5, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, dim, generator=generator) * torch.tensor([1.0, 10, 0.1, 3, 1])[:dim] + 7
    y = ((x - 7) / x.std(0) @ torch.randn(dim, classes, generator=torch.Generator().manual_seed(9))).argmax(1)
    flip = torch.rand(count, generator=generator) < 0.2
    y[flip] = torch.randint(0, classes, (int(flip.sum()),), generator=generator)
    return x, y


def one_hot(y, classes=3):
    return nn.functional.one_hot(y, classes)


def sklearns(x, targets, strength):
    """Each row as often as its classes, with their weights; mean cross-entropy + strength / 2 * |weight|^2."""
    x = x.double().numpy()
    z = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    rows, labels = np.nonzero(targets.numpy())
    model = LogisticRegression(C=1 / strength, tol=1e-10, max_iter=10_000)
    weights = targets.numpy()[rows, labels] / targets.sum().item()
    return model.fit(z[rows], labels, sample_weight=weights).predict_proba(z)


@pytest.mark.parametrize("strength", [1.0, 1e-2, 1e-4])
def test_is_sklearns_logistic_regression(strength):
    x, y = some()
    found = fit(x, one_hot(y), strength)(x).softmax(1)
    np.testing.assert_allclose(found.numpy(), sklearns(x, one_hot(y), strength), atol=2e-3)


def test_rows_count_for_several_classes_by_weight():
    x, y = some()
    targets = one_hot(y) * 5 + torch.randint(0, 4, (300, 3), generator=torch.Generator().manual_seed(1))
    found = fit(x, targets, 1e-2)(x).softmax(1)
    np.testing.assert_allclose(found.numpy(), sklearns(x, targets, 1e-2), atol=2e-3)


def test_constant_features_and_scales_change_nothing():
    x, y = some()
    wide = torch.cat([x * 100, torch.full((300, 1), 5.0)], 1)
    plain, other = fit(x, one_hot(y), 1e-2)(x), fit(wide, one_hot(y), 1e-2)(wide)
    torch.testing.assert_close(plain.softmax(1), other.softmax(1), atol=2e-3, rtol=0)


def test_the_strength_is_that_of_the_least_loss_on_what_is_held_out():
    x, y = some(60, 5)
    noise = torch.cat([x, torch.randn(60, 50, generator=torch.Generator().manual_seed(1))], 1)
    held = held_out(60)
    losses = {}
    for strength in (10.0, 1e-1, 1e-5):
        learned = fit(noise[~held], one_hot(y[~held]), strength)
        losses[strength] = nn.functional.cross_entropy(learned(noise[held]), y[held]).item()
    assert choose_strength(noise, one_hot(y), held, list(losses)) == min(losses, key=lambda one: losses[one])
    assert min(losses, key=lambda one: losses[one]) != 1e-5  # 55 features tell 48 images apart by heart


def test_a_fifth_is_held_out():
    assert held_out(100).sum() == 20
    assert held_out(2).sum() == held_out(3).sum() == 1
    assert torch.equal(held_out(100), held_out(100))
    assert not torch.equal(held_out(100), held_out(100, seed=1))


def test_works_without_gradients_and_on_what_inference_made():
    x, y = some()
    expected = fit(x, one_hot(y), 1e-2)
    with torch.inference_mode():
        made = x * 1
        found = fit(made, one_hot(y), 1e-2)
    torch.testing.assert_close(found.weight, expected.weight)
    assert not found.weight.requires_grad


def test_top_k_is_sklearns():
    logits, labels = torch.randn(200, 8), torch.arange(200) % 8
    for k in (1, 5):
        expected = top_k_accuracy_score(labels, logits.numpy(), k=k, labels=list(range(8)))
        assert top(logits, labels, k) == pytest.approx(expected)


def test_classes_that_a_layer_can_tell_apart():
    (train, y), (test, z) = some(400, seed=0), some(200, seed=1)
    logits, strength = linear_logits(train, y, test, 3)
    assert top(logits, z, 1) > 0.75  # a fifth is noise, of which a third is right
    assert 1e-6 <= strength <= 1


class Lookup(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, images):
        return self.table[images[:, 0, 0, 0].long()]


def test_the_probe_asks_each_half_with_the_other():
    x, y = some(100)
    images = [torch.full((3, 4, 4), i, dtype=torch.uint8) for i in range(100)]
    finding = LinearProbe(labels=["abc"[label] for label in y.tolist()])(Lookup(x), images)
    right = 0
    for first in (0, 1):
        logits, _ = linear_logits(x[first::2], y[first::2], x[1 - first :: 2], 3)
        right += int((logits.argmax(1) == y[1 - first :: 2]).sum())
    numbers = finding.numbers
    assert numbers["accuracy"] == pytest.approx(right / 100)
    assert numbers["majority_share"] == y.bincount().max().item() / 100
    each = [numbers[f"class/{name}/accuracy"] * (y == i).sum().item() for i, name in enumerate("abc")]
    assert sum(each) == pytest.approx(right)
    assert "top5_accuracy" not in numbers
    finding.figures["confusion"].figure().draw_without_rendering()


def test_many_classes_have_a_top_5_and_no_figure():
    images = [torch.full((3, 4, 4), i, dtype=torch.uint8) for i in range(100)]
    finding = LinearProbe(labels=[str(i // 2) for i in range(100)])(
        Lookup(torch.eye(50).repeat_interleave(2, 0)), images
    )
    assert finding.numbers["accuracy"] == finding.numbers["top5_accuracy"] == 1
    assert not finding.figures


def test_the_model_and_the_random_state_are_left_as_they_were():
    backbone = Backbone("test_resnet").train()
    next(backbone.parameters()).requires_grad = False
    before = [m.training for m in backbone.modules()], [p.requires_grad for p in backbone.parameters()]
    images = [torch.rand(3, 33, 40)] * 4 + [torch.rand(3, 32, 32)] * 4
    state = torch.get_rng_state()
    LinearProbe(labels=list("aabbaabb"))(backbone, images)
    assert torch.equal(torch.get_rng_state(), state)
    assert ([m.training for m in backbone.modules()], [p.requires_grad for p in backbone.parameters()]) == before


def test_what_cannot_be_asked():
    model, images = Lookup(torch.eye(8)), [torch.zeros(3, 4, 4)] * 7
    with pytest.raises(UserError, match="--seed -1"):
        LinearProbe(seed=-1)
    with pytest.raises(UserError, match="images: only 7 with a class"):
        LinearProbe(labels=list("abababa"))(model, images)
    with pytest.raises(UserError, match="neither image classes nor masks"):
        LinearProbe()(model, images)


def scenes(count, seed):
    """Blocks of 8 x 8 pixels in the color of their class, of three, under noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 3, (count, 4, 5), generator=generator)
    masks = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :30, :38].contiguous()
    images = nn.functional.one_hot(masks, 3).permute(0, 3, 1, 2) + 0.5 * torch.randn(
        count, 3, 30, 38, generator=generator
    )
    return list(images), list(masks.byte())


def test_segmentation_by_a_linear_layer():
    train, val = scenes(10, 0), scenes(4, 1)
    for mask in train[1]:
        mask[:8, :8] = 255
    scores, strength = patch_linear(Colors(), *map(iter, train), *map(iter, val), classes=3)
    assert scores.scalars()["pixel_accuracy"] > 0.9  # but for the borders, which are resized
    assert scores.matrix.sum() == 4 * 30 * 38
    assert 1e-6 <= strength <= 1


def test_segmentation_written_out(monkeypatch):
    monkeypatch.setattr("twinsight.probes.patches.linear.choose_strength", lambda *_: 1e-2)
    train, val = scenes(6, 0), scenes(2, 1)
    scores, _ = patch_linear(Colors(), *train, *val, classes=3)
    rows, counts = [], []
    for image, mask in zip(*train):
        padded = nn.functional.pad(image, (0, 2, 0, 2))
        for y in range(0, 30, 4):
            for x in range(0, 38, 4):
                rows.append(padded[:, y : y + 4, x : x + 4].mean((1, 2)))
                counts.append([(mask[y : y + 4, x : x + 4] == c).sum().item() for c in range(3)])
    learned: Linear = fit(torch.stack(rows), torch.tensor(counts), 1e-2)
    right = 0
    for image, mask in zip(*val):
        small = nn.functional.avg_pool2d(nn.functional.pad(image, (0, 2, 0, 2)), 4)
        logits = learned(small.flatten(1).T).T.view(1, 3, 8, 10)
        large = nn.functional.interpolate(logits, (32, 40), mode="bilinear")[0, :, :30, :38]
        right += int((large.argmax(0) == mask).sum())
    assert int(scores.matrix.diagonal().sum()) == pytest.approx(right, abs=3)


def test_patches_are_drawn_with_their_counts_and_images():
    images, masks = scenes(30, 0)
    drawn = labeled_patches(Colors(), images, masks, 3, -1, 100, 0)
    assert drawn.features.shape == (100, 3)
    assert drawn.counts.sum(1).max() == 16
    assert drawn.image.unique().numel() > 20
    i = int(drawn.image[0])
    found = Colors().features(images[i][None], [0]).maps[0][0].flatten(1).T
    assert (found == drawn.features[0]).all(1).any()
