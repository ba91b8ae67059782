"""Bad files: data sets and weights."""

import json
import struct

import torch
from hostile_content import cut, folder, image, of, pipe, saved
from hostile_driver import DATA, PRETRAIN, SEGMENT, Case, Content
from PIL import Image
from safetensors.torch import save

PHOTO, MASK = "shapes/JPEGImages/train_000003.jpg", "shapes/SegmentationClass/train_000003.png"
TRAIN = "shapes/ImageSets/Segmentation/train.txt"
CHECK = f"data check {DATA}"


TEXTS: dict[str, Content] = {
    "empty": b"",
    "UTF-16": "train_000001\n".encode("utf-16"),
    "Latin-1": b"caf\xe9\n",
    "null bytes": b"a\0b\n",
    "a picture": image(),
    "a folder": folder,
    "a pipe": pipe,
    "missing": None,
}

SPLITS: dict[str, Content] = {
    **TEXTS,
    "unknown names": "nothing\n",
    "a path upward": "../../../etc/hostname\n",
    "an absolute path": "/etc/hostname\n",
    "a long name": "a" * 5000 + "\n",
    "blank lines": "\n\n \n",
    "names with suffixes": "train_000001.jpg\n",
}

CLASSES: dict[str, Content] = {**TEXTS, "one class": "a\n", "too few": "a\nb\n", "300": "\n".join(map(str, range(300)))}

MASKS: dict[str, Content] = {
    "empty": b"",
    "text": "text",
    "truncated": cut(60),
    "a folder": folder,
    "missing": None,
    "RGB": image("RGB", value=(1, 2, 3)),
    "RGBA": image("RGBA"),
    "gray and alpha": image("LA"),
    "another size": image("L", (32, 31)),
    "one pixel": image("L", (1, 1)),
    "a class beyond": image("L", value=200),
    "16 bits beyond": image("I;16", value=60_000),
    "a JPEG": image(kind="JPEG"),
    "a PDF": b"%PDF-1.4\n",
}

PHOTOS: dict[str, Content] = {
    "empty": b"",
    "text": "text",
    "truncated": cut(300),
    "its head alone": cut(20),
    "a folder": folder,
    "missing": None,
    "a PDF": b"%PDF-1.4\n",
    "HTML": "<html>404</html>",
    "JSON": "{}",
    "zeros": bytes(4000),
}

HEADER = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()

WEIGHTS: dict[str, Content] = {
    "w.safetensors": b"",
    "x.safetensors": b"text that is not a file of weights",
    "huge.safetensors": struct.pack("<Q", 1 << 60) + b"{}",
    "list.safetensors": struct.pack("<Q", 2) + b"[]",
    "cut.safetensors": struct.pack("<Q", len(HEADER)) + HEADER,
    "beyond.safetensors": struct.pack("<Q", len(HEADER)) + HEADER.replace(b"4", b"9") + bytes(4),
    "none.safetensors": save({}),
    "one.safetensors": save({"a": torch.zeros(3)}),
    "other.safetensors": save({f"layer{i}.weight": torch.zeros(3, 3) for i in range(9)}),
    "shapes.safetensors": save({"conv1.weight": torch.zeros(64, 3, 7, 7)}),
    "w.pth": b"",
    "text.pth": "text",
    "html.pth": "<html>404</html>",
    "zip.pth": b"PK\x05\x06" + bytes(18),
    "half.pth": saved({"a": torch.zeros(1000)})[:900],
    "list.pth": saved([1, 2, 3]),
    "number.pth": saved(3),
    "none.pth": saved(None),
    "tensor.pth": saved(torch.zeros(3)),
    "nothing.pth": saved({}),
    "keys.pth": saved({1: torch.zeros(3), 2: torch.zeros(3)}),
    "texts.pth": saved({"a": "b"}),
    "integers.pth": saved({"conv1.weight": torch.zeros(64, 3, 7, 7, dtype=torch.int8)}),
    "sparse.pth": saved({"a": torch.zeros(3, 3).to_sparse()}),
    "meta.pth": saved({"a": torch.zeros(3, device="meta")}),
    "deep.pth": saved({"model": {"model": {"model": {"model": {"a": torch.zeros(3)}}}}}),
    "object.pth": saved({"a": Image.new("L", (2, 2))}),
    "a.npz": b"PK\x03\x04",
    "a.jpg": image("RGB", kind="JPEG"),
}

BESIDE = {
    "text": "text",
    "a list": "[]",
    "empty": "",
    "no backbone": "{}",
    "a number": '{"backbone": 3}',
    "an unknown one": '{"backbone": "nonsense"}',
    "options that are none": '{"backbone": "test_resnet", "options": 3}',
    "unknown options": '{"backbone": "test_resnet", "options": {"nonsense": 3}}',
    "deep": "[" * 5000,
    "UTF-16": '{"backbone": "test_resnet"}'.encode("utf-16"),
}

FILES = [
    *of("split files", CHECK, TRAIN, SPLITS, "train|nothing|hostname|aaaa"),
    *of("split files", SEGMENT, TRAIN, SPLITS, "train|nothing|hostname|aaaa"),
    *of("classes files", CHECK, "shapes/classes.txt", CLASSES, "class|broken"),
    *of("classes files", SEGMENT, "shapes/classes.txt", CLASSES, "class|broken"),
    *of("masks", CHECK, MASK, MASKS, "train_000003|broken"),
    *of("masks", SEGMENT, MASK, MASKS, "train_000003"),
    *of("images", PRETRAIN, PHOTO, PHOTOS, "train_000003"),
    *of("images", f"predict run {PHOTO} --out out", PHOTO,
        {name: content for name, content in PHOTOS.items() if name != "a folder"},
        "train_000003"),
    *(Case("weights", f"pretrain {PRETRAIN[9:]} --weights {name}", name, {name: content})
      for name, content in WEIGHTS.items()),
    *(Case("weights", f"look filters --backbone test_resnet --weights {name} --out out", name, {name: content})
      for name, content in WEIGHTS.items()),
]  # fmt: skip
