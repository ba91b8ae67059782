"""Writes tasks as Label Studio exports them, and the masks that its own converter makes of them: truth/IMAGE.npy.

Brushes are encoded and decoded by label_studio_sdk.converter.brush; polygons go through its COCO export and are drawn
by pycocotools. With a second argument the SDK writes the tasks anew as JSON-MIN.
write_label_studio.py ROOT [min]
"""

import without  # noqa: F401, I001 (stands in for NLTK before the SDK asks for it)

import json
import sys
from pathlib import Path

import numpy as np
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.brush import decode_rle, mask2rle
from PIL import Image
from pycocotools import mask as rle

CONFIG = """<View><Image name="image" value="$image"/><PolygonLabels name="label" toName="image">
<Label value="road"/><Label value="car"/><Label value="tree"/></PolygonLabels></View>"""
LABELS = ["road", "car", "tree"]

root = Path(sys.argv[1])
(root / "images").mkdir(parents=True)
(root / "truth").mkdir()
rng = np.random.default_rng(4)
tasks = []
for number, (width, height) in enumerate([(37, 23), (64, 48), (5, 61), (101, 7), (33, 33)]):
    results = []
    for part in range(8):
        kind, label = ("brushlabels", "polygonlabels")[part % 2], str(rng.choice(LABELS))
        if kind == "brushlabels":
            coarse = np.kron(rng.random((height // 5 + 1, width // 5 + 1)) < 0.3, np.ones((5, 5)))[:height, :width]
            inside = (coarse > 0) ^ (rng.random((height, width)) < 0.02)
            value = {"format": "rle", "rle": mask2rle(inside.astype(np.uint8) * 255)}
        else:
            value = {"points": rng.uniform(0, 100, (rng.integers(3, 8), 2)).tolist(), "closed": True}
        results.append({
            "id": f"r{part}", "type": kind, "from_name": "label", "to_name": "image", "image_rotation": 0,
            "original_width": width, "original_height": height, "value": {**value, kind: [label]}, "origin": "manual",
        })  # fmt: skip
    name = f"{number:08x}-street {number}.png"
    Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(
        root / "images" / (name if number % 2 else f"street {number}.png")  # as uploaded, or as Label Studio has it
    )
    made = [
        {"id": 1, "was_cancelled": False, "result": results[::-1], "created_at": "2026-01-01T10:00:00Z"},
        {"id": 2, "was_cancelled": False, "result": results, "created_at": "2026-01-02T10:00:00Z"},
        {"id": 3, "was_cancelled": True, "result": [], "created_at": "2026-01-03T10:00:00Z"},
    ]
    path = "/data/upload/1/" + name.replace(" ", "%20")
    tasks.append({"id": number, "data": {"image": path}, "annotations": made, "predictions": [{"result": []}]})
(root / "project-1.json").write_text(json.dumps(tasks))

polygons = []  # what the SDK's COCO export has for each region, one task for each so that the order stays
for task in tasks:
    for result in task["annotations"][1]["result"]:
        alone = {"id": 1, "result": [result], "was_cancelled": False, "completed_by": 1}
        file = root / "truth" / "task.json"
        file.write_text(json.dumps([{"id": 1, "data": {"image": "a.png"}, "annotations": [alone]}]))
        if result["type"] == "polygonlabels":
            Converter(CONFIG, str(root), download_resources=False).convert_to_coco(
                str(file), str(root / "truth"), is_dir=False, output_image_dir=str(root / "truth")
            )
            polygons.append(json.loads((root / "truth" / "result.json").read_text())["annotations"][0]["segmentation"])
for file in ("task.json", "result.json"):
    (root / "truth" / file).unlink()
for task in tasks:
    results = task["annotations"][1]["result"]
    width, height = results[0]["original_width"], results[0]["original_height"]
    labels = np.zeros((height, width), np.uint8)
    for result in results:
        value = result["value"]
        if "rle" in value:
            inside = decode_rle(value["rle"]).reshape(height, width, 4)[..., 3] > 0
        else:
            inside = rle.decode(rle.merge(rle.frPyObjects(polygons.pop(0), height, width))) == 1
        labels[inside] = sorted(LABELS).index(value[result["type"]][0]) + 1
    np.save(root / "truth" / f"street {task['id']}.npy", labels)
if sys.argv[2:]:
    converter = Converter(CONFIG, str(root), download_resources=False)
    converter.convert_to_json_min(str(root / "project-1.json"), str(root), is_dir=False)
    (root / "project-1.json").unlink()
