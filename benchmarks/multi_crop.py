"""DINO's multi-crop, two large views and six small ones, from JPEG files to float32 tensors."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.photographs import photographs
from benchmarks.table import Row
from benchmarks.timing import beside, installed
from benchmarks.two_views import batches, one_thread_each, opened, ours
from twinsight.data.cache import Cached
from twinsight.data.folder import Folder
from twinsight.data.views import multi_crop


def run(quick: bool) -> list[Row]:
    rounds = 1 if quick else 7
    with photographs(2 if quick else 16) as folder, tempfile.TemporaryDirectory() as cache, one_thread_each():
        dataset = Folder(folder)
        files = [entry.image for entry in dataset.entries]
        views = multi_crop(local_views=6)
        peers = {"lightly": None}
        if installed("lightly"):
            from lightly.transforms.dino_transform import DINOTransform

            transform: Any = DINOTransform()
            peers = {"lightly": batches(files, lambda file: transform(opened(file)))}
        claim = "multi-crop, 2 views at 224 and 6 at 96, to float32"
        clock = {"rounds": rounds, "unit": "images/s", "work": len(files)}
        rows = beside(f"{claim}: from JPEG", ours(dataset, views), peers, 5, **clock)
        return rows + beside(f"{claim}: from a cache", ours(Cached(dataset, Path(cache)), views), peers, 7, **clock)
