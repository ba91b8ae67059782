"""The loss of mask classification: a set of queries, each with a class and a mask, against the objects of an image.

An object is a class that the image has, with all its pixels (semantic segmentation). As in Mask2Former (Cheng et al.,
CVPR 2022), queries and objects are matched one to one by the Hungarian algorithm, masks are compared at random points
instead of all pixels (PointRend, Kirillov et al., 2020), and a query without an object should say "no object".

Points whose surroundings hold a void pixel never count, and neither do images that are void altogether.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from twinsight.layers import at_least_float32, full_precision, mean_over_ranks, shapes_only

CLASS, MASK, DICE = 2.0, 5.0, 5.0
"""Weights of the three terms, in the loss and in the cost of a match."""

NO_OBJECT = 0.1
"""Weight of queries without an object in the class term."""

OVERSAMPLE, IMPORTANCE = 3, 0.75
"""Points of the loss: of so many times as many random ones the most uncertain are taken, for this share of all."""

VOID = 255


class Predicted(NamedTuple):
    """What each query says.

    classes: (B, Q, classes + 1) logits, the last of "no object". masks: (B, Q, h, w) logits.
    """

    classes: Tensor
    masks: Tensor


class Objects(NamedTuple):
    """The N objects of a batch.

    image, label: (N,). masks: (N, 2, H, W) float: where the object is, and where the image is void.
    seen: (B,) 1, or 0 for an image without any label. number: N, averaged over all processes, but at least 1.
    """

    image: Tensor
    label: Tensor
    masks: Tensor
    seen: Tensor
    number: Tensor


class Matched(NamedTuple):
    """(M,) each: the matched queries, by image and number, and their objects."""

    image: Tensor
    query: Tensor
    object: Tensor


def find_objects(target: Tensor, num_classes: int, dtype: torch.dtype) -> Objects:
    """target: (B, H, W) labels, 255 = void. dtype: of the predictions; masks have it, or float32 if that is more."""
    dtype = torch.promote_types(dtype, torch.float32)
    batch, labels = len(target), target.long()
    if shapes_only(target):  # which classes there are is unknown: all of them, which costs the most
        image = torch.arange(batch, device=target.device).repeat_interleave(num_classes)
        label = torch.arange(num_classes, device=target.device).repeat(batch)
    else:
        present = torch.zeros(batch, VOID + 1, dtype=torch.bool, device=target.device)
        image, label = present.scatter_(1, labels.flatten(1), True)[:, :num_classes].nonzero().unbind(1)
    each = labels[image]
    masks = torch.stack([each == label[:, None, None], each == VOID], dim=1).to(dtype)
    count = torch.tensor(float(len(label)), dtype=dtype, device=target.device)
    seen = (labels != VOID).flatten(1).any(1).to(dtype)
    return Objects(image, label, masks, seen, mean_over_ranks(count).clamp_min(1))


def set_loss(predicted: Predicted, objects: Objects, points: int) -> Tensor:
    """Cross-entropy of the classes, and cross-entropy and Dice loss of the matched masks; a scalar in float32 or more.

    points: number of points at which masks are compared.
    """
    with full_precision(predicted.masks.device):
        predicted = Predicted(*map(at_least_float32, predicted))
        matched = match(predicted, objects, points)
        masks = predicted.masks[matched.image, matched.query][:, None]
        truth = objects.masks[matched.object]
        with torch.no_grad():
            places = uncertain_points(masks, points)
            inside, void = sample(truth, places).unbind(1)
        logits, counts = sample(masks, places)[:, 0], (void == 0).to(inside)
        entropy = F.binary_cross_entropy_with_logits(logits, inside, reduction="none")
        entropy = (entropy * counts).sum(1) / counts.sum(1).clamp_min(1)
        probability, inside = logits.sigmoid() * counts, inside * counts
        dice = 1 - (2 * (probability * inside).sum(1) + 1) / (probability.sum(1) + inside.sum(1) + 1)
        of_masks = (MASK * entropy + DICE * dice).sum() / objects.number
        return CLASS * class_loss(predicted.classes, matched, objects) + of_masks


def class_loss(classes: Tensor, matched: Matched, objects: Objects) -> Tensor:
    """The cross-entropy of all queries, each weighted, over the sum of the weights in all processes."""
    nothing = classes.shape[2] - 1
    target = torch.full(classes.shape[:2], nothing, device=classes.device)
    target[matched.image, matched.query] = objects.label[matched.object]
    weights = (1 - (1 - NO_OBJECT) * (target == nothing).to(classes)) * objects.seen[:, None]
    entropy = F.cross_entropy(classes.transpose(1, 2), target, reduction="none")
    return (entropy * weights).sum() / mean_over_ranks(weights.sum()).clamp_min(1e-6)


@torch.no_grad()
def match(predicted: Predicted, objects: Objects, points: int) -> Matched:
    """The assignment of each image's queries to its objects, one to one, whose summed cost is least."""
    if shapes_only(predicted.masks):
        return in_order(predicted, objects)
    image: list[Tensor] = []
    query: list[Tensor] = []
    found: list[Tensor] = []
    for i, (classes, masks) in enumerate(zip(*predicted)):
        (mine,) = (objects.image == i).nonzero(as_tuple=True)
        if not len(mine):
            continue
        cost = costs(classes, masks, objects.label[mine], objects.masks[mine], points)
        most = torch.finfo(cost.dtype).max  # a diverged query is taken last; scipy would refuse its cost
        rows, columns = linear_sum_assignment(cost.nan_to_num(most, most, most).cpu().numpy())
        query.append(torch.from_numpy(rows).to(mine))
        found.append(mine[torch.from_numpy(columns).to(mine)])
        image.append(torch.full_like(query[-1], i))
    if not image:
        return Matched(*(objects.image for _ in range(3)))  # of length 0
    return Matched(torch.cat(image), torch.cat(query), torch.cat(found))


