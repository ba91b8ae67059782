"""Every recipe, on a miniature data set in VOC layout that stands in for the one it names."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from twinsight.cli import main
from twinsight.run import Run
from twinsight.training.metrics_csv import read_rows

RECIPES = sorted(Path(__file__).parents[1].glob("recipes/*.yaml"))


def write_dataset(root, count):
    """`count` noisy images and masks in VOC layout; train and val are the same, of 21 classes."""
    rng = np.random.default_rng(0)
    for folder in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"class {i}\n" for i in range(21)))
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).save(root / f"JPEGImages/{i}.png")
        Image.fromarray(rng.integers(0, 21, (24, 32), np.uint8)).save(root / f"SegmentationClass/{i}.png")
    for split in ("train", "val"):
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("".join(f"{i}\n" for i in range(count)))
    return root
