"""The diagnosis of a training from its vital signs, in plain words."""

import math
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import NamedTuple

import numpy as np
from matplotlib.figure import FigureBase
from matplotlib.patches import FancyBboxPatch

from twinsight.probes.draw import COLORS, PAGE, Plot

Row = Mapping[str, float]

LOG = "probe/health/"
"""Prefix of this probe's numbers in metrics.csv."""

ALARMS = {
    "collapsed": "Lower the learning rate or warm up longer; check that the two views differ, and that the method "
    "lacks nothing that keeps images apart (batch norm, stop-gradient, centering).",
    "dimensional_collapse": "Give more weight to what keeps features apart (lambda of Barlow Twins), use larger "
    "batches or a wider projector, or weaken the augmentation.",
    "not_learning": "Raise the learning rate; check that the backbone is not frozen, and that the augmentation is "
    "not so strong that the views have nothing in common.",
    "diverging": "Resume from an earlier checkpoint with a lower learning rate, a longer warm-up, clipped gradients or "
    "full precision.",
}
"""What can be wrong, and what to try."""

ALIKE = 0.01
"""Collapsed: embeddings vary by less than this fraction of their length; usual are 0.25 to 0.9, trained or not."""

STILL, LOOKS, LOSSES = 0.01, 5, 50
"""Not learning: nothing changed by this fraction in so many looks, or the loss fell by no more in so many rows."""

EXPLODED = 100
"""Diverging: embeddings this many times as long as at first."""


WELL = {
    "collapsed": "images stay distinct",
    "dimensional_collapse": "many dimensions are used",
    "not_learning": "it learns",
    "diverging": "it does not diverge",
}
"""Texts of silent alarms."""


class Alarm(NamedTuple):
    """name: of `ALARMS`. says: what was found, in one sentence. advice: what to try."""

    name: str
    says: str
    advice: str


def diagnose(numbers: Row, history: Sequence[Row] = ()) -> list[Alarm]:
    """numbers: as `Health` has them, now. history: earlier ones, and "train/loss", whichever a row has, in order.

    Collapsed: see `ALIKE`; a new ViT whose layer scale begins near 0 (DINOv2's) rings too, until its first steps.
    Dimensional collapse: an effective rank below the cube root of the greatest that images and dimensions allow,
    min(2 images - 1, dimensions): two dimensions are seen from 5 images on, 6 from 128; untrained networks have at
    least 1.7 times as many. Not learning: see `STILL`; of the loss also no more than
    the standard error. Diverging: embeddings that are not finite or exploded (see `EXPLODED`), a loss that is not
    finite, or one (median of the last fifth, of at least 10) that is above its best fifth by more than that one, a
    tenth of the first and three standard errors.
    """
    found: dict[str, str] = {}
    places = [place for place in ("embedding", "projection") if f"{place}/spread" in numbers]
    for place in places:
        spread, dead, rank, dimensions = (
            numbers[f"{place}/{name}"] for name in ("spread", "dead_dimensions", "effective_rank", "dimensions")
        )
        most = min(2 * numbers["images"] - 1, dimensions)
        lengths = [row[f"{place}/length"] for row in history if f"{place}/length" in row]
        if math.isnan(spread):
            found.setdefault("diverging", f"the {place} is not finite")
        elif spread < ALIKE:
            found.setdefault("collapsed", f"all images have the same {place}: it varies by {spread:.2%} of its length")
        elif rank < most ** (1 / 3):
            left = f"{rank:.1f} dimensions of at most {most:.0f}; {dead:.0%} of its features are dead"
            found.setdefault("dimensional_collapse", f"the {place} uses {left}")
        if lengths and numbers[f"{place}/length"] > EXPLODED * lengths[0] > 0:
            times = numbers[f"{place}/length"] / lengths[0]
            found.setdefault("diverging", f"the {place} is {times:.0f} times as long as at first")
    losses = np.array([row["train/loss"] for row in history if "train/loss" in row])
    if len(losses) and not np.isfinite(losses[-1]):
        found.setdefault("diverging", "the loss is not finite")
    elif len(losses) >= 10 and np.isfinite(losses).all():
        for name, says in of_losses(losses).items():
            found.setdefault(name, says)
    if "diverging" not in found and (looks := unmoved(numbers, history)):
        found.setdefault("not_learning", f"no vital sign has moved by {STILL:.0%} since the first of {looks} looks")
    return [Alarm(name, found[name], advice) for name, advice in ALARMS.items() if name in found]


def of_losses(losses: np.ndarray) -> dict[str, str]:
    """What is wrong, judged by at least 10 finite losses."""
    fifths = np.array_split(losses, 5)
    middle = [float(np.median(part)) for part in fifths]  # a single spike says nothing
    first, last, best = middle[0], middle[-1], min(middle)
    # Of the median of normal values, whose median deviation is 0.67 standard ones.
    errors = [1.86 * np.median(abs(part - m)) / math.sqrt(len(part)) for part, m in zip(fifths, middle)]
    if last - best > max(abs(best), 0.1 * abs(first), 3 * errors[middle.index(best)]):
        return {"diverging": f"the loss has risen from {best:.3g} to {last:.3g}"}
    if len(losses) >= LOSSES and first - last < max(STILL * abs(first), math.hypot(errors[0], errors[-1])):
        return {"not_learning": f"the loss has not fallen: {first:.3g} at first, {last:.3g} at last"}
    return {}


