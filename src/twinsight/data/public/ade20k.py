"""ADE20K in the form of the 2016 scene parsing challenge: 150 classes.

Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017. The classes are those of objectInfo150.txt, each by the
first of its names.
"""

from pathlib import Path

from twinsight.data.public.published import Published, existing, files, matched, no_split

CLASSES = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass", "cabinet",
    "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water",
    "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence", "desk",
    "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion", "base", "box", "column", "signboard",
    "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace", "refrigerator", "grandstand", "path",
    "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway", "river", "bridge", "bookcase",
    "blind", "coffee table", "toilet", "flower", "book", "hill", "bench", "countertop", "stove", "palm",
    "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine", "hovel", "bus", "towel", "light",
    "truck", "tower", "chandelier", "awning", "streetlight", "booth", "television receiver", "airplane",
    "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster",
    "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything", "swimming pool", "stool",
    "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball", "food", "step", "tank",
    "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher", "screen", "blanket", "sculpture",
    "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan", "pier", "crt screen", "plate", "monitor",
    "bulletin board", "shower", "radiator", "glass", "clock", "flag",
)  # fmt: skip

FOLDERS = {"train": "training", "val": "validation"}


class Ade20k(Published):
    """The 20210 train and 2000 val images of ADEChallengeData2016. Masks hold 1 to 150; 0, other things, is void.

    root: the folder that holds images and annotations, or the one above. split: "train" or "val".
    """

    title = "ADE20K"
    patterns = ("annotations/training/ADE_train_*.png", "images/training/ADE_train_*.jpg")

    def __init__(self, root: Path, split: str = "train"):
        if split not in FOLDERS:
            raise no_split(self.title, split, tuple(FOLDERS))
        folder = existing(root, self.title, "ADEChallengeData2016/images", "images").parent
        images, masks = (existing(folder, self.title, f"{kind}/{FOLDERS[split]}") for kind in ("images", "annotations"))
        super().__init__(matched(files(images), files(masks), images), CLASSES, range(1, 151))
