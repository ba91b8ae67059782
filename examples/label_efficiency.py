"""How many masks are enough? Train a segmenter on 5, 10, 25, 50 and 100 % of them and draw the curve.

    python examples/label_efficiency.py street --weights runs/photos random --out runs/labels

For each starting point, fraction and seed, a segmenter is trained on a part of the training images and scored on all
validation images, once, at the end of its training. A seed draws the subset, the first weights and the order of the
images; of one seed, a larger subset holds the smaller ones. Every fraction trains for the same number of steps,
that of `--epochs` passes over all images, so that few masks do not also mean little training: 5 % of the images
are seen twenty times as often.

Every cell is a run of its own in OUT. Called again, the script trains only what is missing, also for further seeds,
fractions and weights. It writes OUT/scores.csv, OUT/curve.svg, OUT/curve.png, and OUT/table.md: the mean over the
seeds with its 95 % t-interval, and how far the first weights are ahead of the others, seed by seed. At 100 %, seeds
share their images: there the interval is that of the training alone.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib.figure import Figure
from scipy import stats

import twinsight

SCORES = ("mean_iou", "mean_accuracy", "pixel_accuracy")
RANDOM = "random"


def fraction(text: str) -> float:
    """'5%' or '0.05' -> 0.05."""
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 < value <= 1:
        raise ValueError
    return value


def cells(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Train and score each cell that is not finished, seed by seed. Raises UserError for bad input."""
    recipe = yaml.safe_load(args.config.read_text(encoding="utf-8")) if args.config else {}
    recipe.pop("command", None)
    data = {key: value for key, value in recipe.pop("data", {}).items() if key not in ("name", "root")}
    data["name"] = args.data
    batch = recipe.setdefault("batch_size", 8)
    names = [Path(weights).name for weights in args.weights]
    if len({*names}) < len(names):
        raise twinsight.UserError(f"--weights {' '.join(args.weights)}: two have the same name; rename one")
    pretrained = [weights for weights in args.weights if weights != RANDOM]
    if pretrained and "backbone" not in recipe:
        recipe["backbone"] = twinsight.Run(pretrained[0]).options["backbone"]  # for random weights too
    shares = {len(twinsight.Dataset.open(data | {"fraction": share})): share for share in sorted(args.fractions)}
    if (least := min(shares)) < batch:
        raise twinsight.UserError(f"--fractions {shares[least]:.3g}: is {least} images, fewer than a batch of {batch}")
    total = args.epochs * (len(twinsight.Dataset.open(data)) // batch)
    for seed in args.seeds:
        for images, share in shares.items():
            part = data | {"fraction": share, "fraction_seed": seed}
            epochs = max(1, round(total / (images // batch)))
            options = recipe | {"epochs": epochs, "val_every": epochs, "warmup_epochs": epochs / 10, "seed": seed}
            for name, weights in zip(names, args.weights):
                start = {} if weights == RANDOM else {"weights": weights}
                run = trained(part, options | start, args.out / name / f"{100 * share:g}-percent-seed-{seed}")
                row = {"weights": name, "fraction": share, "images": images, "seed": seed}
                yield row | {"steps": epochs * (images // batch)} | {name: run.scores[name] for name in SCORES}


def trained(data: Mapping[str, Any], options: Mapping[str, Any], folder: Path) -> twinsight.Run:
    """The run in a folder, trained unless it is finished. Raises UserError if it was trained in another way."""
    asked, note = json.dumps({"data": data, **options}, indent=1), folder.with_suffix(".json")
    if note.is_file():
        if note.read_text(encoding="utf-8") != asked:
            raise twinsight.UserError(f"{note}: was trained with other options; choose another --out")
        return twinsight.Run(folder)
    run = twinsight.segment(data, **options, run=folder, overwrite=True)
    note.write_text(asked, encoding="utf-8")
    return run


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % t-interval; NaN for one value."""
    n = len(values)
    return float(np.mean(values)), stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5 if n > 1 else np.nan


def collect(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, list[float]]]:
    """Percent of mean IoU by weights and number of images, one value per seed."""
    scores: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        scores[row["weights"]][row["images"]].append(100 * row["mean_iou"])
    return scores


def table(scores: Mapping[str, Mapping[int, Sequence[float]]]) -> str:
    """In Markdown: means with intervals, and how far the first weights are ahead, seed by seed."""
    first, *others = scores
    lines = [["images", *scores, *(f"{first} - {other}" for other in others)]]
    lines.append(["---:"] * len(lines[0]))
    for images, values in scores[first].items():
        gains = [np.subtract(values, scores[other][images]).tolist() for other in others]
        found = [interval(column) for column in [*(scores[name][images] for name in scores), *gains]]
        lines.append(
            [str(images), *(f"{mean:.1f}" + f" ± {half:.1f}" * bool(np.isfinite(half)) for mean, half in found)]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def curve(scores: Mapping[str, Mapping[int, Sequence[float]]]) -> Figure:
    """A line per weights through the means, with intervals, and a ring per seed; images on a logarithmic axis."""
    figure = Figure(figsize=(4.8, 3.2), layout="constrained")
    axis = figure.subplots()
    for place, (name, by_images) in enumerate(scores.items()):
        images = np.array(list(by_images)) * 1.06 ** (place - (len(scores) - 1) / 2)  # side by side
        means, halves = np.array([interval(values) for values in by_images.values()]).T
        color = f"C{place}"
        axis.plot(images, means, color=color, marker="os^D"[place % 4], markersize=4, linewidth=1.5, label=name)
        axis.errorbar(images, means, halves, color=color, fmt="none", elinewidth=0.8, capsize=2, alpha=0.6)
        for x, values in zip(images, by_images.values()):
            axis.plot([x * 1.03] * len(values), values, "o", color=color, markerfacecolor="none", markersize=3)
    counts = list(next(iter(scores.values())))
    axis.set(xscale="log", xlabel="training images with masks", ylabel="mean IoU in percent")
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.minorticks_off()
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="#e4e4e4", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.legend(frameon=False)
    return figure


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder of images with masks, or a data set's name")
    parser.add_argument("--weights", nargs="+", default=[RANDOM], help="runs of `twinsight pretrain`, or random")
    parser.add_argument("--fractions", nargs="+", type=fraction, default=[0.05, 0.1, 0.25, 0.5, 1.0], metavar="5%%")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20, help="passes over all training images; sets the steps")
    parser.add_argument("--config", type=Path, help="recipe of `twinsight segment` with all other options")
    parser.add_argument("--out", type=Path, default=Path("runs/labels"), help="folder for runs, scores and curve")
    args = parser.parse_args(words)
    try:
        rows = list(cells(args))
    except (twinsight.UserError, OSError, yaml.YAMLError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: interrupted; the same command trains what is missing\n")
    with (args.out / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    scores = collect(rows)
    (args.out / "table.md").write_text(table(scores), encoding="utf-8")
    figure = curve(scores)
    figure.savefig(args.out / "curve.svg")
    figure.savefig(args.out / "curve.png", dpi=200)
    print(table(scores), end="")


if __name__ == "__main__":
    main()
