"""twinsight demo: the whole road on the embedded data set, and a page that shows what it brought."""

import time
from dataclasses import replace
from pathlib import Path

import torch

from twinsight.assemble import segmenting
from twinsight.assemble.checks import check_segment
from twinsight.assemble.data import sample
from twinsight.assemble.open import load_segmenter
from twinsight.commands import pretrain
from twinsight.console import told
from twinsight.data.shapes import write
from twinsight.device import choose_device
from twinsight.environment import environment
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.build import build
from twinsight.options.commands import Demo, Pretrain, Segment
from twinsight.options.data import FolderOptions, PairOptions, ShapesOptions
from twinsight.options.heads import DeepLabV3Options, LinearOptions
from twinsight.options.methods import BarlowTwinsOptions, TwoViewsOptions
from twinsight.options.probes import EmbeddingOptions, FeaturesOptions, NeighborsOptions, ReceptiveFieldOptions
from twinsight.options.ranges import check_ranges
from twinsight.ours import aside, check_replaceable, discard, mark, move_aside, put_back, vacant, whereabouts
from twinsight.outputs import check_folder
from twinsight.probes.draw import Plot, curves
from twinsight.probes.embeddings.neighbors import dominant_class, embed, knn_accuracy
from twinsight.probes.images import to_tensor
from twinsight.probes.segmentation.predictions import Predictions, compare
from twinsight.probes.side_by_side import stem, together
from twinsight.probes.views.correlation import Correlation
from twinsight.report.page import Picture, Section, Table, write_page
from twinsight.runs.directory import Run
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


def run(options: Demo) -> None:
    check_ranges(options)
    out = options.out
    check_folder("out", out, options, replaces=True)
    if not options.overwrite and (not vacant(out) or aside(out).exists()):
        raise UserError(f"{out}: exists and is not empty; choose another --out or give --overwrite{whereabouts(out)}")
    if not vacant(out):
        check_replaceable("--out", out, ("demo",))
        for name in ("pretrain", *HEADS):
            Run(out / name).check_free()
        move_aside(out, finished=(out / "index.html").is_file())
    try:
        out.mkdir(parents=True, exist_ok=True)
        mark(out, "demo")
        make(options)
    except BaseException:
        if aside(out).exists():
            put_back(out)
            told(f"{out}: holds the old demo again, since the new one was not finished")
        raise
    if aside(out).exists():
        discard(aside(out))


def make(options: Demo) -> None:
    """All stages, and the page."""
    start = time.monotonic()
    out = options.out
    told("demo 1/4: drawing the scenes")
    shapes = ShapesOptions(count=3000, val_count=500, size=64, seed=options.seed, texture=0.1)
    if options.quick:
        shapes = replace(shapes, count=160, val_count=32)
    write(out / "shapes", shapes.open("train"), shapes.open("val"))
    data = FolderOptions(root=out / "shapes")

    told("demo 2/4: pretraining a backbone with Barlow Twins, without labels")
    pretraining, heads = plan(options, data)
    pretrain.run(pretraining)
    scores: dict[str, Scores] = {}
    for number, (name, what) in enumerate(HEADS.items()):
        told(f"demo {3 + (number == 2)}/4: {what}")
        scores[name] = segmented(heads[name])
    neighbors = {}
    for name in ("random", "pretrained"):
        told(f"demo: asking the nearest neighbors, {name} backbone")
        neighbors[name] = nearest(out / name, data)
    told("demo: drawing the page")
    report(out, data, scores, neighbors, time.monotonic() - start)
    told(f"demo: done in {(time.monotonic() - start) / 60:.1f} min; open {out / 'index.html'}")


def segmented(options: Segment) -> Scores:
    """Train a segmenter; the scores of its last validation."""
    parts = segmenting.build_parts(segmenting.plan(options, check_segment(options)))
    segmenting.fit(parts)
    assert parts.module.scores is not None  # each of the demo's trainings ends with a validation
    return parts.module.scores


def plan(options: Demo, data: FolderOptions) -> tuple[Pretrain, dict[str, Segment]]:
    """The options of the pretraining and of each head, as one would give them on the command line."""
    quick = options.quick
    backbone = TimmOptions(name="resnet10t", channels=(32, 64, 128, 256), stem_width=16)
    views = TwoViewsOptions(
        size=64, scale=(0.4, 1.0), brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, mix=0.8, invert=0.3,
        gray=0.2, blur=(0.5, 0.1), solarize=(0.0, 0.2),
    )  # fmt: skip
    method = BarlowTwinsOptions(projector=(256, 256), lambd=0.03, views=views)
    augment = PairOptions(size=64, scale=(0.8, 1.25))
    out, seed = options.out, options.seed
    linear = Segment(
        epochs=1 if quick else 6, val_every=1 if quick else 3, batch_size=64, head_lr=3e-3, weight_decay=1e-4,
        seed=seed, freeze="all", augment=augment, head=LinearOptions(levels=(1, 2, 3, 4)), backbone=backbone, data=data,
    )  # fmt: skip
    pretraining = Pretrain(
        run=out / "pretrain", epochs=1 if quick else 26, batch_size=64 if quick else 128, lr=1e-3, lr_batch=128,
        warmup_epochs=0 if quick else 3, weight_decay=1e-4, seed=seed, method=method, backbone=backbone, data=data,
    )  # fmt: skip
    finetuned = replace(
        linear, run=out / "finetuned", weights=out / "pretrain", freeze=0, lr=5e-4, head_lr=1e-3,
        epochs=1 if quick else 4, batch_size=32, head=DeepLabV3Options(channels=128),
        backbone=replace(backbone, output_stride=8), val_every=1 if quick else 2,
    )  # fmt: skip
    return pretraining, {
        "random": replace(linear, run=out / "random"),
        "pretrained": replace(linear, run=out / "pretrained", weights=out / "pretrain"),
        "finetuned": finetuned,
    }


def nearest(folder: Path, data: FolderOptions) -> float:
    """k-NN accuracy of a frozen backbone's embedding on the class of most pixels."""
    model, _ = load_segmenter(folder, "best", choose_device("auto"))
    parts = []
    for role in ("train", "val"):
        samples = list(data.open(role))
        labels = [dominant_class(sample.mask) for sample in samples]
        parts += [embed(model.backbone, [to_tensor(sample.image) for sample in samples]), torch.tensor(labels)]
    return knn_accuracy(*parts)


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
        model, _ = load_segmenter(out / name, "best", choose_device("auto"))
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
    device = choose_device("auto")
    backbones = {name: load_segmenter(out / name, "best", device)[0].backbone for name in ("random", "pretrained")}
    pictures = []
    for name, options in INSIDE.items():
        told(f"demo: looking inside, {name}")
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
