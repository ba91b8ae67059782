"""KITTI's 200 street scenes with semantic masks, numbered as Cityscapes numbers them.

Alhaija et al., "Augmented Reality Meets Computer Vision", IJCV 2018.
"""

from pathlib import Path

from twinsight.data.public.cityscapes import CLASSES, COLORS, NUMBERS, VOID
from twinsight.data.public.published import Published, existing, files, matched
from twinsight.data.splits import choose, divide


class Kitti(Published):
    """The 200 training images; a hash of names holds `val_fraction` of them out, since none are published for val.

    root: the folder that holds training/image_2 and training/semantic. split: "train", "val" or "all".
    """

    title = "KITTI"
    patterns = ("training/semantic/*.png",)

    def __init__(self, root: Path, split: str = "train", val_fraction: float = 0.2, group: str | None = None):
        images, masks = (existing(root, self.title, f"training/{name}") for name in ("image_2", "semantic"))
        entries = matched(files(images), files(masks), images)
        roles, self.split_note = divide(entries, val_fraction, group)
        self.relatives = [entry.image for entry in entries]
        super().__init__(choose(entries, roles, split), tuple(CLASSES), NUMBERS, VOID, COLORS)
