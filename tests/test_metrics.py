"""Metrics against loops written out, against torchmetrics, and over two processes."""

import math

import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from twinsight.errors import UserError
from twinsight.segmentation.metrics import ConfusionMatrix, best_class

CLASSES = 5
VOID = 255


def problem(seed=0, shape=(3, 17, 13)):
    """Class 3 is predicted but never there, class 4 occurs nowhere."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(3, shape, generator=generator)
    prediction = torch.where(
        torch.rand(shape, generator=generator) < 0.5, target, torch.randint(4, shape, generator=generator)
    )
    target[torch.rand(shape, generator=generator) < 0.2] = VOID
    return prediction, target.to(torch.uint8)


def scores_of(prediction, target, classes=CLASSES):
    confusion = ConfusionMatrix(classes)
    confusion.update(prediction, target)
    return confusion.compute()


def test_against_loops():
    prediction, target = problem()
    pairs = [(p, t) for p, t in zip(prediction.flatten().tolist(), target.flatten().tolist()) if t != VOID]
    scores = scores_of(prediction, target)
    iou, recall, precision, f1, weighted = [], [], [], [], 0.0
    for c in range(4):
        hit = sum(p == t == c for p, t in pairs)
        actual, predicted = sum(t == c for _, t in pairs), sum(p == c for p, _ in pairs)
        iou.append(hit / sum(c in pair for pair in pairs))
        recall.append(hit / actual if actual else 0.0)
        precision.append(hit / predicted)
        f1.append(2 * hit / (actual + predicted))
        weighted += actual / len(pairs) * iou[-1]
    for ours, theirs in [
        (scores.iou, iou),
        (scores.recall, recall),
        (scores.precision, precision),
        (scores.f1, f1),
    ]:
        assert ours.tolist() == pytest.approx([*theirs, math.nan], nan_ok=True)
    assert scores.scalars() == pytest.approx(
        {
            "mean_iou": sum(iou) / 4,
            "pixel_accuracy": sum(p == t for p, t in pairs) / len(pairs),
            "mean_accuracy": sum(recall) / 4,
            "mean_precision": sum(precision) / 4,
            "mean_recall": sum(recall) / 4,
            "mean_f1": sum(f1) / 4,
            "frequency_weighted_iou": weighted,
        }
    )


def test_against_torchmetrics():
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_confusion_matrix,
        multiclass_f1_score,
        multiclass_jaccard_index,
        multiclass_precision,
        multiclass_recall,
    )

    prediction, target = problem(seed=1)
    scores, labels = scores_of(prediction, target), target.long()
    expected = multiclass_confusion_matrix(prediction, labels, CLASSES, ignore_index=VOID)
    torch.testing.assert_close(scores.matrix, expected)
    for ours, metric in [
        (scores.iou, multiclass_jaccard_index),
        (scores.precision, multiclass_precision),
        (scores.recall, multiclass_recall),
        (scores.f1, multiclass_f1_score),
    ]:
        theirs = metric(prediction, labels, CLASSES, average="none", ignore_index=VOID)
        torch.testing.assert_close(ours[:4].float(), theirs[:4])
        macro = metric(prediction, labels, CLASSES, average="macro", ignore_index=VOID)
        torch.testing.assert_close(ours.nanmean().float(), macro)
    micro = multiclass_accuracy(prediction, labels, CLASSES, average="micro", ignore_index=VOID)
    assert scores.scalars()["pixel_accuracy"] == pytest.approx(micro.item())


def test_logits_batches_and_reset():
    prediction, target = problem()
    logits = torch.nn.functional.one_hot(prediction, CLASSES).movedim(-1, 1).float()
    confusion = ConfusionMatrix(CLASSES)
    confusion.update(prediction[:1], target[:1])
    confusion.reset()
    for image in range(3):
        confusion.update(logits[image : image + 1], target[image : image + 1].long())
    torch.testing.assert_close(confusion.compute().matrix, scores_of(prediction, target).matrix)


@pytest.mark.parametrize("classes", [1, 2, 21, 255])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_best_class_is_the_first_of_the_highest(classes, dtype):
    generator = torch.Generator().manual_seed(classes)
    scores = torch.randint(-3, 4, (2, classes, 7, 5), generator=generator).to(dtype)  # so few values that many tie
    large = torch.randint(-3, 4, (2, classes, 9, 8), generator=generator).to(dtype)
    layouts = [scores, scores.contiguous(memory_format=torch.channels_last), large[..., 1:-1, 2:-1], scores[:, :, :1]]
    for laid in layouts:
        values = laid.tolist()
        found = best_class(laid)
        assert found.dtype == torch.uint8
        assert found.shape == (2, *laid.shape[2:])
        for image, row, column in [(0, 0, 0), (1, laid.shape[2] - 1, 4), (0, laid.shape[2] // 2, 2)]:
            pixel = [values[image][c][row][column] for c in range(classes)]
            assert found[image, row, column] == pixel.index(max(pixel))
        assert torch.equal(found.long(), laid.argmax(1))


def test_the_best_class_among_infinities_and_numbers_that_are_none():
    scores = torch.tensor([[-math.inf, -math.inf], [math.inf, 0.0], [math.nan] * 2, [0.0, math.inf]])
    assert best_class(scores[:, :, None, None])[:, 0, 0].tolist() == [0, 0, 0, 1]


def test_the_target_is_left_as_it_was():
    prediction, target = problem()
    for dtype in (torch.uint8, torch.int32, torch.int64):
        given = target.to(dtype)
        assert torch.equal(scores_of(prediction, given).matrix, scores_of(prediction, target).matrix)
        assert torch.equal(given, target.to(dtype))


def test_perfect_and_empty():
    _, target = problem()
    perfect = scores_of(target.long().masked_fill(target == VOID, 0), target)
    assert set(perfect.scalars().values()) == {1.0}
    void = scores_of(torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), VOID))
    assert all(math.isnan(value) for value in void.scalars().values())


def test_means_are_over_the_classes_that_occur():
    prediction, target = problem()
    assert scores_of(prediction, target).occurring == 4
    one = scores_of(torch.zeros(1, 2, 2, dtype=torch.long), torch.tensor([[[0, VOID], [VOID, 0]]]), 2)
    assert (one.occurring, one.scalars()["mean_iou"]) == (1, 1.0)
    assert scores_of(prediction, torch.full_like(target, VOID)).occurring == 0


def test_table_is_plain_data():
    prediction, target = problem()
    scores = scores_of(prediction, target)
    rows = scores.table(["sky", "road", "car", "tree", "bus"])
    assert rows[1] == {
        "class": "road",
        "iou": scores.iou[1].item(),
        "accuracy": scores.recall[1].item(),
        "precision": scores.precision[1].item(),
        "f1": scores.f1[1].item(),
        "pixels": (target == 1).sum().item() / (target != VOID).sum().item(),
    }
    assert sum(row["pixels"] for row in rows) == pytest.approx(1)
    with pytest.raises(ValueError, match="zip"):
        scores.table(["sky"])


def test_a_label_beyond_the_classes_is_named():
    with pytest.raises(UserError, match="class id 7, but there are 5 classes"):
        scores_of(torch.zeros(1, 1, 2, dtype=torch.long), torch.tensor([[[0, 7]]]))


def count_half(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    prediction, target = problem()
    part = slice(0, 1) if rank == 0 else slice(1, 3)  # processes need not count as many
    confusion = ConfusionMatrix(CLASSES)
    confusion.update(prediction[part], target[part])
    for _ in range(2):  # asking twice must not count twice
        matrix = confusion.compute().matrix
    torch.save(matrix, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_count_as_one(tmp_path):
    spawn(count_half, (str(tmp_path),), nprocs=2)
    expected = scores_of(*problem()).matrix
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), expected)
