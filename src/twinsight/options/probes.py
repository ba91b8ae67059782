"""Looks inside a model, by the name they have on the command line."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from twinsight.options.build import Buildable
from twinsight.options.ranges import Count, Images, Index, Positive, PositiveShare, Seed, Share, Whole


class ProbeOptions(Buildable):
    """given: arguments of the probe that are not options but follow from data and model.

    images: how many it looks at by default. size: pixels to which longer shorter sides are brought down; None for none.
    once: whether training changes nothing about it. wants: what of "labels" and "masks" it cannot do without; of both,
    one is enough.
    """

    not_arguments: ClassVar = ()
    given: ClassVar[tuple[str, ...]] = ()
    images: ClassVar[int] = 4
    size: ClassVar[int | None] = 480
    once: ClassVar[bool] = False
    wants: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class AttentionOptions(ProbeOptions):
    """Where each attention head looks: the class token's attention, or that of any patch."""

    target: ClassVar = "twinsight.probes.attention.maps:Attention"
    blocks: tuple[Index, ...] = (-1,)
    """Blocks to look at, counted from 0 (figures count from 1); negative ones from the last."""
    query: Literal["auto", "class", "mean"] = "auto"
    """Whose attention: the class token's or the mean over all patches'; auto: class where there is one."""
    at: tuple[Share, Share] | None = None
    """The attention of the patch at x y, shares of the image's width and height, instead."""
    mass: Share = 0.6
    """Share of a head's attention that its mask holds."""
    rollout: bool = False
    """Attention rollout over all blocks too (Abnar and Zuidema, 2020)."""


@dataclass(frozen=True)
class AttentionScoresOptions(ProbeOptions):
    """How well attention finds what masks show, per head and block, beside chance and an untrained network."""

    target: ClassVar = "twinsight.probes.attention.scores:AttentionScores"
    given: ClassVar = ("classes",)
    wants: ClassVar = ("masks",)
    images: ClassVar = 32
    blocks: tuple[Index, ...] = ()
    """Blocks to score, counted from 0; negative ones from the last. Default: all."""
    query: Literal["auto", "class", "mean"] = "auto"
    """Whose attention: the class token's or the mean over all patches'; auto: class where there is one."""
    mass: Share = 0.6
    """Share of a head's attention that its mask holds."""
    seed: Seed = 0
    """Of the attention in random places."""
    protocol: Literal["foreground", "public"] = "foreground"
    """foreground: all that is not background is one region, and void counts nowhere. public: as the public script for
    DINO on VOC, each class with its own best head, images cropped to whole patches, void under a mask a mistake."""


@dataclass(frozen=True)
class ReceptiveFieldOptions(ProbeOptions):
    """Effective receptive fields: which pixels a layer's central unit depends on, and how much (Luo et al., 2016)."""

    target: ClassVar = "twinsight.probes.network.receptive_field:ReceptiveField"
    layers: tuple[str, ...] = ()
    """Names of layers, as named_modules() has them. Default: --count of them, evenly spaced."""
    count: Count = 8
    """How many layers where none is named, first and last included."""
    threshold: PositiveShare = 0.0455
    """Share of the maximum above which a pixel counts to the field's area."""


@dataclass(frozen=True)
class CorrelationOptions(ProbeOptions):
    """The cross-correlation matrix of two views' embeddings: the identity is what Barlow Twins wants."""

    target: ClassVar = "twinsight.probes.views.correlation:Correlation"
    given: ClassVar = ("transform",)
    images: ClassVar = 128
    size: ClassVar = 224
    shown: Count = 256
    """Show so many of the features; the numbers are of all."""
    seed: Seed = 0
    """Of the views."""


@dataclass(frozen=True)
class HealthOptions(ProbeOptions):
    """Is a self-supervised training well: collapse, learning, divergence, as alarms in plain words."""

    target: ClassVar = "twinsight.probes.views.health:Health"
    given: ClassVar = ("transform", "history")
    images: ClassVar = 128
    size: ClassVar = 224
    seed: Seed = 0
    """Of the views."""


@dataclass(frozen=True)
class ViewsOptions(ProbeOptions):
    """The augmented views that a method compares, and where in the image they lie."""

    target: ClassVar = "twinsight.probes.views.crops:AugmentedViews"
    given: ClassVar = ("transform",)
    once: ClassVar = True
    draws: Images = 1
    """How many times the views are drawn for each image."""
    seed: Seed = 0
    """Of the views."""


@dataclass(frozen=True)
class PredictionsOptions(ProbeOptions):
    """What a segmenter predicts: image, prediction, truth, errors, confidence."""

    target: ClassVar = "twinsight.probes.segmentation.predictions:Predictions"
    given: ClassVar = ("classes", "palette")
    size: ClassVar = None


