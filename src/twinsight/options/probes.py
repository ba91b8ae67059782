"""Probes, by the names they have on the command line."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from twinsight.options.probe import ProbeOptions
from twinsight.options.ranges import Count, Images, Index, Positive, PositiveShare, Seed, Share, Whole


@dataclass(frozen=True)
class AttentionOptions(ProbeOptions):
    """Where each attention head looks: the class token's attention, or that of any patch."""

    target: ClassVar = "twinsight.probes.attention.maps:Attention"
    blocks: tuple[Index, ...] = (-1,)
    """Blocks to look at, counted from 0 (figures count from 1); -1 is the last."""
    query: Literal["auto", "class", "mean"] = "auto"
    """Whose attention: the class token's (class) or the mean over all patches (mean). auto: class if it exists."""
    at: tuple[Share, Share] | None = None
    """Show the attention of the patch at x y instead, given as fractions of the image's width and height."""
    mass: Share = 0.6
    """Fraction of a head's attention that its mask covers."""
    rollout: bool = False
    """Show attention rollout over all blocks too (Abnar and Zuidema, 2020)."""


@dataclass(frozen=True)
class AttentionScoresOptions(ProbeOptions):
    """How well attention finds the objects in masks, by head and block, beside chance and an untrained network."""

    target: ClassVar = "twinsight.probes.attention.scores:AttentionScores"
    example: ClassVar = "--weights vit_small_patch16_224.dino --data street"
    given: ClassVar = ("classes",)
    wants: ClassVar = ("masks",)
    images: ClassVar = 32
    blocks: tuple[Index, ...] = ()
    """Blocks to score, counted from 0; -1 is the last. Default: all."""
    query: Literal["auto", "class", "mean"] = "auto"
    """Whose attention: the class token's (class) or the mean over all patches (mean). auto: class if it exists."""
    mass: Share = 0.6
    """Fraction of a head's attention that its mask covers."""
    seed: Seed = 0
    """Seed of the attention in random places."""
    protocol: Literal["foreground", "public"] = "foreground"
    """What heads are compared with. foreground: everything but the background, as one region, ignoring void. public:
    each class with its own best head, as in the public script for DINO on VOC, which crops images to whole patches and
    counts void under a mask as a mistake."""


@dataclass(frozen=True)
class ReceptiveFieldOptions(ProbeOptions):
    """Effective receptive fields: the pixels that a layer's central unit depends on (Luo et al., 2016)."""

    target: ClassVar = "twinsight.probes.network.receptive_field:ReceptiveField"
    layers: tuple[str, ...] = ()
    """Names of layers, as in named_modules(). Default: --count layers, evenly spaced."""
    count: Count = 8
    """Number of layers if none is named, including the first and the last."""
    threshold: PositiveShare = 0.0455
    """Fraction of the maximum above which a pixel belongs to the receptive field."""


@dataclass(frozen=True)
class CorrelationOptions(ProbeOptions):
    """The cross-correlation matrix of two views' embeddings, which Barlow Twins drives to the identity."""

    target: ClassVar = "twinsight.probes.views.correlation:Correlation"
    given: ClassVar = ("transform",)
    images: ClassVar = 128
    size: ClassVar = 224
    shown: Count = 256
    """Number of features to draw. The numbers cover all of them."""
    seed: Seed = 0
    """Seed of the views."""


@dataclass(frozen=True)
class HealthOptions(ProbeOptions):
    """Whether a self-supervised training collapses, learns or diverges, in plain words."""

    target: ClassVar = "twinsight.probes.views.health:Health"
    given: ClassVar = ("transform", "history")
    images: ClassVar = 128
    size: ClassVar = 224
    seed: Seed = 0
    """Seed of the views."""


@dataclass(frozen=True)
class ViewsOptions(ProbeOptions):
    """The augmented views that a method compares, and where in the image they come from."""

    target: ClassVar = "twinsight.probes.views.crops:AugmentedViews"
    given: ClassVar = ("transform",)
    once: ClassVar = True
    draws: Images = 1
    """Number of draws of the views for each image."""
    seed: Seed = 0
    """Seed of the views."""


@dataclass(frozen=True)
class PredictionsOptions(ProbeOptions):
    """What a segmenter predicts: image, prediction, ground truth, errors and confidence."""

    target: ClassVar = "twinsight.probes.segmentation.predictions:Predictions"
    example: ClassVar = "--weights runs/street"
    given: ClassVar = ("classes", "palette")
    size: ClassVar = None


