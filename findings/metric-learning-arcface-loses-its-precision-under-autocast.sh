#!/usr/bin/env bash
# One would guess: a loss with weights of its own, called under autocast, computes in bfloat16 and keeps its weights in float32.
# What happens: ArcFaceLoss casts its class centers to the type of the embeddings, for good. After one batch in bfloat16 the
# parameter is bfloat16, and an optimizer's steps are lost where they are below a 256th or so of a weight. Pass float32
# embeddings (embeddings.float()).
# Versions: pytorch-metric-learning 2.9.0, torch 2.15.0 on a CPU. Seen:
#   centers torch.float32 before, torch.bfloat16 after a batch; of 64 numbers, a step at 1e-6 moved 63 in float32, 0 in bfloat16
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pytorch-metric-learning==2.9.0 torch==2.15.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
from pytorch_metric_learning.losses import ArcFaceLoss


def moved(dtype: torch.dtype) -> tuple[str, str, int]:
    """The centers' type before and after a batch, and how many of their numbers a step moves."""
    torch.manual_seed(0)
    loss = ArcFaceLoss(num_classes=4, embedding_size=16)
    before, labels = loss.W.dtype, torch.arange(4).repeat(2)
    loss(torch.randn(8, 16).to(dtype), labels).backward()
    centers = loss.W.detach().clone()
    torch.optim.SGD(loss.parameters(), lr=1e-6).step()
    return str(before), str(loss.W.dtype), int((loss.W != centers).sum())


plain, half = moved(torch.float32), moved(torch.bfloat16)
print(f"centers {half[0]} before, {half[1]} after a batch; of 64 numbers, a step at 1e-6 moved {plain[2]} in float32, "
      f"{half[2]} in bfloat16")
sys.exit(0 if half[:2] == ("torch.float32", "torch.bfloat16") and plain[2] > 2 * half[2] else 1)
PYTHON
