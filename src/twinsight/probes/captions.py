"""Captions of each probe: how to read its figures, how they can mislead, names of its numbers.

Imports no torch, so that a report can be written without it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from twinsight.quantities import ALARM, PERCENT, SCORES, Names, Quantity


class Caption(NamedTuple):
    """read: how to read the figures. caution: how they can mislead. names: of the numbers, by the last part of a key.

    title: heading on a page.
    """

    title: str
    read: str
    caution: str
    names: Names = MappingProxyType({})


SHARPNESS = {
    "entropy": Quantity("entropy of attention (0 one patch, 1 uniform)"),
    "diversity": Quantity("diversity of heads (0 all alike, 1 disjoint)"),
}
MAJORITY = {"majority_share": Quantity("accuracy of always naming the most frequent class", PERCENT)}
EXPLAINED = {f"explained{i}": Quantity(f"variance along component {i}", PERCENT) for i in (1, 2, 3)}
RANK = {"effective_rank": Quantity("effective rank")}
CORRELATION = {
    "mean_diagonal": Quantity("agreement of views (mean diagonal)"),
    "off_diagonal_rms": Quantity("redundancy (off-diagonal RMS)"),
    "noise_floor": Quantity("redundancy of independent features"),
    "dead_dimensions": Quantity("dead features", PERCENT),
    "dimensions": Quantity("dimensions"),
    **RANK,
}

LOSSES = {
    "loss": Quantity("training loss"),
    "lr": Quantity("learning rate"),
    "invariance": Quantity("invariance term"),
    "redundancy": Quantity("redundancy term"),
    "entropy": Quantity("entropy of the teacher", "nats"),
    "kl": Quantity("divergence from the teacher", "nats"),
    "temperature": Quantity("temperature of the teacher"),
    "momentum": Quantity("momentum of the teacher"),
    "attention_entropy": Quantity("attention term: entropy", "nats"),
    "attention_similarity": Quantity("attention term: similarity of heads"),
    "attention_inconsistency": Quantity("attention term: inconsistency of views"),
}
"""Logged by a training."""

CAPTIONS: Mapping[str, Caption] = {
    "attention": Caption(
        "Attention",
        "Bright is where a head looks: from the class token, from all patches on average, or from the ringed patch. "
        "The masks show the smallest set of patches that holds the given share of a head's attention, in the color of "
        "the head that attends there most.",
        "Each map is scaled to its own maximum, so compare places within a map, and entropies between maps. Attention "
        "shows what a block mixes, not what the network bases its output on.",
        {
            **SHARPNESS,
            "mass_area": Quantity("area that holds the masks' share of attention", PERCENT),
            "prefix_share": Quantity("attention on class and register tokens", PERCENT),
        },
    ),
    "scores": Caption(
        "Attention against masks",
        "Overlap (Jaccard: 100% is perfect) of what a head attends to with what the masks show, next to attention in "
        "random places, at the center of the image and in an untrained network. What exceeds all three was learned.",
        "The best of many heads is chosen with the mask in hand, so chance grows with the number of heads: judge by "
        "the distance from random. A large foreground favors maps that are merely wide.",
        {
            "best_head_jaccard": Quantity("Jaccard of the best head", PERCENT),
            "jaccard": Quantity("Jaccard, mean over heads", PERCENT),
            "best_head_pointing": Quantity("maximum inside the region, best head", PERCENT),
            "information": Quantity("information about the class", PERCENT),
            **SHARPNESS,
        },
    ),
    "erf": Caption(
        "Receptive fields",
        "How strongly each pixel moves the central unit of a layer, each map on its own scale. Circles hold half "
        "(solid) and 95% (dashed) of the total; insets enlarge small fields.",
        "A gradient tells what a small change of a pixel does on these images, not whether the pixel is useful. The "
        "circles assume round fields.",
        {
            "area": Quantity("area above the threshold", "px"),
            "radius50": Quantity("radius that holds 50%", "px"),
            "radius95": Quantity("radius that holds 95%", "px"),
            "entropy": Quantity("entropy", "nats"),
            "asymmetry": Quantity("asymmetry (0 to 1)"),
        },
    ),
    "correlation": Caption(
        "Cross-correlation",
        "The goal is a red diagonal and cyan elsewhere: features agree between the two views of an image, and do not "
        "repeat one another.",
        "With N images, even independent features correlate by about 1/√N: only what exceeds that is redundancy.",
        CORRELATION,
    ),
    "health": Caption(
        "Health",
        "Four alarms, each silent or ringing, with what was measured and what to try. Above them are the vital signs "
        "of the backbone's output (embedding) and of what the loss sees (projection).",
        "Alarms are rules of thumb on a few images. Silence does not prove that the features are useful: run "
        "`twinsight evaluate --probe patches` or train a linear head.",
        {
            **CORRELATION,
            "alignment": Quantity("distance of the two views (0 to 4)"),
            "uniformity": Quantity("uniformity (0 all alike, -4 spread out)"),
            "spread": Quantity("spread of images (0 to 1)"),
            "length": Quantity("length of the vectors"),
            "images": Quantity("images"),
            "collapsed": Quantity("collapse", ALARM),
            "dimensional_collapse": Quantity("dimensional collapse", ALARM),
            "not_learning": Quantity("not learning", ALARM),
            "diverging": Quantity("divergence", ALARM),
        },
    ),
    "views": Caption(
        "Augmented views",
        "The boxes show where each numbered view was cropped. Below each view is what was done to it.",
        "These are a few random draws, so rare or extreme ones may be missing: look at several.",
        {
            "mean_iou": Quantity("overlap of the first two crops (IoU)", PERCENT),
            "mean_area": Quantity("area of a crop", PERCENT),
        },
    ),
    "predictions": Caption(
        "Predictions",
        "Under errors, wrong pixels are orange-red and void is striped. Dark confidence means doubt.",
        "These are a few images: judge by the scores over the whole data set, and look here for the kind of errors.",
        {
            "mean_iou": Quantity("mean IoU on these images", PERCENT),
            "pixel_accuracy": Quantity("pixel accuracy on these images", PERCENT),
            "mean_confidence": Quantity("mean confidence", PERCENT),
            "calibration_gap": Quantity("confidence minus accuracy", PERCENT),
        },
    ),
    "confusion": Caption(
        "Confusion matrix",
        "Each row is a true class: the percentage of its pixels predicted as each column's class. Rows sum to 100%.",
        "A rare class fills a row like a frequent one, but rests on few pixels.",
    ),
    "features": Caption(
        "Patch features",
        "Patches of the same color have similar features, in all images: red, green and blue are the first three "
        "principal components. A network that recognizes objects colors each kind alike.",
        "All but three directions are left out, and the colors mean something else in each figure: compare borders, "
        "not colors, between figures.",
        {**EXPLAINED, **RANK},
    ),
    "patches": Caption(
        "Patch neighbors",
        "Each patch takes the class of its nearest patches in other images. No decoder was trained.",
        "Coarse patches cannot follow borders, so compare with the ceiling, and only backbones of the same patch size "
        "with each other. With few images to compare with, the scores are low.",
        {
            "mean_iou": Quantity("mean IoU", PERCENT),
            "pixel_accuracy": Quantity("pixel accuracy", PERCENT),
            "ceiling_mean_iou": Quantity("best mean IoU that the patch grid allows", PERCENT),
            "iou": Quantity("IoU", PERCENT),
        },
    ),
    "embedding": Caption(
        "Embedding",
        "Each point is an image; images that the network finds similar are close together.",
        "Two dimensions show little of many. PCA hides small differences and t-SNE invents gaps: trust the k-NN "
        "accuracy more than the eye.",
        {**EXPLAINED, **RANK, "knn": Quantity("k-NN accuracy (k = 20)", PERCENT)},
    ),
    "neighbors": Caption(
        "Nearest images",
        "Each row starts with a query, followed by its nearest images and their cosine similarity.",
        "Similarities can be compared within a network only. Where all pairs are near 1, the network hardly tells "
        "images apart.",
        {
            "first_similarity": Quantity("similarity of the nearest image"),
            "mean_similarity": Quantity("similarity of all pairs"),
            "agreement": Quantity("neighbors of the same class", PERCENT),
            "agreement_chance": Quantity("the same for random images", PERCENT),
        },
    ),
    "knn": Caption(
        "k-NN",
        "The share of images whose class is the one that their k nearest images vote for. At step 0 the network is as "
        "it was before training.",
        "A few hundred images leave an uncertainty of several percent, and too few neighbors for a large k: judge by "
        "`twinsight evaluate --probe knn`, which uses the whole data set.",
        {"accuracy": Quantity("accuracy", PERCENT), **MAJORITY},
    ),
    "linear": Caption(
        "Linear classifier",
        "Each row is a true class: the percentage of its images that a linear layer assigns to each column's class. At "
        "step 0 the network is as it was before training.",
        "The layer learns from half of a few hundred images, and each class is tested on few: judge by `twinsight "
        "evaluate --probe linear`, which uses the whole data set.",
        {"accuracy": Quantity("accuracy", PERCENT), "top5_accuracy": Quantity("top-5 accuracy", PERCENT), **MAJORITY},
    ),
    "filters": Caption(
        "Filters",
        "The filters of the first layer with the largest norms, from the smoothest to the noisiest, each scaled to its "
        "own largest weight around gray. Edges, color blobs and waves are learned; noise is not.",
        "Each filter has its own scale, so weak ones look as strong as the others. Clean filters do not prove good "
        "features, and large patches often stay noisy.",
        {
            "count": Quantity("filters"),
            "dead": Quantity("dead filters", PERCENT),
            "redundancy": Quantity("similarity of two filters (mean |cosine|)"),
            "low_frequency": Quantity("energy in low frequencies (white noise: 19.6)", PERCENT),
        },
    ),
    "curves": Caption(
        "Learning curves",
        "Plotted over optimizer steps, some on a logarithmic scale. For a loss with many points, the faint line shows "
        "the points and the strong line their mean over a moving window of a fifteenth of the run.",
        "Losses of different methods or settings cannot be compared, and a step of a larger batch costs more.",
        {**LOSSES, **SCORES},
    ),
}
