"""Each loss against its definition, written out in float64 over pixels and classes."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from twinsight.errors import UserError
from twinsight.segmentation.losses import (
    LOSSES,
    VOID,
    SegmentationLoss,
    cross_entropy,
    dice,
    focal,
    jaccard,
    lovasz,
)
from twinsight.segmentation.terms import parse

WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0])


def problem(void=0.2, absent=2, classes=4, size=(2, 3, 5), seed=0):
    """Logits in float64 and a target with void pixels, in which class `absent` never occurs."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(size[0], classes, *size[1:], generator=generator, dtype=torch.float64)
    target = torch.randint(classes, size, generator=generator)
    target[target == absent] = 0
    target[torch.rand(size, generator=generator) < void] = VOID
    return logits, target


def pixels(logits, target):
    """(probabilities, label) of every pixel that counts, in plain Python."""
    for b in range(target.shape[0]):
        for i in range(target.shape[1]):
            for j in range(target.shape[2]):
                if target[b, i, j] != VOID:
                    z = [math.exp(v) for v in logits[b, :, i, j].tolist()]
                    yield [v / sum(z) for v in z], int(target[b, i, j])


def cross_entropy_by_hand(logits, target, weights, smoothing):
    total = weight = 0.0
    for p, y in pixels(logits, target):
        truth = [smoothing / len(p) + (1 - smoothing) * (c == y) for c in range(len(p))]
        total -= sum(w * t * math.log(q) for w, t, q in zip(weights, truth, p))
        weight += weights[y]
    return total / weight


def focal_by_hand(logits, target, gamma, weights):
    terms = [(weights[y], -((1 - p[y]) ** gamma) * math.log(p[y])) for p, y in pixels(logits, target)]
    return sum(w * term for w, term in terms) / sum(w for w, _ in terms)


def overlap_by_hand(logits, target, score):
    losses = []
    for c in {y for _, y in pixels(logits, target)}:
        overlap = sum(p[c] for p, y in pixels(logits, target) if y == c)
        predicted = sum(p[c] for p, _ in pixels(logits, target))
        actual = sum(y == c for _, y in pixels(logits, target))
        losses.append(1 - score(overlap, predicted, actual))
    return sum(losses) / len(losses)


def lovasz_by_hand(logits, target):
    """The Lovász extension by its definition: the sum of m_i times what pixel i adds to the loss of the set
    of the pixels before it, as sets of pixels."""
    found = list(pixels(logits, target))
    losses = []
    for c in {y for _, y in found}:
        truth = {i for i, (_, y) in enumerate(found) if y == c}
        errors = [1 - p[c] if y == c else p[c] for p, y in found]

        def loss(wrong, truth=truth):
            return 1 - len(truth - wrong) / len(truth | wrong)

        total, wrong = 0.0, set()
        for i in sorted(range(len(found)), key=lambda i: -errors[i]):
            total += errors[i] * (loss(wrong | {i}) - loss(wrong))
            wrong = wrong | {i}
        losses.append(total)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing):
    logits, target = problem()
    expected = cross_entropy_by_hand(logits, target, WEIGHTS.tolist(), smoothing)
    assert cross_entropy(logits, target, WEIGHTS, smoothing).item() == pytest.approx(expected, rel=1e-10)
    expected = cross_entropy_by_hand(logits, target, [1.0] * 4, smoothing)
    assert cross_entropy(logits, target, None, smoothing).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("void", [0.0, 0.3])
