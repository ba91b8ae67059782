"""Writes images with shapes of every kind as labelme saves them, and beside each what labelme draws: NAME.npy.

write_labelme.py ROOT
"""

import without  # noqa: F401, I001 (stands in for Qt before labelme asks for it)

import sys
from pathlib import Path, PureWindowsPath

import numpy as np
from labelme._label_file import LabelFile, write_label_file
from labelme.utils import img_arr_to_b64, shapes_to_label
from PIL import Image

LABELS = ["__ignore__", "_background_", "road", "car", "tree"]
VALUES = {"__ignore__": 255, "_background_": 0, "road": 1, "car": 2, "tree": 3}
POINTS = {
    "polygon": 7, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 4, "point": 1, "oriented_rectangle": 4,
    "mask": 2,
}  # fmt: skip


def shape(kind, label, height, width, rng):
    """Points lie outside too, and between pixels; those of masks are whole and inside, as labelme takes no others."""
    points = rng.uniform(-0.3, 1.3, (POINTS[kind], 2)) * (width, height)
    mask = None
    if kind == "circle":
        points[1] = points[0] + rng.uniform(-height / 3, height / 3, 2)
    if kind == "mask":
        x, y = int(rng.integers(width - 3)), int(rng.integers(height - 3))
        inside = rng.random((3, 4))[: height - y, : width - x] < 0.6
        points = np.array([[x, y], [x + inside.shape[1] - 1, y + inside.shape[0] - 1]], float)
        mask = img_arr_to_b64(inside.astype(np.uint8))  # as labelme's window saves it
    group = int(rng.integers(3)) if rng.random() < 0.5 else None
    return {"label": label, "points": points.tolist(), "group_id": group, "shape_type": kind, "flags": {},
            "description": "", "mask": mask}  # fmt: skip


def main(root):
    rng = np.random.default_rng(0)
    for number, (width, height) in enumerate([(37, 23), (64, 48), (5, 61), (1, 1), (101, 7), (33, 33)] * 3):
        kinds = [kind for kind in POINTS if kind != "mask" or min(height, width) > 4]
        shapes = [shape(str(kind), str(rng.choice(LABELS)), height, width, rng) for kind in rng.permutation(kinds * 2)]
        folder = root / ("street" if number % 2 else "field")
        folder.mkdir(parents=True, exist_ok=True)
        image = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(image)
        file = image.with_suffix(".json")
        called = str(PureWindowsPath("..", folder.name, image.name)) if number % 3 else image.name
        write_label_file(
            str(file), shapes=shapes, image_path=called, image_height=height, image_width=width,
            image_data=image.read_bytes() if number % 3 == 1 else None,
        )  # fmt: skip
        drawn, _ = shapes_to_label((height, width), LabelFile(str(file)).shapes, VALUES)
        np.save(file.with_suffix(".npy"), drawn.astype(np.uint8))
    (root / "labels.txt").write_text("\n".join(LABELS) + "\n")


main(Path(sys.argv[1]))
