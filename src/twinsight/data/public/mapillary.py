"""Mapillary Vistas: street scenes of the whole world, 65 classes (version 1.2) or 123 (version 2.0).

Neuhold et al., "The Mapillary Vistas Dataset for Semantic Understanding of Street Scenes", ICCV 2017.
"""

from pathlib import Path
from typing import Any

from twinsight.data.public.published import Published, existing, files, matched, no_split
from twinsight.errors import UserError
from twinsight.plain import read_json

FOLDERS = {"train": "training", "val": "validation"}


class MapillaryVistas(Published):
    """The 18000 train and 2000 val images, with the classes and colors of the release's config file.

    root: the folder that holds training, validation and config_v1.2.json or config_v2.0.json (config.json in the first
    release). split: "train" or "val". version: "1.2" or "2.0".

    Void are the classes that the config file leaves out of evaluation: unlabeled, ego vehicle and car mount.
    """

    title = "Mapillary Vistas"
    patterns = ("training/v1.2/labels/*.png", "training/v2.0/labels/*.png")

    def __init__(self, root: Path, split: str = "train", version: str = "1.2"):
        if split not in FOLDERS:
            raise no_split(self.title, split, tuple(FOLDERS))
        folder = existing(root, self.title, FOLDERS[split])
        images = existing(folder, self.title, "images")
        old = ("labels",) if version == "1.2" else ()
        masks = existing(folder, f"{self.title} {version}", f"v{version}/labels", *old)
        entries = matched(files(images), files(masks), images)
        config = next(
            (file for file in (root / f"config_v{version}.json", root / "config.json") if file.is_file()), None
        )
        if config is None:
            raise UserError(f"{root / f'config_v{version}.json'}: is missing, and lists the classes; unpack it there")
        labels: list[dict[str, Any]] = read_json(config, ("labels",))["labels"]
        counted = {number: label for number, label in enumerate(labels) if label.get("evaluate", True)}
        names = [str(label["readable"]).lower() for label in counted.values()]
        void = set(range(len(labels))) - counted.keys()
        super().__init__(entries, names, [*counted], void, [label["color"] for label in counted.values()])