def unmoved(numbers: Row, history: Sequence[Row]) -> int:
    """The number of looks without a change in any vital sign; 0 if one has changed, or with too few looks to tell."""
    names = [f"{place}/{sign}" for place in ("embedding", "projection") for sign in ("alignment", "effective_rank")]
    names = [name for name in names if name in numbers]
    if not names:
        return 0
    looks = [row for row in history if all(name in row for name in names)]
    if len(looks) < LOOKS:
        return 0
    moved = (abs(numbers[name] - looks[0][name]) > STILL * max(abs(looks[0][name]), 1e-6) for name in names)
    return 0 if any(moved) else len(looks)


SIGNS = {  # name: what it is, digits, what is good
    "mean_diagonal": ("agreement of views", "{:.2f}", "near 1"),
    "off_diagonal_rms": ("redundancy", "{:.2f}", "near {noise_floor:.2f}, chance"),
    "dead_dimensions": ("dead features", "{:.0%}", "0%"),
    "effective_rank": ("effective rank", "{:.1f}", "high, at most {most}"),
    "spread": ("spread of images", "{:.2f}", "above 0.01"),
    "alignment": ("alignment", "{:.2f}", "low, 0 to 4"),
    "uniformity": ("uniformity", "{:.2f}", "low, about −4 to 0"),
}

FINE, ALARM, OPEN = COLORS[2], COLORS[1], "#bbbbbb"

LETTERS = 100
"""In a line of the panel."""


def panel(numbers: Row, alarms: Sequence[Alarm], history: Sequence[Row]) -> Plot:
    """The vital signs; below, each alarm's state in a colored box and, if it rings, what was found and what to do."""
    places = [place for place in ("embedding", "projection") if f"{place}/spread" in numbers]
    ringing = {alarm.name: alarm for alarm in alarms}
    lost = any(math.isnan(numbers[f"{place}/spread"]) for place in places)
    judged = any(
        sum(name in row for row in history) >= least
        for name, least in (("train/loss", LOSSES), ("embedding/alignment", LOOKS))
    )
    lights: list[tuple[str, str, str, list[str]]] = []
    for name in ALARMS:
        words, color, title, text = "fine", FINE, WELL[name], []
        if name in ringing:
            words, color, title = "ALARM", ALARM, name.replace("_", " ")
            text = wrap(f"{ringing[name].says[0].upper()}{ringing[name].says[1:]}.", LETTERS)
            text += wrap(f"Try: {ringing[name].advice}", LETTERS)
        elif (lost and "collapse" in name) or (name == "not_learning" and (lost or not judged)):
            words, color, title = "open", OPEN, f"{name.replace('_', ' ')}?"
            text = ["Cannot be judged." if lost else "Too few looks and losses to tell."]
        lights.append((title, words, color, text))
    line = 0.17
    above = 0.3 + line * (len(SIGNS) + 1)
    heights = [max(0.3, 0.1 + line * (1 + len(text))) for *_, text in lights]
    total = above + 0.1 + sum(heights)

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        axis.axis("off")
        axis.set(xlim=(0, PAGE), ylim=(total, 0))
        left = (0.05, 1.75, 3.0, 4.25)
        heads = [f"of {numbers['images']:.0f} images", *places]
        for x, text in zip(left, heads):
            axis.text(x, 0.15, text, fontsize=9, weight="bold", va="center")
        axis.text(left[-1], 0.15, "good is", fontsize=9, weight="bold", va="center")
        for i, (sign, (what, digits, good)) in enumerate(SIGNS.items()):
            y = 0.15 + line * (i + 1) + 0.05
            axis.text(left[0], y, what, fontsize=8, va="center")
            for x, place in zip(left[1:], places):
                value = numbers[f"{place}/{sign}"]
                axis.text(x, y, "–" if math.isnan(value) else digits.format(value), fontsize=8, va="center")
            most = " or ".join(
                dict.fromkeys(f"{min(2 * numbers['images'] - 1, numbers[f'{p}/dimensions']):.0f}" for p in places)
            )
            shown = good.format(noise_floor=numbers["noise_floor"], most=most)
            axis.text(left[-1], y, shown, fontsize=8, va="center", color="#555555")
        y = above + 0.1
        for (title, words, color, text), height in zip(lights, heights):
            box = FancyBboxPatch((0.07, y + 0.03), 0.52, 0.17, boxstyle="round,pad=0.02", facecolor=color, linewidth=0)
            axis.add_patch(box)
            ink = "black" if color == OPEN else "white"
            axis.text(0.33, y + 0.115, words, ha="center", va="center", fontsize=8, weight="bold", color=ink)
            axis.text(0.75, y + 0.115, title, va="center", fontsize=9, weight="bold" if color == ALARM else "normal")
            for i, part in enumerate(text):
                axis.text(0.75, y + 0.115 + line * (i + 1), part, va="center", fontsize=8)
            y += height

    return Plot(PAGE, total, draw)
