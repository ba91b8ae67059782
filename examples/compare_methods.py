"""Which method learns most from these images in the same time? Pretrain with each, and judge each backbone.

    python examples/compare_methods.py street --methods barlow-twins dino vicreg --minutes 5 --out runs/methods
    python examples/compare_methods.py photos --judge street --config small.yaml

Each method trains with its bare settings for the same time on the same machine, once per seed; then the backbone is
frozen and judged on data with masks (nearest patches, a linear layer, attention) or with a folder per class (nearest
images, a linear layer), beside the same network untrained, for each seed one. A method that needs options of its own is
a YAML file with a section `method`, such as a recipe.

Each training is a run of its own in OUT, and called again, the script trains only what is missing. It writes
OUT/scores.csv and OUT/table.md: the mean over the seeds with its 95 % t-interval, and in bold the methods that are
ahead of the untrained network by more than the interval of the difference, seed by seed.
"""

import argparse
import csv
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

import twinsight

UNTRAINED = "untrained"
SCORES = {
    "patches": ("patches", "mean_iou", "patch k-NN mean IoU"),
    "linear": ("linear", "mean_iou", "linear mean IoU"),
    "attention": ("attention", "best_head_jaccard", "attention Jaccard"),
    "knn": ("knn", "k20", "k-NN accuracy"),
    "linear_top1": ("linear", "top1", "linear accuracy"),
}
"""Judge, score and title of each column; those that the data allow are shown."""


def cells(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Train and judge each method with each seed. Raises UserError for bad input."""
    recipe = yaml.safe_load(args.config.read_text(encoding="utf-8")) if args.config else {}
    recipe.pop("command", None)
    methods = {UNTRAINED: {"name": "none"}} | {Path(name).stem: method(name) for name in args.methods}
    for seed in args.seeds:
        for name, chosen in methods.items():
            options = recipe | {"method": merged(recipe.get("method", {}), chosen), "seed": seed}
            yield {"method": name, "seed": seed, **judged(args, options, args.out / f"{name}-seed-{seed}")}


def method(name: str) -> dict[str, Any]:
    """The section `method` of a YAML file, or a method's name."""
    if not name.endswith((".yaml", ".yml")):
        return {"name": name}
    return yaml.safe_load(Path(name).read_text(encoding="utf-8"))["method"]


def merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A method's section over one that all share, such as the size of the views."""
    if own["name"] == "none":
        return dict(own)  # it has no options
    views = {**shared.get("views", {}), **own.get("views", {})}
    return {**shared, **own, **({"views": views} if views else {})}


def judged(args: argparse.Namespace, options: Mapping[str, Any], folder: Path) -> dict[str, float]:
    """The scores of the backbone; kept beside the run, and trained and judged but once.

    Raises UserError if the run was trained in another way.
    """
    asked = {"data": args.data, "judge": args.judge or args.data, "minutes": args.minutes, **options}
    note = folder.with_suffix(".json")
    if note.is_file():
        kept = json.loads(note.read_text(encoding="utf-8"))
        if kept["asked"] != json.loads(json.dumps(asked)):
            raise twinsight.UserError(f"{note}: was trained with other options; choose another --out")
        return kept["scores"]
    begun = time.monotonic()
    run = twinsight.pretrain(args.data, **options, time_budget=args.minutes, run=folder, overwrite=True)
    took = time.monotonic() - begun
    masks = bool(twinsight.Dataset.open(args.judge or args.data).classes)
    probe = "attention,patches,linear" if masks else "knn,linear"
    try:
        numbers = twinsight.evaluate(run, args.judge or args.data, probe=probe)
    except twinsight.UserError:  # a network without attention
        numbers = twinsight.evaluate(run, args.judge or args.data, probe="patches,linear")
    scores = {**dict(columns(numbers)), "minutes": took / 60}
    note.write_text(json.dumps({"asked": asked, "scores": scores}, indent=1), encoding="utf-8")
    return scores


def columns(numbers: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The scores of a backbone, in percent."""
    for column, (judge, score, _) in SCORES.items():
        found = numbers.get(judge, {})
        value = (found if judge == "attention" else found.get("model", {})).get(score)
        if value is not None:
            yield column, 100 * value


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % t-interval; NaN for one value."""
    n = len(values)
    return float(np.mean(values)), stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5 if n > 1 else np.nan


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """In Markdown, a line per method; bold: ahead of the untrained network by more than chance."""
    scores: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        for column in SCORES.keys() & row.keys():
            scores[row["method"]][column][row["seed"]] = row[column]
    shown = [column for column in SCORES if column in scores[UNTRAINED]]
    lines = [["method", *(SCORES[column][2] for column in shown)], ["---", *["---:"] * len(shown)]]
    for name, found in scores.items():
        line = [name]
        for column in shown:
            seeds, before = found[column], scores[UNTRAINED][column]
            mean, half = interval(list(seeds.values()))
            text = f"{mean:.1f}" + f" ± {half:.1f}" * bool(np.isfinite(half))
            gain, doubt = interval([seeds[seed] - before[seed] for seed in seeds])
            line.append(f"**{text}**" if name != UNTRAINED and gain > doubt else text)
        lines.append(line)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="images to pretrain on: a folder or a data set's name")
    parser.add_argument("--judge", help="data with masks or classes to judge on; default: the same data")
    parser.add_argument("--methods", nargs="+", default=["barlow-twins", "dino"], help="names, or YAML files")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=5.0, help="of training for each")
    parser.add_argument("--config", type=Path, help="recipe of `twinsight pretrain` with all other options")
    parser.add_argument("--out", type=Path, default=Path("runs/methods"), help="folder for runs and scores")
    args = parser.parse_args(words)
    try:
        rows = list(cells(args))
    except (twinsight.UserError, OSError, yaml.YAMLError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: interrupted; the same command trains what is missing\n")
    with (args.out / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    (args.out / "table.md").write_text(table(rows), encoding="utf-8")
    print(table(rows), end="")


if __name__ == "__main__":
    main()