@dataclass(frozen=True)
class FeaturesOptions(ProbeOptions):
    """Patch features as colors: their first three principal components over all images."""

    target: ClassVar = "twinsight.probes.patches.features:PatchFeatures"
    images: ClassVar = 8
    level: Index = -1
    """Level of the backbone: a stage or a block; -1 is the deepest."""
    shown: Count = 12
    """Largest number of images to draw. The numbers cover all of them."""


@dataclass(frozen=True)
class PatchNeighborsOptions(ProbeOptions):
    """Segmentation without a head: each patch takes the class of its nearest patches in other images."""

    target: ClassVar = "twinsight.probes.patches.neighbors:PatchNeighbors"
    example: ClassVar = "--weights runs/photos --data street"
    given: ClassVar = ("classes", "palette")
    wants: ClassVar = ("masks",)
    images: ClassVar = 64
    size: ClassVar = 224
    k: Count = 20
    """Number of neighbors that vote."""
    level: Index = -1
    """Level of the backbone: a stage or a block; -1 is the deepest."""
    memory: Count = 20_000
    """Largest number of patches to compare with."""
    shown: Count = 4
    """Number of images in the figure."""
    seed: Seed = 0
    """Seed of the choice of patches."""


@dataclass(frozen=True)
class EmbeddingOptions(ProbeOptions):
    """All images on a plane, placed by their embeddings."""

    target: ClassVar = "twinsight.probes.embeddings.plane:Embedding"
    given: ClassVar = ("classes", "palette", "labels")
    images: ClassVar = 300
    size: ClassVar = 224
    projection: Literal["pca", "tsne"] = "pca"
    """pca: principal components; tsne: t-SNE (pip install 'twinsight[tsne]')."""
    perplexity: Positive = 30.0
    """Perplexity of t-SNE: roughly the number of neighbors of a point."""
    thumbnails: Whole = 60
    """Largest number of images to draw."""
    seed: Seed = 0
    """Seed of t-SNE."""


@dataclass(frozen=True)
class NeighborsOptions(ProbeOptions):
    """The nearest neighbors of some images, by the cosine similarity of embeddings."""

    target: ClassVar = "twinsight.probes.embeddings.neighbors:Neighbors"
    given: ClassVar = ("classes", "labels")
    images: ClassVar = 300
    size: ClassVar = 224
    queries: Count = 4
    """Number of images to find neighbors of, the first ones."""
    k: Count = 6
    """Number of neighbors of each."""


@dataclass(frozen=True)
class KnnOptions(ProbeOptions):
    """k-NN classification: how well its nearest neighbors predict an image's class, or its mask's main class."""

    target: ClassVar = "twinsight.probes.embeddings.knn:Knn"
    given: ClassVar = ("classes", "labels")
    wants: ClassVar = ("labels", "masks")
    images: ClassVar = 300
    size: ClassVar = 224
    ks: tuple[Count, ...] = (10, 20, 100, 200)
    """Numbers of neighbors to try."""
    temperature: Positive = 0.07
    """A neighbor's vote has the weight exp(cosine similarity / temperature)."""


@dataclass(frozen=True)
class LinearProbeOptions(ProbeOptions):
    """Linear probe: how well a linear layer on frozen embeddings predicts the class of an image, or of its mask."""

    target: ClassVar = "twinsight.probes.embeddings.linear:LinearProbe"
    given: ClassVar = ("classes", "labels")
    wants: ClassVar = ("labels", "masks")
    images: ClassVar = 300
    size: ClassVar = 224
    seed: Seed = 0
    """Seed of the choice of images that set the regularization."""


@dataclass(frozen=True)
class FiltersOptions(ProbeOptions):
    """The filters of the first layer or patch embedding, as images."""

    target: ClassVar = "twinsight.probes.network.filters:Filters"
    example: ClassVar = "--weights resnet50"
    images: ClassVar = 0
    count: Count = 64
    """Number of filters to draw, strongest first."""


@dataclass(frozen=True)
class CurvesOptions(ProbeOptions):
    """Learning curves of one or several runs."""

    target: ClassVar = "twinsight.probes.learning_curves:LearningCurves"
    example: ClassVar = "--weights runs/photos --weights runs/photos-dino"
    images: ClassVar = 0
    scalars: tuple[str, ...] = ()
    """Columns of metrics.csv to draw. Default: all that a run logs, by group."""


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