def in_order(predicted: Predicted, objects: Objects) -> Matched:
    """As many matches as there can be, for an estimate of their cost: all objects are in all images."""
    batch, queries = predicted.masks.shape[:2]
    each = len(objects.label) // batch
    some = torch.arange(min(queries, each), device=objects.image.device)
    image = torch.arange(batch, device=some.device).repeat_interleave(len(some))
    return Matched(image, some.repeat(batch), image * each + some.repeat(batch))


def costs(classes: Tensor, masks: Tensor, label: Tensor, truth: Tensor, points: int) -> Tensor:
    """(Q, N) costs of matching the queries of an image, (Q, classes + 1) and (Q, h, w), to its N objects."""
    places = torch.rand(1, points, 2, device=masks.device, dtype=masks.dtype)
    logits = sample(masks[None], places)[0]
    inside, void = sample(truth, places.expand(len(truth), -1, -1)).unbind(1)
    counts = (void[0] == 0).to(logits)
    total = counts.sum().clamp_min(1)
    inside, outside = inside * counts, (1 - inside) * counts
    entropy = (F.softplus(-logits) @ inside.T + F.softplus(logits) @ outside.T) / total
    probability = logits.sigmoid() * counts
    dice = 1 - (2 * probability @ inside.T + 1) / (probability.sum(1)[:, None] + inside.sum(1) + 1)
    return -CLASS * classes.softmax(1)[:, label] + MASK * entropy + DICE * dice


def uncertain_points(masks: Tensor, points: int) -> Tensor:
    """(M, points, 2) places in masks (M, 1, h, w): those whose logits are nearest to 0, and some at random."""
    places = torch.rand(len(masks), OVERSAMPLE * points, 2, device=masks.device, dtype=masks.dtype)
    uncertain = int(IMPORTANCE * points)
    nearest = sample(masks, places)[:, 0].abs().topk(uncertain, dim=1, largest=False).indices
    chosen = places.gather(1, nearest[..., None].expand(-1, -1, 2))
    others = torch.rand(len(masks), points - uncertain, 2, device=masks.device, dtype=masks.dtype)
    return torch.cat([chosen, others], dim=1)


def sample(maps: Tensor, places: Tensor) -> Tensor:
    """Maps (N, C, h, w) at places (N, P, 2), x and y from 0 to 1: (N, C, P), bilinear."""
    return F.grid_sample(maps, 2 * places[:, :, None] - 1, align_corners=False)[..., 0]
