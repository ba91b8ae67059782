"""Five segmentation metrics of 16 x 21 x 512 x 512 logits: from one confusion matrix, and from torchmetrics."""

from functools import partial

import torch

from benchmarks.table import Row
from benchmarks.timing import beside, installed
from twinsight.segmentation.metrics import ConfusionMatrix

CLASSES = 21
VOID = 255


def run(quick: bool) -> list[Row]:
    batch, side = (2, 32) if quick else (16, 512)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, CLASSES, side, side, generator=generator).to(device)
    target = torch.randint(CLASSES, (batch, side, side), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.1] = VOID
    claim = f"mIoU, accuracy, precision, recall, F1 of {batch}x{CLASSES}x{side}x{side} logits"
    rounds = 1 if quick else 3
    rows = compare(claim, logits, target.to(device), rounds)
    channels_last = logits.contiguous(memory_format=torch.channels_last)
    return rows + compare(f"{claim}, channels_last", channels_last, target.to(device), rounds)


def compare(claim: str, logits: torch.Tensor, target: torch.Tensor, rounds: int) -> list[Row]:
    peers = {"five objects": separately, "MetricCollection": together, "MetricCollection of argmax": together_of_argmax}
    there = installed("torchmetrics")
    for peer in peers.values() if there else ():
        torch.testing.assert_close(torch.tensor(ours(logits, target)), torch.tensor(peer(logits, target)))
    calls = {f"torchmetrics: {n}": partial(call, logits, target) if there else None for n, call in peers.items()}
    rows = beside(claim, partial(ours, logits, target), calls, 6, rounds, warm=False)
    return [row._replace(target=15) if "five" in row.peer_name else row for row in rows]


def ours(logits: torch.Tensor, target: torch.Tensor) -> list[float]:
    confusion = ConfusionMatrix(CLASSES)
    confusion.update(logits, target)
    scalars = confusion.compute().scalars()
    return [scalars[name] for name in ("mean_iou", "pixel_accuracy", "mean_precision", "mean_recall", "mean_f1")]


def five_objects(device: torch.device) -> list:
    import torchmetrics

    each = {"task": "multiclass", "num_classes": CLASSES, "ignore_index": VOID}
    metrics = [
        torchmetrics.JaccardIndex(**each),
        torchmetrics.Accuracy(**each),
        torchmetrics.Precision(average="macro", **each),
        torchmetrics.Recall(average="macro", **each),
        torchmetrics.F1Score(average="macro", **each),
    ]
    return [metric.to(device) for metric in metrics]


def separately(logits: torch.Tensor, target: torch.Tensor) -> list[float]:
    """As the study did it, and many a script does."""
    metrics = five_objects(logits.device)
    for metric in metrics:
        metric.update(logits, target)
    return [metric.compute().item() for metric in metrics]


def together(given: torch.Tensor, target: torch.Tensor) -> list[float]:
    """Metrics of one collection share what they count, where they can."""
    import torchmetrics

    collection = torchmetrics.MetricCollection(five_objects(given.device))
    collection.update(given, target)
    return [value.item() for value in collection.compute().values()]


def together_of_argmax(logits: torch.Tensor, target: torch.Tensor) -> list[float]:
    """The obvious switch: find the classes once."""
    return together(logits.argmax(1), target)
