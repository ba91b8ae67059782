#!/usr/bin/env bash
# One would guess: an adapter that peft puts on a linear layer is used whenever that layer is, or peft says that it is not.
# What happens: timm's EVA-02, BEiT and Swin V2 hand the weight of their queries, keys and values to a function rather than
# call the layer. peft's layer still has that weight, so the network runs and computes what it did before; the adapters get no
# gradient, stay at zero, and nothing is said, while peft counts them as trainable. ViT and DINOv3 are fine.
# `qkv_bias_separate = True` on the attention makes timm call the layer.
# Versions: peft 0.21.2, timm 1.0.31, torch 2.15.0 on a CPU. Seen (adapters on queries, keys and values that got a gradient):
#   vit_tiny_patch16_224: all
#   eva02_tiny_patch14_224: none
#   beit_base_patch16_224: none
#   swinv2_tiny_window8_256: none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check peft==0.21.2 timm==1.0.31 torch==2.15.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import timm
import torch
from peft import LoraConfig, inject_adapter_in_model

NETWORKS = {
    "vit_tiny_patch16_224": "all",
    "eva02_tiny_patch14_224": "none",
    "beit_base_patch16_224": "none",
    "swinv2_tiny_window8_256": "none",
}
wrong = 0
for name, expected in NETWORKS.items():
    small = {"depths": (1, 1, 1, 1)} if name.startswith("swin") else {"depth": 2}
    network = timm.create_model(name, num_classes=0, **small)
    layers = [each for each, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
    queries = [each for each in layers if each.endswith((".qkv", ".q_proj", ".k_proj", ".v_proj"))]
    inject_adapter_in_model(LoraConfig(r=4, target_modules=queries), network)
    side = network.pretrained_cfg["input_size"][1]
    network.train()(torch.randn(1, 3, side, side, requires_grad=True)).square().sum().backward()
    got = {p.grad is not None for p in network.parameters() if p.requires_grad}
    found = {(True,): "all", (False,): "none"}.get(tuple(got), "some")
    print(f"{name}: {found}")
    wrong += found != expected
sys.exit(wrong)
PYTHON