@dataclass(frozen=True)
class FeaturesOptions(ProbeOptions):
    """Patch features as colors: their first three principal components, shared over the images."""

    target: ClassVar = "twinsight.probes.patches.features:PatchFeatures"
    images: ClassVar = 8
    level: Index = -1
    """Level of the backbone, a stage or a block; negative ones count from the deepest."""
    shown: Count = 12
    """Most images to draw, evenly chosen; the numbers are of all."""


@dataclass(frozen=True)
class PatchNeighborsOptions(ProbeOptions):
    """Segmentation without a decoder: each patch takes the class of its nearest patches in other images."""

    target: ClassVar = "twinsight.probes.patches.neighbors:PatchNeighbors"
    given: ClassVar = ("classes", "palette")
    wants: ClassVar = ("masks",)
    images: ClassVar = 64
    size: ClassVar = 224
    k: Count = 20
    """Neighbors that vote."""
    level: Index = -1
    """Level of the backbone, a stage or a block; negative ones count from the deepest."""
    memory: Count = 20_000
    """Most patches to compare with."""
    shown: Count = 4
    """Images in the figure."""
    seed: Seed = 0
    """Of the choice of patches."""


@dataclass(frozen=True)
class EmbeddingOptions(ProbeOptions):
    """All images in the plane, by their embeddings."""

    target: ClassVar = "twinsight.probes.embeddings.plane:Embedding"
    given: ClassVar = ("classes", "palette", "labels")
    images: ClassVar = 300
    size: ClassVar = 224
    projection: Literal["pca", "tsne"] = "pca"
    """Principal components, or t-SNE (pip install 'twinsight[tsne]')."""
    perplexity: Positive = 30.0
    """Of t-SNE: about how many neighbors a point has."""
    thumbnails: Whole = 60
    """Most images to draw."""
    seed: Seed = 0


@dataclass(frozen=True)
class NeighborsOptions(ProbeOptions):
    """The nearest images of a query, by the similarity of their embeddings."""

    target: ClassVar = "twinsight.probes.embeddings.neighbors:Neighbors"
    given: ClassVar = ("classes", "labels")
    images: ClassVar = 300
    size: ClassVar = 224
    queries: Count = 4
    """How many images, the first, are queries."""
    k: Count = 6
    """Neighbors of each."""


@dataclass(frozen=True)
class KnnOptions(ProbeOptions):
    """k-NN: how well the nearest images tell an image's class, or the class of most of its mask."""

    target: ClassVar = "twinsight.probes.embeddings.knn:Knn"
    given: ClassVar = ("classes", "labels")
    wants: ClassVar = ("labels", "masks")
    images: ClassVar = 300
    size: ClassVar = 224
    ks: tuple[Count, ...] = (10, 20, 100, 200)
    """Numbers of neighbors that vote."""
    temperature: Positive = 0.07
    """A vote weighs exp(cosine similarity / temperature)."""


@dataclass(frozen=True)
class LinearProbeOptions(ProbeOptions):
    """A linear layer on frozen embeddings: how well it tells an image's class, or the class of most of its mask."""

    target: ClassVar = "twinsight.probes.embeddings.linear:LinearProbe"
    given: ClassVar = ("classes", "labels")
    wants: ClassVar = ("labels", "masks")
    images: ClassVar = 300
    size: ClassVar = 224
    seed: Seed = 0
    """Of the images that the regularization is chosen on."""


@dataclass(frozen=True)
class FiltersOptions(ProbeOptions):
    """The weights of the first layer or the patch embedding, as images."""

    target: ClassVar = "twinsight.probes.network.filters:Filters"
    images: ClassVar = 0
    count: Count = 64
    """How many, the strongest."""


@dataclass(frozen=True)
class CurvesOptions(ProbeOptions):
    """Learning curves of runs."""

    target: ClassVar = "twinsight.probes.learning_curves:LearningCurves"
    images: ClassVar = 0
    scalars: tuple[str, ...] = ()
    """Columns of metrics.csv. Default: all that a run logs, by group."""


PROBES: dict[str, type[ProbeOptions]] = {
    "attention": AttentionOptions,
    "scores": AttentionScoresOptions,
    "erf": ReceptiveFieldOptions,
    "correlation": CorrelationOptions,
    "health": HealthOptions,
    "views": ViewsOptions,
    "predictions": PredictionsOptions,
    "features": FeaturesOptions,
    "patches": PatchNeighborsOptions,
    "embedding": EmbeddingOptions,
    "neighbors": NeighborsOptions,
    "knn": KnnOptions,
    "linear": LinearProbeOptions,
    "filters": FiltersOptions,
    "curves": CurvesOptions,
}
