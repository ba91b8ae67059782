"""Pooled embeddings in two dimensions: which images a network finds similar."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import PAGE, Plot, distinct_colors
from twinsight.probes.embeddings.neighbors import class_names, embed, leave_one_out
from twinsight.probes.finding import Finding
from twinsight.probes.fits.pca import principal_axes, project
from twinsight.probes.grids import as_color
from twinsight.probes.images import pixels
from twinsight.probes.probe import Subject, effective_rank

Projection = Literal["pca", "tsne"]
Style = dict[str, tuple[Any, str]]

LEAST = {"pca": 3, "tsne": 4}
NAMED = 20
"""Maximum classes with their own color, the most frequent; the rest are gray."""
MARKERS = "osD^vPX*"
HEIGHTS = 2.6, 5.2
THUMBNAIL = 0.42
"""Inches: a thumbnail's longer side."""


class Embedding:
    """Images as points: pooled embeddings projected to two dimensions, some shown as thumbnails.

    projection: "pca", the first two principal components, exact; or "tsne" (openTSNE), of the embeddings' directions.
    classes: names of the masks' classes; an image's class is then the one with the most pixels. palette: their colors,
    (len(classes), 3) uint8. labels: the images' classes by name, if known otherwise.
    seed: for t-SNE. perplexity: t-SNE's effective number of neighbors, 1 or more, at most a third of the other images;
    the axis shows the value used. thumbnails: maximum number; they never overlap.

    Figure: "embedding". Numbers: "explained1" and "explained2" (PCA), fractions of the variance, 0 to 1;
    "effective_rank" (see there); if classes are known, "knn", the k-NN accuracy with k = 20.

    Raises UserError if there are fewer than 3 images (t-SNE: 4), or openTSNE is not installed.
    """

    subject: ClassVar[Subject] = "backbone"
    caption: ClassVar = CAPTIONS["embedding"]

    def __init__(
        self,
        projection: Projection = "pca",
        classes: Sequence[str] = (),
        palette: np.ndarray | None = None,
        labels: Sequence[str] | None = None,
        seed: int = 0,
        thumbnails: int = 60,
        perplexity: float = 30.0,
    ):
        if projection not in LEAST:
            raise UserError(f"--projection {projection}: no such projection; give pca or tsne")
        if thumbnails < 0:
            raise UserError(f"--thumbnails {thumbnails}: is negative; give 0 or more")
        if perplexity < 1:
            raise UserError(f"--perplexity {perplexity}: is too low; give 1 or more")
        self.projection: Projection = projection
        self.classes = classes
        self.palette = palette
        self.labels = labels
        self.seed = seed
        self.thumbnails = thumbnails
        self.perplexity = perplexity

    def __call__(self, model: Backbone, images: Sequence[Tensor], masks: Sequence[Tensor] | None = None) -> Finding:
        if len(images) < LEAST[self.projection]:
            raise UserError(
                f"--projection {self.projection}: needs {LEAST[self.projection]} images, but there are "
                f"{len(images)}; give more"
            )
        labels = class_names(len(images), masks, self.classes, self.labels)
        embeddings = embed(model, images)
        mean, axes, shares = principal_axes([embeddings], 2)
        points = project(embeddings, mean, axes).numpy()
        if self.projection == "pca":
            numbers = {"explained1": shares[0].item(), "explained2": shares[1].item()}
            names = [f"PC {i} ({100 * share:.0f}% of variance)" for i, share in enumerate(shares.tolist(), 1)]
        else:
            numbers = {}
            perplexity = min(self.perplexity, (len(images) - 1) / 3)
            points = tsne(F.normalize(embeddings, dim=1).numpy(), points, perplexity, self.seed)
            names = [f"t-SNE 1 (perplexity {perplexity:.3g})", "t-SNE 2"]
        numbers["effective_rank"] = effective_rank(embeddings)
        if labels is not None:
            known = sorted(set(labels))
            numbers["knn"] = leave_one_out(embeddings, torch.tensor([known.index(label) for label in labels]))
        looks = styles(labels, self.classes, self.palette)
        groups = [label if label in looks else "other classes" for label in labels or [""] * len(images)]
        figure = scatter(points, groups, looks, names, [thumbnail(image) for image in images], self.thumbnails)
        return Finding({"embedding": figure}, numbers, names=self.caption.names)


