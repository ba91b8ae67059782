#!/usr/bin/env bash
# One would guess: what save_pretrained of transformers 5 writes, from_pretrained of transformers 4 reads, since 5 renames its
# tensors back to the published names on saving; at worst it raises.
# What happens: for most vision models that is so, but CLIPVisionModel and SiglipVisionModel come back with all of their
# tensors newly initialized, and ViTMAEForPreTraining with a random decoder: its tensors are saved under a name that neither
# version calls them by (decoder.decoder_encoder.layer.N, where 4 has decoder.decoder_layers.N). It is a warning in the log
# only; the model runs, and embeds or reconstructs noise. Version 5 reads its own files, and those of 4.
# Versions: transformers 5.24.0 and 4.57.6, torch 2.15.0. Seen, of tensors missing (newly initialized) and not used:
#   ViTModel: 0 missing, 0 not used
#   CLIPVisionModel: 39 missing, 39 not used
#   SiglipVisionModel: 48 missing, 48 not used
#   ViTMAEForPreTraining: 32 missing, 32 not used
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.15.0 numpy==2.4.0 safetensors==0.8.0
"${pip[@]}" --target "$folder/4" transformers==4.57.6
"${pip[@]}" --target "$folder/5" transformers==5.24.0
cat >"$folder/see.py" <<'PYTHON'
import sys

import torch
import transformers

transformers.logging.set_verbosity_error()
SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 32,
    "patch_size": 8,
}
DECODER = {
    "decoder_hidden_size": 16, "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 32,
}
MODELS = {
    "ViTModel": ("ViTConfig", SMALL, 0),
    "CLIPVisionModel": ("CLIPVisionConfig", SMALL, 39),
    "SiglipVisionModel": ("SiglipVisionConfig", SMALL, 48),
    "ViTMAEForPreTraining": ("ViTMAEConfig", SMALL | DECODER, 32),
}
action, folder = sys.argv[1:]
as_expected = True
for name, (config, options, lost) in MODELS.items():
    model_class = getattr(transformers, name)
    if action == "save":
        torch.manual_seed(0)
        model_class(getattr(transformers, config)(**options)).save_pretrained(f"{folder}/{name}")
    else:
        _, info = model_class.from_pretrained(f"{folder}/{name}", output_loading_info=True)
        counts = len(info["missing_keys"]), len(info["unexpected_keys"])
        print(f"{name}: {counts[0]} missing, {counts[1]} not used")
        as_expected &= counts == ((lost, lost) if action == "lose" else (0, 0))
sys.exit(not as_expected)
PYTHON
export HF_HUB_OFFLINE=1
PYTHONPATH="$folder/5" "$folder/venv/bin/python" "$folder/see.py" save "$folder/files" 2>/dev/null
echo "saved by 5, read by 4:"
PYTHONPATH="$folder/4" "$folder/venv/bin/python" "$folder/see.py" lose "$folder/files" 2>/dev/null
echo "saved by 5, read by 5:"
PYTHONPATH="$folder/5" "$folder/venv/bin/python" "$folder/see.py" keep "$folder/files" 2>/dev/null