@pytest.mark.parametrize("weights", [None, WEIGHTS.double()])
def test_cross_entropy_equals_torch(void, weights):
    logits, target = problem(void=void)
    expected = F.cross_entropy(logits, target, weights, ignore_index=VOID, label_smoothing=0.2)
    torch.testing.assert_close(cross_entropy(logits, target, weights, 0.2), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal(gamma):
    logits, target = problem()
    expected = focal_by_hand(logits, target, gamma, WEIGHTS.tolist())
    assert focal(logits, target, gamma, WEIGHTS).item() == pytest.approx(expected, rel=1e-10)


def test_focal_without_focus_is_cross_entropy():
    logits, target = problem()
    torch.testing.assert_close(focal(logits, target, 0.0, WEIGHTS), cross_entropy(logits, target, WEIGHTS))


def test_dice():
    logits, target = problem()
    expected = overlap_by_hand(logits, target, lambda overlap, p, y: 2 * overlap / (p + y))
    assert dice(logits, target).item() == pytest.approx(expected, rel=1e-10)


def test_jaccard():
    logits, target = problem()
    expected = overlap_by_hand(logits, target, lambda overlap, p, y: overlap / (p + y - overlap))
    assert jaccard(logits, target).item() == pytest.approx(expected, rel=1e-10)


@given(seed=st.integers(0, 10**6), void=st.sampled_from([0.0, 0.3, 0.8]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_lovasz(seed, void):
    logits, target = problem(seed=seed, void=void)
    target[0, 0, 0] = 1
    expected = lovasz_by_hand(logits, target)
    assert lovasz(logits, target).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("soft", [jaccard, lovasz])
def test_hard_predictions_give_one_minus_iou(soft):
    logits, target = problem()
    prediction = logits.argmax(1)
    iou = []
    for c in target[target != VOID].unique():
        hit, miss = (prediction == c) & (target == c), (prediction == c) ^ (target == c)
        iou.append(hit.sum() / (hit.sum() + (miss & (target != VOID)).sum()))
    hard = 1000 * F.one_hot(prediction, 4).movedim(-1, 1).double()
    torch.testing.assert_close(soft(hard, target), 1 - torch.stack(iou).double().mean(), atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name):
    logits, target = problem(size=(2, 2, 3))
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, target), logits.requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
def test_void_pixels_change_nothing(name):
    logits, target = problem()
    changed = torch.where((target == VOID)[:, None], 100 * torch.randn_like(logits), logits)
    torch.testing.assert_close(LOSSES[name](changed, target), LOSSES[name](logits, target))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_all_void_is_zero_with_zero_gradients(name, smoothing):
    logits = problem()[0].requires_grad_()
    target = torch.full((2, 3, 5), VOID, dtype=torch.uint8)
    loss = SegmentationLoss({name: 1.0}, WEIGHTS, smoothing)(logits, target)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"label_smoothing": 1.0}, r"--label-smoothing 1: must be at least 0 and below 1"),
        ({"label_smoothing": -0.1}, r"--label-smoothing -0\.1: must be"),
        ({"class_weights": torch.zeros(3)}, "--class-weights: are all 0"),
    ],
)
def test_a_loss_that_says_nothing_is_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        SegmentationLoss({"cross-entropy": 1.0}, **options)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_certain_logits_give_finite_gradients(name, gamma):
    target = torch.tensor([[[0, 1, VOID]]])
    for sign in (1, -1):
        logits = (sign * 500 * torch.tensor([[[[1.0, -1, 1]], [[-1.0, 1, 1]], [[-1.0, -1, 1]]]])).requires_grad_()
        SegmentationLoss({name: 1.0}, focal_gamma=gamma)(logits, target).backward()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_uint8_target_and_half_precision_under_autocast(name):
    logits, target = problem()
    half = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = LOSSES[name](half, target.to(torch.uint8))
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, LOSSES[name](half.double(), target).float(), rtol=1e-6, atol=1e-6)


def test_large_lovasz_in_float32_equals_float64():
    logits, target = problem(size=(2, 200, 200))
    torch.testing.assert_close(lovasz(logits.float(), target).double(), lovasz(logits, target), rtol=1e-5, atol=0)


def test_weighted_sum_passes_each_loss_its_options():
    logits, target = problem()
    terms = {"cross-entropy": 1.0, "dice": 0.5, "focal": 2.0, "lovasz": 0.25, "jaccard": 3.0}
    total = SegmentationLoss(terms, class_weights=WEIGHTS, label_smoothing=0.1, focal_gamma=3.0)(logits, target)
    expected = (
        cross_entropy(logits, target, WEIGHTS, 0.1)
        + 0.5 * dice(logits, target)
        + 2 * focal(logits, target, 3.0, WEIGHTS)
        + 0.25 * lovasz(logits, target)
        + 3 * jaccard(logits, target)
    )
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize(
    ("spec", "terms"),
    [
        ("cross-entropy", {"cross-entropy": 1.0}),
        ("cross-entropy+0.5*dice", {"cross-entropy": 1.0, "dice": 0.5}),
        (" 2 * focal + lovasz ", {"focal": 2.0, "lovasz": 1.0}),
    ],
)
def test_parse(spec, terms):
    assert parse(spec) == terms


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cross-entropy+dise", "'dise' is not a loss; did you mean 'dice'"),
        ("", "'' is not a loss; choose from cross-entropy, dice"),
        ("dice+dice", "'dice' is given twice"),
        ("x*dice", "'x' is not a positive number"),
        ("-1*dice", "'-1' is not a positive number"),
        ("nan*dice", "'nan' is not a positive number"),
        ("dice*0.5", "'0.5' is not a loss"),
    ],
)
def test_parse_says_what_is_wrong(spec, message):
    with pytest.raises(UserError, match=message):
        parse(spec)
