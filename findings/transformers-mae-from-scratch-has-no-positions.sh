#!/usr/bin/env bash
# One would guess: ViTMAEForPreTraining(config) begins as the paper's MAE does, its decoder with fixed positions of sines and
# cosines, so that each masked patch can get a prediction of its own.
# What happens: the decoder makes those positions while it is built, then the initialization of all weights sets them to 0.
# They get no gradient, so they stay 0 for all of a training from scratch, and all masked patches of an image get one and the
# same prediction. Pretrained checkpoints bring their positions and are not affected; the encoder's positions are right.
# model.decoder.initialize_weights(patches) after the model is built puts them back.
# Versions: transformers 5.24.0, torch 2.15.0. Seen:
#   as built: largest position 0, predictions of 12 masked patches differ by at most 0
#   after initialize_weights: largest position 1, predictions of 12 masked patches differ by at most 3
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.15.0 numpy==2.4.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch
from transformers import ViTMAEConfig, ViTMAEForPreTraining

torch.manual_seed(0)
config = ViTMAEConfig(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, image_size=32, patch_size=8,
    decoder_hidden_size=16, decoder_num_hidden_layers=2, decoder_num_attention_heads=2, decoder_intermediate_size=32,
    initializer_range=0.2,
)
model = ViTMAEForPreTraining(config).eval()
images = torch.rand(1, 3, 32, 32)


@torch.no_grad()
def look(when):
    out = model(images)
    masked = out.logits[0][out.mask[0] == 1]
    largest, apart = model.decoder.decoder_pos_embed.abs().max().item(), (masked - masked[0]).abs().max().item()
    print(f"{when}: largest position {largest:.1g}, predictions of {len(masked)} masked patches differ by at most {apart:.1g}")
    return largest, apart


before = look("as built")
model.decoder.initialize_weights(16)
after = look("after initialize_weights")
trained = model.decoder.decoder_pos_embed.requires_grad
sys.exit(not (before[0] == 0 and before[1] < 1e-5 and after[0] > 0.9 and after[1] > 1e-3 and not trained))
PYTHON
