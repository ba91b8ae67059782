"""The loss of mask classification against a reference in float64, written from the papers without PyTorch."""

from itertools import permutations

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from twinsight.heads.set_loss import Predicted, find_objects, set_loss

QUERIES, CLASSES, POINTS = 4, 3, 40
VOID = 255


def places(shape: tuple[int, ...]) -> np.ndarray:
    """The same points, away from the borders' kinks, for every image and mask; how many there are tells them apart."""
    rows = np.random.default_rng(shape[-2]).uniform(0.06, 0.94, shape[-2:])
    return np.broadcast_to(rows, shape).copy()


@pytest.fixture(autouse=True)
def same_points(monkeypatch):
    fix_points(monkeypatch.setattr)


def fix_points(setattr) -> None:
    setattr(torch, "rand", lambda *shape, device=None, dtype=None: torch.tensor(places(shape), dtype=dtype))


def at(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Bilinear values of (h, w) at points (x, y) from 0 to 1, where pixel i has its center at (i + 0.5) / size."""
    h, w = image.shape
    padded = np.pad(image, 1)
    x, y = where[:, 0] * w - 0.5, where[:, 1] * h - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    dx, dy = x - left, y - top
    corner = {(i, j): padded[top + 1 + i, left + 1 + j] for i in (0, 1) for j in (0, 1)}
    upper, lower = (corner[i, 0] * (1 - dx) + corner[i, 1] * dx for i in (0, 1))
    return upper * (1 - dy) + lower * dy


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def entropy_and_dice(logits: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    p = sigmoid(logits)
    entropy = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean() if len(p) else 0.0
    return entropy, 1 - (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)


def reference(classes: np.ndarray, masks: np.ndarray, target: np.ndarray) -> float:
    """Cheng et al., "Masked-attention Mask Transformer", 2022, Sections 3.3 and 4.1: weights 2, 5, 5; 0.1 for none."""
    mask_loss, weighted, weights, number = 0.0, 0.0, 0.0, 0
    for scores, logits, labels in zip(classes, masks, target):
        probability = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        objects = [label for label in range(CLASSES) if (labels == label).any()]
        number += len(objects)

        def compare(query: int, label: int, where: np.ndarray, logits=logits, labels=labels) -> tuple[float, float]:
            seen = where[at((labels == VOID).astype(float), where) == 0]
            return entropy_and_dice(at(logits[query], seen), at((labels == label).astype(float), seen))

        def cost(query: int, label: int, probability=probability, compare=compare) -> float:
            entropy, dice = compare(query, label, places((POINTS, 2)))
            return -2 * probability[query, label] + 5 * entropy + 5 * dice

        chosen = min(
            permutations(range(QUERIES), len(objects)),
            key=lambda order: sum(cost(query, label) for query, label in zip(order, objects)),
        )
        said = [CLASSES] * QUERIES
        for query, label in zip(chosen, objects):
            said[query] = label
            many = places((3 * POINTS, 2))
            uncertain = many[np.argsort(np.abs(at(logits[query], many)))[: int(0.75 * POINTS)]]
            where = np.concatenate([uncertain, places((POINTS - len(uncertain), 2))])
            entropy, dice = compare(query, label, where)
            mask_loss += 5 * entropy + 5 * dice
        if (labels != VOID).any():
            for query, label in enumerate(said):
                weight = 0.1 if label == CLASSES else 1.0
                weighted -= weight * np.log(probability[query, label])
                weights += weight
    return mask_loss / max(1, number) + 2 * weighted / max(1e-6, weights)


def example(batch: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.integers(0, CLASSES, (batch, 3, 4)).repeat(4, 1).repeat(4, 2)
    target[0][target[0] == 1] = 2  # an image without a class
    target[1, :5, :7] = VOID
    return 2 * rng.standard_normal((batch, QUERIES, CLASSES + 1)), rng.standard_normal((batch, QUERIES, 5, 7)), target


def ours(classes: torch.Tensor, masks: torch.Tensor, target: np.ndarray) -> torch.Tensor:
    objects = find_objects(torch.tensor(target), CLASSES, masks.dtype)
    return set_loss(Predicted(classes, masks), objects, POINTS)


def test_loss_and_gradient():
    classes, masks, target = example()
    inputs = [torch.tensor(each, requires_grad=True) for each in (classes, masks)]
    loss = ours(*inputs, target)
    assert loss.item() == pytest.approx(reference(classes, masks, target), rel=1e-12)
    loss.backward()
    rng = np.random.default_rng(1)
    for values, tensor in zip((classes, masks), inputs):
        for _ in range(12):
            place = tuple(rng.integers(0, values.shape))
            changed = []
            for step in (1e-6, -1e-6):
                values[place] += step
                changed.append(reference(classes, masks, target))
                values[place] -= step
            assert tensor.grad[place].item() == pytest.approx((changed[0] - changed[1]) / 2e-6, abs=2e-6)


def test_more_objects_than_queries():
    classes, masks, target = (torch.tensor(each) for each in example())
    found = find_objects(target, CLASSES, masks.dtype)
    assert (len(found.label), found.number.item()) == (8, 8.0)
    loss = set_loss(Predicted(classes[:, :1], masks[:, :1]), found, POINTS)
    assert loss.isfinite()


def test_void_teaches_nothing():
    classes, masks, target = example()
    inputs = [torch.tensor(each, requires_grad=True) for each in (classes, masks)]
    ours(*inputs, np.full_like(target, VOID)).backward()
    assert all((each.grad == 0).all() for each in inputs)
    hidden = target.copy()
    hidden[:2] = VOID
    assert ours(*inputs, hidden).item() == pytest.approx(ours(*(each[2:] for each in inputs), hidden[2:]).item())


def test_half_precision_and_divergence():
    classes, masks, target = example()
    exact = ours(torch.tensor(classes, dtype=torch.float32), torch.tensor(masks, dtype=torch.float32), target)
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(torch.tensor(classes, dtype=torch.float32), torch.tensor(masks, dtype=torch.float32), target)
        low = ours(torch.tensor(classes, dtype=torch.bfloat16), torch.tensor(masks, dtype=torch.bfloat16), target)
    assert torch.equal(found, exact)
    assert low.dtype == torch.float32
    assert low.item() == pytest.approx(exact.item(), rel=0.05)
    masks[0] = np.nan
    assert ours(torch.tensor(classes), torch.tensor(masks), target).isnan()  # for the training to stop at


def one_of_two(rank: int, folder: str) -> None:
    fix_points(setattr)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    classes, masks, target = example(4)
    mine = slice(0, 2) if rank == 0 else slice(2, 4)
    inputs = [torch.tensor(each[mine], requires_grad=True) for each in (classes, masks)]
    loss = ours(*inputs, target[mine])
    loss.backward()
    torch.save([loss.detach(), *(each.grad for each in inputs)], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one(tmp_path):
    classes, masks, target = example(4)
    inputs = [torch.tensor(each, requires_grad=True) for each in (classes, masks)]
    loss = ours(*inputs, target)
    loss.backward()
    mp.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert sum(part[0].item() for part in parts) / 2 == pytest.approx(loss.item(), rel=1e-12)
    for whole, *halves in zip(inputs, *(part[1:] for part in parts)):
        torch.testing.assert_close(torch.cat(halves) / 2, whole.grad)  # DDP averages gradients
