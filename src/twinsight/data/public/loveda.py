"""LoveDA: land cover in aerial images of towns and country, 7 classes.

Wang et al., "LoveDA: A Remote Sensing Land-Cover Dataset for Domain Adaptive Semantic Segmentation", NeurIPS 2021.
"""

from pathlib import Path

from twinsight.data.public.published import Published, existing, files, matched, no_split

CLASSES = ("background", "building", "road", "water", "barren", "forest", "agriculture")
COLORS = ((255, 255, 255), (255, 0, 0), (255, 255, 0), (0, 0, 255), (159, 129, 183), (0, 255, 0), (255, 195, 128))


class LoveDa(Published):
    """The 2522 train and 1669 val images. Masks hold 1 to 7; 0, where there are no data, is void.

    root: the folder that holds Train and Val, each with Urban and Rural. split: "train", "val", or "all" for both.
    scene: "urban", "rural", or None for both.
    """

    title = "LoveDA"
    patterns = ("Train/Urban/masks_png/*.png", "Train/Rural/masks_png/*.png")

    def __init__(self, root: Path, split: str = "train", scene: str | None = None):
        splits = {"train": ("Train",), "val": ("Val",), "all": ("Train", "Val")}
        if split not in splits:
            raise no_split(self.title, split, tuple(splits))
        entries = []
        for part in splits[split]:
            for place in ("Urban", "Rural") if scene is None else (scene.title(),):
                images, masks = (
                    existing(root, self.title, f"{part}/{place}/{kind}_png") for kind in ("images", "masks")
                )
                inside = ({f"{part}/{place}/{name}": path for name, path in files(f).items()} for f in (images, masks))
                entries += matched(*inside, where=images)
        super().__init__(entries, CLASSES, range(1, 8), colors=COLORS)
