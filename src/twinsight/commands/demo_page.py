"""The page of a demo: what it brought, how it went, what it looks like, how to repeat it."""

from pathlib import Path

from twinsight.assemble.data import sample
from twinsight.assemble.open import load_segmenter
from twinsight.console import tell
from twinsight.device import Device
from twinsight.environment import environment
from twinsight.options.build import build
from twinsight.options.data import FolderOptions
from twinsight.options.probes import EmbeddingOptions, FeaturesOptions, NeighborsOptions, ReceptiveFieldOptions
from twinsight.probes.draw import Plot, curves
from twinsight.probes.segmentation.predictions import Predictions, compare
from twinsight.probes.side_by_side import stem, together
from twinsight.probes.views.correlation import Correlation
from twinsight.report.page import Picture, Section, Table, write_page
from twinsight.runs.rows import read_rows
from twinsight.segmentation.metrics import Scores
from twinsight.segmentation.tables import percent

HEADS = {
    "random": "linear head, frozen random backbone",
    "pretrained": "linear head, frozen pretrained backbone",
    "finetuned": "DeepLabV3, fine-tuned from the pretrained backbone",
}

INSIDE = {
    "features": FeaturesOptions(level=-2),
    "neighbors": NeighborsOptions(),
    "embedding": EmbeddingOptions(),
    "erf": ReceptiveFieldOptions(),
}


def report(
    out: Path, data: FolderOptions, scores: dict[str, Scores], neighbors: dict[str, float], seconds: float
) -> None:
    """index.html: what it brought, how it went, what it looks like, how to repeat it."""
    classes = data.open("val").classes
    mean = {name: result.scalars() for name, result in scores.items()}
    summary = Table(
        ("", "mean IoU", "pixel accuracy", "20-NN accuracy"),
        [
            (what, percent(mean[name]["mean_iou"]), percent(mean[name]["pixel_accuracy"]),
             percent(neighbors[name]) if name in neighbors else "")
            for name, what in HEADS.items()
        ],
        "In percent, on scenes that no stage has trained on. Mean IoU: overlap of prediction and truth, averaged over "
        "the classes. 20-NN: the class of most pixels, voted for by the 20 nearest training embeddings.",
    )  # fmt: skip
    tables = {name: result.table(classes) for name, result in scores.items()}
    per_class = Table(
        ("class", *HEADS),
        [(label, *(percent(float(tables[name][i]["iou"])) for name in HEADS)) for i, label in enumerate(classes)],
        "IoU of each class, in percent.",
    )
    gain = mean["pretrained"]["mean_iou"] / max(mean["random"]["mean_iou"], 1e-9)
    write_page(
        out / "index.html",
        "What Barlow Twins learned from shapes",
        f"A small ResNet saw scenes without labels, then a linear head read its frozen features: mean IoU "
        f"{percent(mean['pretrained']['mean_iou'])} instead of {percent(mean['random']['mean_iou'])} for the same "
        f"network untrained, {gain:.2f} times as much. Everything here took {seconds / 60:.1f} minutes.",
        [
            Section("What it brought", parts=[summary, per_class]),
            Section("Predictions", parts=[predictions(out, data)]),
            Section(
                "Pretraining",
                "Barlow Twins asks that each feature agree between two augmented views of a scene (invariance) and "
                "that different features tell different things (redundancy): that the cross-correlation matrix of the "
                "two views' features be the identity.",
                pretraining(out),
            ),
            Section(
                "Looking inside",
                "The same questions to the untrained and to the pretrained network.",
                inside(out, data),
            ),
            Section("Segmentation", parts=[validation(out)]),
            Section(
                "Do it again, or otherwise",
                "Each stage is an ordinary run with its options in config.yaml.",
                commands=[
                    f"twinsight pretrain --config {out}/pretrain/config.yaml",
                    f"twinsight segment --config {out}/pretrained/config.yaml --head setr-pup",
                    f"twinsight evaluate {out}/finetuned --flip",
                    f"twinsight predict {out}/finetuned {out}/shapes/JPEGImages",
                ],
            ),
        ],
        environment(),
    )


def predictions(out: Path, data: FolderOptions, count: int = 8) -> Picture:
    dataset = data.open("val")
    seen = sample(dataset, count, None)
    findings = {}
    for name, title in zip(HEADS, ("random, linear", "pretrained, linear", "fine-tuned")):
        model, _ = load_segmenter(out / name, "best", Device().torch)
        findings[title] = Predictions(dataset.classes, dataset.palette)(model, seen.images, seen.masks)
    return Picture(
        saved(compare(findings, dataset.palette), out, "predictions"),
        "Scenes, three predictions each, and the truth",
        "One scene a row. The colors are the classes; the background is left as it is.",
        "eight scenes, picked evenly from the set, are too few to rank models; the table does that.",
    )


def pretraining(out: Path) -> list[Picture]:
    rows = [row for row in read_rows(out / "pretrain" / "metrics.csv") if "train/loss" in row]
    steps = [row["step"] for row in rows]
    series = {name: (steps, [row[f"train/{name}"] for row in rows]) for name in ("invariance", "redundancy")}
    return [
        Picture(
            saved(curves(series, "step", "loss term", log=True), out, "pretraining"),
            "Loss terms over the steps",
            "Both terms of the loss, on a logarithmic scale: lower is closer to the goal.",
            "a low loss alone does not mean useful features; the table above is the test of that.",
        ),
        Picture(
            out / "pretrain" / "figures" / "correlation" / "strip.png",
            "Cross-correlation matrices over the training",
            Correlation.caption.read,
            Correlation.caption.caution,
        ),
    ]


def inside(out: Path, data: FolderOptions) -> list[Picture]:
    device = Device().torch
    backbones = {name: load_segmenter(out / name, "best", device)[0].backbone for name in ("random", "pretrained")}
    pictures = []
    for name, options in INSIDE.items():
        tell(f"demo: looking inside, {name}")
        seen = sample(data.open("val"), options.images, options.size)
        known = {"classes": seen.classes, "palette": seen.palette, "labels": None}
        probe = build(options, **{key: known[key] for key in options.given})
        findings = {which: probe(backbone, seen.images, seen.masks) for which, backbone in backbones.items()}
        caption = probe.caption
        plots = together(findings)
        for figure, plot in plots.items():
            alt = f"{name}, {figure}, of the untrained and of the pretrained network"
            pictures.append(Picture(saved(plot, out, stem(name, figure, plots)), alt, caption.read, caption.caution))
    return pictures


def validation(out: Path) -> Picture:
    series = {}
    for name in HEADS:
        rows = [row for row in read_rows(out / name / "metrics.csv") if "val/mean_iou" in row]
        series[name] = ([row["epoch"] + 1 for row in rows], [100 * row["val/mean_iou"] for row in rows])
    return Picture(
        saved(curves(series, "epoch", "mean IoU, %"), out, "validation"),
        "Mean IoU over the epochs of each head",
        "Validation mean IoU while each head trains.",
        "the fine-tuned network trains all its weights, the linear heads only their last layer.",
    )


def saved(plot: Plot, out: Path, name: str) -> Path:
    file = out / "figures" / f"{name}.png"
    plot.save(file)
    return file
