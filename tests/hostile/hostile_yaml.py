"""Bad YAML, as a recipe."""

from hostile_driver import DATA, Case

YAML = {
    "epohcs: 3": "unknown key epohcs; did you mean epochs",
    "epochs: three": "epochs must be a whole number",
    "epochs: 1.5": "epochs must be",
    "epochs: null": "epochs must be",
    "epochs: [3]": "epochs must be",
    "epochs: {a: 1}": "epochs must be",
    "epochs: 2024-13-45": "epochs must be",
    "epochs: 12:30": "12:30",
    "epochs: 010": "010",
    "epochs: 0": "--epochs 0",
    "epochs: 10000000000000": "--epochs 10000000000000",
    "epochs: " + "9" * 300: "whole number",
    "lr: .inf": "--lr inf",
    "lr: .nan": "--lr nan",
    "lr: -1": "--lr",
    "lr: 1e400": "--lr inf",
    "lr: 1" + "0" * 90: "--lr",
    "lr: true": "lr must be a number",
    "seed: 4294967296": "--seed",
    "precision: fp17": "precision must be one of",
    "log: [nonsense]": "log must be",
    "checkpointing: 1": "checkpointing must be true or false",
    "data: nonsense": "--data nonsense: unknown",
    "data: [shapes]": "--data",
    "data: {name: 3}": "--data 3",
    "data: {name: shapes, count: x}": "data.count must be",
    "data: {name: shapes, nonsense: x}": "unknown key data.nonsense",
    "backbone: {name: [a]}": "--backbone",
    "backbone: 3": "--backbone 3",
    "run: here": "unknown key run",
    "resume: here": "unknown key resume",
    "overwrite: true": "unknown key overwrite",
    "1: 2": "unknown key 1",
    "null: 2": "unknown key None",
    "? [a]\n: 1": "unhashable",
    "": "holds no options",
    "text": "holds no options",
    "- epochs": "holds no options",
    "a: [": "not valid YAML",
    "a: 'b": "not valid YAML",
    "a:\t- b": "not valid YAML",
    "epochs: 1\nepochs: 2": "line 2: epochs occurs twice",
    "epochs: &a 1": "anchors and aliases",
    "epochs: *a": "anchors and aliases",
    "epochs: !!int 1": "tags",
    "epochs: !x 1": "tags",
    "[" * 40: "more than 20 levels",
    "{a: " * 40: "more than 20 levels",
    "a: " * 40: "not valid YAML",
    "---\na: 1\n---\nb: 1": "another document",
    "%YAML 9.9\n---\na: 1": "YAML",
    "a: \x07": "not allowed",
    "<<: {epochs: 1}": "unknown key <<",
    "command: segment\nepochs: 1": "is for `twinsight segment`",
    "command: [pretrain]": "is for",
    'probe_images: "a\\0b"': "probe_images",
    "weights: 3": "weights must be a path",
    "attention: 3": "attention needs options below it",
    "method: {views: 3}": "method.views needs options below it",
}

CONFIGS = {
    b"\xff\xfe\x00": "UTF-8",
    "epochs: 3".encode("utf-16"): "UTF-8",
    b"epochs: \xe9": "UTF-8",
    b"a" * 70_000: "larger than",
    b"\x89PNG\r\n\x1a\n": "UTF-8",
    b"\0": "UTF-8",
}

RECIPES = [
    *(
        Case("YAML", "pretrain --config a.yaml", names, {"a.yaml": text}, repr(text[:60]))
        for text, names in YAML.items()
    ),
    *(
        Case("YAML", f"segment --config a.yaml {DATA}", f"a.yaml.*{names}", {"a.yaml": text}, repr(text[:40]))
        for text, names in CONFIGS.items()
    ),
    Case("YAML", "segment --config none.yaml", "none.yaml: no such file"),
    Case("YAML", "segment --config shapes", "shapes: is not a regular file"),
    Case("YAML", "segment --config a --config b", "--config a: unknown key x", {"a": "x: 1", "b": "epochs: 1"}),
    Case("YAML", "segment --config b --config a", "--config a: unknown key x", {"a": "x: 1", "b": "epochs: 1"}),
]
