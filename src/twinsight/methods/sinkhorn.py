"""Sinkhorn-Knopp: assign images to prototypes in equal shares."""

from torch import Tensor

from twinsight.layers import logsumexp_over_ranks


def sinkhorn_knopp(logits: Tensor, iterations: int = 3) -> Tensor:
    """(B, K) -> (B, K) probabilities near softmax(logits) that use all K prototypes equally over the global batch.

    Unsupervised Learning of Visual Features by Contrasting Cluster Assignments (Caron et al., 2020): alternately
    normalizes over images and over prototypes. The official code, like DINOv2's, works on exp(logits), which overflows
    float32 above 88; this works on logarithms.
    """
    log_q = logits
    for _ in range(iterations):
        log_q = (log_q - logsumexp_over_ranks(log_q)).log_softmax(1)
    return log_q.exp()