def tsne(vectors: np.ndarray, start: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """(N, D), and (N, 2) to start from -> (N, 2). One thread and exact neighbors, so that results repeat exactly."""
    try:
        from openTSNE import TSNE  # optional: imported only when used
    except ImportError as error:
        raise UserError("--projection tsne: not installed; run: pip install 'twinsight[tsne]'") from error

    options: Any = {"perplexity": perplexity}  # annotated as int, but a float works
    small = (
        1e-4 * start / max(start[:, 0].std(), 1e-12)
    )  # a PCA start preserves global structure (Kobak and Berens, 2019)
    fitted = TSNE(**options, initialization=small, neighbors="exact", n_jobs=1, random_state=seed)
    return np.asarray(fitted.fit(vectors))


def styles(labels: Sequence[str] | None, classes: Sequence[str], palette: np.ndarray | None) -> Style:
    """Color and marker by class, in the order of `classes`, else alphabetical; "" without classes."""
    if labels is None:
        return {"": (distinct_colors(1)[0], "o")}
    frequent = {name for name, _ in Counter(labels).most_common(NAMED)}
    order = {name: i for i, name in enumerate(classes)}
    names = sorted(frequent, key=lambda name: (order.get(name, len(order)), name))
    colors: list[Any] = list(distinct_colors(len(names)))
    if palette is not None and frequent <= order.keys():
        colors = [as_color(palette[order[name]]) for name in names]
    looks = {name: (color, MARKERS[i % len(MARKERS)]) for i, (name, color) in enumerate(zip(names, colors))}
    return looks if len(set(labels)) <= NAMED else {**looks, "other classes": ("#bbbbbb", ".")}


def thumbnail(image: Tensor) -> np.ndarray:
    """(3, H, W) -> (h, w, 3) uint8, 128 pixels at most."""
    whole = pixels(image)
    scale = min(1.0, 128 / max(whole.shape))
    return cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def apart(points: np.ndarray, count: int) -> list[int]:
    """Indices of at most `count` of the (N, 2) points, each at least 1 from the others along x or y.

    Farthest-point sampling, so that a few points cover the whole plane.
    """
    distance = np.full(len(points), np.inf)
    chosen: list[int] = []
    while len(chosen) < count and distance.max() >= 1:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(points - points[chosen[-1]]).max(axis=1))
    return chosen


def scatter(
    points: np.ndarray,
    groups: Sequence[str],
    looks: Style,
    names: Sequence[str],
    thumbs: Sequence[np.ndarray],
    count: int,
) -> Plot:
    """(N, 2) points by group, with equal scale on both axes; thumbnails are centered on their points."""
    width, margin = PAGE, 0.3  # inches; the margin holds the axis labels
    per_line = max(1, int(width / (0.45 + 0.06 * max(map(len, looks)))))
    lines = math.ceil(len(looks) / per_line) if len(looks) > 1 else 0
    low, high = points.min(axis=0), points.max(axis=0)
    ratio = (high - low)[1] / max((high - low)[0], 1e-12)
    height = float(np.clip(ratio * (width - margin - THUMBNAIL) + THUMBNAIL + margin, *HEIGHTS))
    room = np.array([width, height]) - margin
    unit = max(((high - low) / (room - THUMBNAIL)).max(), 1e-12)  # of the data in an inch
    chosen = apart(points / unit / THUMBNAIL, count)

    def draw(figure: FigureBase) -> None:
        axis = figure.subplots()
        for name, (color, marker) in looks.items():
            members = points[[group == name and i not in chosen for i, group in enumerate(groups)]]
            axis.scatter(*members.T, s=24, color=color, marker=marker, edgecolor="white", linewidth=0.5, zorder=4)
        for i in chosen:
            stick(axis, points[i], thumbs[i], looks[groups[i]][0])
        x, y = (low + high) / 2
        half = unit * room / 2
        axis.set(xlabel=names[0], ylabel=names[1], xticks=[], yticks=[])
        axis.set(xlim=(x - half[0], x + half[0]), ylim=(y - half[1], y + half[1]))
        axis.set_aspect("equal")
        if lines:
            handles = [
                Line2D([], [], linestyle="", marker=marker, color=color, markersize=5, label=name)
                for name, (color, marker) in looks.items()
            ]
            figure.legend(handles=handles, loc="outside lower center", ncols=per_line, fontsize=7)

    return Plot(width, height + 0.17 * lines, draw)


def stick(axis: Axes, point: np.ndarray, image: np.ndarray, color: Any) -> None:
    """A thumbnail around a point, framed in its class's color."""
    picture = OffsetImage(image, zoom=72 * THUMBNAIL / max(image.shape), interpolation="antialiased")
    frame = {"edgecolor": color, "linewidth": 1.5}
    box = AnnotationBbox(picture, (point[0], point[1]), frameon=True, pad=0, bboxprops=frame, zorder=3)
    box.set_in_layout(False)
    axis.add_artist(box)
