"""The quality of embeddings by what their nearest neighbors say, without training a classifier."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.data.samples import VOID


@torch.inference_mode()
def embed(backbone: Backbone, images: Sequence[np.ndarray], batch_size: int = 64) -> Tensor:
    """(H, W, 3) uint8 images of one size -> (N, dim) embeddings, in eval mode; the mode is restored."""
    training = backbone.training
    backbone.eval()
    device = backbone.mean.device
    batches = [np.stack(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    embeddings = [backbone(torch.from_numpy(batch).permute(0, 3, 1, 2).to(device)).cpu() for batch in batches]
    backbone.train(training)
    return torch.cat(embeddings)


def knn_accuracy(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    k: int = 20,
    temperature: float = 0.07,
) -> float:
    """Share, 0 to 1, of the (N, D) test embeddings whose label their k nearest training embeddings vote for.

    Cosine similarity; a neighbor's vote weighs exp(similarity / temperature) (Wu et al., 2018; DINO).
    """
    similarity = F.normalize(test.float(), dim=1) @ F.normalize(train.float(), dim=1).T
    nearest, index = similarity.topk(min(k, len(train)))
    votes = torch.zeros(len(test), int(train_labels.max()) + 1)
    votes.scatter_add_(1, train_labels[index], (nearest / temperature).exp())
    return (votes.argmax(1) == test_labels).float().mean().item()


def dominant_class(mask: np.ndarray) -> int:
    """The label of most pixels, background (0) and void aside; 0 if there is no other."""
    counts = np.bincount(mask[(mask != 0) & (mask != VOID)].ravel(), minlength=1)
    return int(counts.argmax())
