"""Bad runs, caches and places for output."""

import torch
from hostile_content import cut, folder, image, of, saved
from hostile_driver import DATA, EVALUATE, PREDICT, PRETRAIN, SEGMENT, Case, Content
from safetensors.torch import save

CONFIGS: dict[str, Content] = {
    "missing": None,
    "empty": b"",
    "text": "text",
    "UTF-16": "command: segment".encode("utf-16"),
    "no YAML": "a: [",
    "twice": "command: segment\ncommand: segment",
    "an unknown key": "command: segment\nhead: linear\nnonsense: 1",
    "an unknown head": "command: segment\nhead: nonsense",
    "an unknown backbone": "command: segment\nhead: linear\nbackbone: {name: nonsense}",
    "out of range": "command: segment\nhead: linear\nepochs: 0",
    "a folder": folder,
}

NAMES: dict[str, Content] = {
    "missing": None,
    "empty": b"",
    "text": "text",
    "a list": "[]",
    "no colors": '{"classes": ["a"]}',
    "numbers": '{"classes": 3, "palette": 4}',
    "too few colors": '{"classes": ["a", "b"], "palette": [[0, 0, 0]]}',
    "colors beyond": '{"classes": ["a"], "palette": [[0, 0, 300]]}',
    "colors of text": '{"classes": ["a"], "palette": "red"}',
    "other classes": '{"classes": ["a"], "palette": [[0, 0, 0]]}',
}

METRICS: dict[str, Content] = {
    "text": "text\nmore\n",
    "no numbers": "step,train/loss\n1,x\n",
    "no step": "train/loss\n1\n",
    "more cells": "step,train/loss\n1,2,3\n",
    "no step in it": "step,train/loss\n,2\n",
    "UTF-16": "step\n1\n".encode("utf-16"),
    "null bytes": b"step,a\n1,\0\n",
    "a huge cell": b"step,a\n1," + b"1" * 200_000 + b"\n",
    "infinite": "step,a\ninf,1\n",
}

MODELS: dict[str, Content] = {
    "missing": None,
    "empty": b"",
    "text": "text",
    "truncated": cut(500),
    "of another network": save({"a": torch.zeros(3)}),
}

CHECKPOINTS: dict[str, Content] = {
    "missing": None,
    "empty": b"",
    "text": "text",
    "truncated": cut(500),
    "nothing": saved({}),
    "a list": saved([1]),
}

PER_CLASS: dict[str, Content] = {
    "Latin-1": b"\xff",
    "no numbers": "class,iou\na,x\n",
    "no class": "iou\n0.5\n",
    "more cells": "class,iou\na,1,2\n",
    "null bytes": b"class,iou\na,\0\n",
}

INDICES: dict[str, Content] = {"empty": b"", "text": "text", "a zip": b"PK\x03\x04", "an image": image()}

MARKS: dict[str, Content] = {"-1": "-1", "x": "x", "Latin-1": b"\xff", "long": b"9" * 99, "without pixels": "6"}

RUNS = [
    *of("runs", "evaluate run --data shapes --data.size 32 --data.val-count 2 --workers 0", "run/config.yaml", CONFIGS,
        "run|--head|--epochs|--backbone|backbone"),
    *of("runs", PREDICT, "run/config.yaml", CONFIGS, "run|--head|--epochs|--backbone|backbone"),
    *of("runs", "segment --resume run", "run/config.yaml", CONFIGS,
        "run|--head|--epochs|--backbone|backbone"),
    *of("runs", EVALUATE, "run/classes.json", NAMES, "classes|run"),
    *of("runs", PREDICT, "run/classes.json", NAMES, "classes|run|model.safetensors"),
    *of("runs", EVALUATE, "run/model.safetensors", MODELS, "model.safetensors"),
    *of("runs", PREDICT, "run/model.safetensors", MODELS, "model.safetensors"),
    *of("runs", "segment --resume run --epochs 2", "run/checkpoints/last.ckpt", CHECKPOINTS, "last.ckpt"),
    *of("metrics.csv", "report run", "run/metrics.csv", METRICS, "metrics.csv"),
    *of("metrics.csv", "look curves --weights run --out out", "run/metrics.csv", METRICS, "metrics.csv"),
    *of("metrics.csv", "report run", "run/figures/classes/per-class.csv", PER_CLASS, "per-class.csv"),
    Case("metrics.csv", "report run", "environment.txt", {"run/environment.txt": b"\xff\xfe"}),
    *of("caches", f"{SEGMENT} --data.cache cache", "cache/train/index.npz", INDICES, "cache"),
    *of("caches", f"{SEGMENT} --data.cache cache", "cache/train/done", MARKS, "cache"),
    Case("caches", f"{SEGMENT} --data.cache shapes/classes.txt", "classes.txt"),
    Case("output", f"{PREDICT} --overwrite --out shapes/classes.txt", "classes.txt"),
    Case("output", "predict run shapes/JPEGImages --out shapes/classes.txt/out", "classes.txt"),
    Case("output", "predict run shapes/JPEGImages --out out", "train_000001.png: exists",
         {"out/train_000001.png": image()}),
    Case("output", f"predict run shapes/JPEGImages --out {'a' * 300}", "aaa"),
    Case("output", "look filters --weights pre --out shapes/classes.txt", "classes.txt"),
    Case("output", "look filters --weights pre --out out", "exists", {"out/filters-filters.png": image()}),
    Case("output", f"{EVALUATE} --json shapes", "shapes"),
    Case("output", f"{EVALUATE} --json none/a.json", "none", {"none": ""}),
    Case("output", f"{EVALUATE} --json shapes/classes.txt/a.json", "classes.txt"),
    Case("output", "report run --out none/a.html", "none", {"none": ""}),
    Case("output", "report run --out shapes", "shapes"),
    Case("output", f"data show {DATA} --out none/a.png", "none", {"none": ""}),
    Case("output", f"data show {DATA} --out shapes", "shapes"),
    Case("output", f"{PRETRAIN} --run {'a' * 300}", "aaa"),
    Case("output", f"{SEGMENT} --run shapes", "--run shapes: is also the input --data.root"),
    Case("output", f"{SEGMENT} --run run/config.yaml", "config.yaml"),
    Case("output", f"data make shapes {'a' * 300}", "aaa"),
]  # fmt: skip
