#!/usr/bin/env bash
# One would guess: the image processors of mask classifiers in transformers turn a mask of class indices into one binary mask
# per class that is present, leave out the pixels of ignore_index, and shift classes down by one only by do_reduce_labels.
# What happens: EomtImageProcessor shifts them down whenever ignore_index is set, whatever do_reduce_labels says, so that by
# ignore_index=255 class 0 is lost and void comes back as class 254; it reduces nothing where do_reduce_labels is all that
# is set. MaskFormer's and Mask2Former's processors do as one would guess without do_reduce_labels, but with it, as for
# ADE20K, void of 255 becomes a mask of class 254, too. SegFormer's processor reduces the same mask right.
# Void is then trained on as class 254, or the loss fails if num_labels is smaller.
# Versions: transformers 5.24.0, torch 2.15.0, torchvision 0.29.2. Seen, for a mask that holds 0, 1, 150 and 255, as classes:
#   SegformerImageProcessor: do_reduce_labels=False: 0 1 150 255
#   SegformerImageProcessor: do_reduce_labels=True: 0 149 255
#   MaskFormerImageProcessor: ignore_index=255, do_reduce_labels=False: 0 1 150
#   MaskFormerImageProcessor: ignore_index=255, do_reduce_labels=True: 0 149 254
#   Mask2FormerImageProcessor: ignore_index=255, do_reduce_labels=False: 0 1 150
#   Mask2FormerImageProcessor: ignore_index=255, do_reduce_labels=True: 0 149 254
#   EomtImageProcessor: ignore_index=255, do_reduce_labels=False: 0 149 254
#   EomtImageProcessor: ignore_index=255, do_reduce_labels=True: 0 149 254
#   EomtImageProcessor: ignore_index=None, do_reduce_labels=True: 0 1 150 255
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  transformers==5.24.0 torch==2.15.0 torchvision==0.29.2 numpy==2.4.0 pillow==12.3.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import transformers

transformers.logging.set_verbosity_error()
image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
mask = np.repeat(np.array([0, 1, 150, 255], np.uint8), 10)[None].repeat(30, axis=0)
seen = {}


def note(name, classes, **settings):
    seen[name, *settings.values()] = [int(each) for each in classes]
    said = ", ".join(f"{key}={value}" for key, value in settings.items())
    print(f"{name}: {said}: {' '.join(map(str, seen[name, *settings.values()]))}")


for reduce in (False, True):
    processor = transformers.SegformerImageProcessor(do_reduce_labels=reduce, do_resize=False)
    note("SegformerImageProcessor", processor(image, mask, return_tensors="pt")["labels"].unique(), do_reduce_labels=reduce)
for name in ("MaskFormerImageProcessor", "Mask2FormerImageProcessor", "EomtImageProcessor"):
    for ignore, reduce in ((255, False), (255, True), *([(None, True)] if name.startswith("Eomt") else [])):
        settings = {"ignore_index": ignore, "do_reduce_labels": reduce}
        processor = getattr(transformers, name)(**settings, do_resize=False, do_pad=False)
        note(name, processor([image], [mask], return_tensors="pt")["class_labels"][0], **settings)

wrong = [0, 149, 254]
sys.exit(
    seen
    != {
        ("SegformerImageProcessor", False): [0, 1, 150, 255],
        ("SegformerImageProcessor", True): [0, 149, 255],
        ("MaskFormerImageProcessor", 255, False): [0, 1, 150],
        ("MaskFormerImageProcessor", 255, True): wrong,
        ("Mask2FormerImageProcessor", 255, False): [0, 1, 150],
        ("Mask2FormerImageProcessor", 255, True): wrong,
        ("EomtImageProcessor", 255, False): wrong,
        ("EomtImageProcessor", 255, True): wrong,
        ("EomtImageProcessor", None, True): [0, 1, 150, 255],
    }
)
PYTHON
