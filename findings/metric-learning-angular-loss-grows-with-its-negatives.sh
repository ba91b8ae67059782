#!/usr/bin/env bash
# One would guess: a loss of angles depends on the directions of the embeddings alone, and AngularLoss says that it normalizes them.
# What happens: it normalizes anchors and positives, and leaves the negatives as long as they are. The same embeddings ten
# times as long give a loss ten times as large, so that a network lowers it by shrinking. Normalize the embeddings first.
# Versions: pytorch-metric-learning 2.9.0, torch 2.15.0 on a CPU. Seen, for one batch of 8 images of 4 classes:
#   as they are 6.01, ten times as long 54.48, of length 1 2.68
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pytorch-metric-learning==2.9.0 torch==2.15.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import AngularLoss

torch.manual_seed(0)
embeddings, labels = torch.randn(8, 16), torch.arange(4).repeat(2)
raw, long, unit = (AngularLoss()(each, labels).item() for each in (embeddings, 10 * embeddings, F.normalize(embeddings)))
print(f"as they are {raw:.2f}, ten times as long {long:.2f}, of length 1 {unit:.2f}")
sys.exit(0 if long > 5 * raw and raw > 1.5 * unit else 1)
PYTHON
