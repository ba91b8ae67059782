#!/usr/bin/env bash
# One would guess: Label Studio's JSON-MIN is JSON with fewer words, from which the same masks can be drawn.
# What happens: two things that a mask depends on are not in it. Regions are grouped by the control that drew them, so
# which of a brush and a polygon lies on top is lost; and the rotation that annotators gave the image is left out. Two
# tasks that differ in nothing else come out equal. JSON keeps both.
# Versions: label-studio-sdk 2.1.2, NumPy 2.2.6. Seen:
#   order: polygon, brush or brush, polygon: JSON differs, JSON-MIN is the same
#   rotation: image upright or turned by 90 degrees: JSON differs, JSON-MIN is the same
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check label-studio-sdk==2.1.2 numpy==2.2.6
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import sys
from pathlib import Path

from label_studio_sdk.converter import Converter

CONFIG = """<View><Image name="image" value="$image" rotateControl="true"/>
<PolygonLabels name="polygon" toName="image"><Label value="car"/></PolygonLabels>
<BrushLabels name="brush" toName="image"><Label value="road"/></BrushLabels></View>"""
root = Path(sys.argv[1])


def region(control, rotation, **value):
    return {
        "id": control, "type": f"{control}labels", "from_name": control, "to_name": "image", "origin": "manual",
        "image_rotation": rotation, "original_width": 40, "original_height": 30, "value": value,
    }


def drawn(rotation=0, turned_over=False):
    """Regions from bottom to top."""
    regions = [
        region("polygon", rotation, points=[[10, 10], [60, 10], [60, 60]], closed=True, polygonlabels=["car"]),
        region("brush", rotation, format="rle", rle=[0, 0, 18, 192, 1], brushlabels=["road"]),
    ]
    return regions[::-1] if turned_over else regions


def exported(form, regions):
    out = root / form
    out.mkdir(exist_ok=True)
    annotation = {
        "id": 1, "result": regions, "was_cancelled": False, "completed_by": 1, "lead_time": 1.0,
        "created_at": "2026-01-01T10:00:00Z", "updated_at": "2026-01-01T10:00:00Z",
    }
    task = {"id": 1, "data": {"image": "a.png"}, "annotations": [annotation]}
    (root / "tasks.json").write_text(json.dumps([task]))
    Converter(CONFIG, str(root), download_resources=False).convert(
        str(root / "tasks.json"), str(out), form, is_dir=False
    )
    return json.loads((out / "result.json").read_text())


def told_apart(one, other):
    return {form: exported(form, one) != exported(form, other) for form in ("JSON", "JSON_MIN")}


seen = told_apart(drawn(), drawn(turned_over=True)), told_apart(drawn(), drawn(rotation=90))
names = "order: polygon, brush or brush, polygon", "rotation: image upright or turned by 90 degrees"
for name, differs in zip(names, seen):
    words = ["differs" if differs[form] else "is the same" for form in ("JSON", "JSON_MIN")]
    print(f"{name}: JSON {words[0]}, JSON-MIN {words[1]}")
sys.exit(seen != ({"JSON": True, "JSON_MIN": False},) * 2)
PYTHON
