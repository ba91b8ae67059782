"""twinsight demo: the whole workflow on the built-in data set, and a page that shows the results."""

import time
from dataclasses import replace
from pathlib import Path

import torch

from twinsight.assemble import segmenting
from twinsight.assemble.checks import check_segment
from twinsight.assemble.open import load_segmenter
from twinsight.commands import pretrain
from twinsight.commands.demo_page import HEADS, report
from twinsight.console import tell
from twinsight.data.shapes import write
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Demo, Pretrain, Segment
from twinsight.options.data import FolderOptions, PairOptions, ShapesOptions
from twinsight.options.heads import DeepLabV3Options, LinearOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.options.ranges import check_ranges
from twinsight.ours import aside, check_replaceable, discard, mark, move_aside, put_back, vacant, whereabouts
from twinsight.outputs import check_folder
from twinsight.probes.embeddings.neighbors import dominant_class, embed, knn_accuracy
from twinsight.probes.images import to_tensor
from twinsight.runs.directory import Run
from twinsight.segmentation.metrics import Scores


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
            tell(f"{out}: holds the old demo again, since the new one was not finished")
        raise
    if aside(out).exists():
        discard(aside(out))


def make(options: Demo) -> None:
    """All stages, and the page."""
    start = time.monotonic()
    out = options.out
    tell("demo 1/4: drawing the scenes")
    shapes = ShapesOptions(count=3000, val_count=500, size=64, seed=options.seed, texture=0.1)
    if options.quick:
        shapes = replace(shapes, count=160, val_count=32)
    write(out / "shapes", shapes.open("train"), shapes.open("val"))
    data = FolderOptions(root=out / "shapes")

    tell("demo 2/4: pretraining a backbone with Barlow Twins, without labels")
    pretraining, heads = plan(options, data)
    pretrain.run(pretraining)
    scores: dict[str, Scores] = {}
    for number, (name, what) in enumerate(HEADS.items()):
        tell(f"demo {3 + (number == 2)}/4: {what}")
        scores[name] = segmented(heads[name])
    neighbors = {}
    for name in ("random", "pretrained"):
        tell(f"demo: asking the nearest neighbors, {name} backbone")
        neighbors[name] = nearest(out / name, data)
    tell("demo: drawing the page")
    report(out, data, scores, neighbors, time.monotonic() - start)
    tell(f"demo: done in {(time.monotonic() - start) / 60:.1f} min; open {out / 'index.html'}")


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
        gray=0.2, blur=(0.5, 0.1), sigma=(0.1, 2.0), solarize=(0.0, 0.2),
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
    model, _ = load_segmenter(folder, "best", Device().torch)
    parts = []
    for role in ("train", "val"):
        samples = list(data.open(role))
        labels = [dominant_class(sample.mask) for sample in samples]
        parts += [embed(model.backbone, [to_tensor(sample.image) for sample in samples]), torch.tensor(labels)]
    return knn_accuracy(*parts)
