import json

import numpy as np
import pytest
from PIL import Image

from twinsight.assemble.explain import explain, in_lines
from twinsight.cli import main
from twinsight.errors import UserError
from twinsight.plain import read_yaml


def save(file, pixels):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def street(root, classes="labelmap.txt"):
    for index in range(5):
        labels = (np.arange(24).reshape(4, 6) > 9 + index).astype(np.uint8)
        save(root / f"JPEGImages/{index}.jpg", np.zeros((4, 6, 3), np.uint8))
        save(root / f"SegmentationClass/{index}.png", np.dstack([labels * 128, labels * 64, labels * 128]))
    if classes:
        (root / classes).write_text("background:0,0,0::\nroad:128,64,128::\n")
    return root


def detect(argv, capfd, code=0):
    with pytest.raises(SystemExit) as exit:
        main(["data", "detect", *argv.split()])
    assert exit.value.code == code
    return capfd.readouterr().out


def test_an_export(tmp_path, capfd):
    root = street(tmp_path / "street")
    answer = json.loads(detect(f"{root} --json", capfd))
    assert (answer["data"], answer["title"], answer["images"]) == ("color-masks", "color masks with labelmap.txt", 5)
    assert answer["classes"] == ["background", "road"]
    assert answer["options"] == f"--data color-masks --data.root {root}"
    assert [other["data"] for other in answer["others"]] == ["folder"]
    assert answer["looked_at"] == {"files": 11, "folders": 3, "extensions": {".jpg": 5, ".png": 5, ".txt": 1}}
    assert answer["problem"] is None
    assert detect(str(root), capfd).startswith(f"{root}: color masks with labelmap.txt, 2 classes, 5 images: ")


def test_two_readings_and_what_is_to_be_mended(tmp_path, capfd):
    root = street(tmp_path / "street")
    (root / "classes.txt").write_text("background\nroad\n")
    answer = explain(root)
    assert answer["data"] is None
    assert {other["data"] for other in answer["others"]} == {"color-masks", "folder"}
    assert f"by --data color-masks --data.root {root}" in in_lines(answer)
    assert "why: several readings are possible" in detect(str(root), capfd, code=2)
    answer = explain(street(tmp_path / "bare", classes=""))
    assert answer["data"] == "folder"
    assert "classes.csv, with the lines name,r,g,b, NAME,0,0,0, NAME,128,64,128" in answer["problem"]
    with pytest.raises(UserError, match=r"folder .*nowhere: there is no such folder"):
        explain(tmp_path / "nowhere")


def test_folders_of_classes_are_named_as_another_reading(tmp_path):
    for name in ("cat", "dog"):
        save(tmp_path / name / "a.jpg", np.zeros((4, 6, 3), np.uint8))
    answer = explain(tmp_path)
    assert (answer["data"], answer["title"]) == ("folder", "images")
    assert [other["data"] for other in answer["others"]] == ["class-folder"]


def test_a_run_keeps_the_answer_whatever_is_added_later(tmp_path, capfd):
    root, run = tmp_path / "street", tmp_path / "run"
    for index in range(20):
        labels = (np.arange(32 * 32).reshape(32, 32) > 300 + 20 * index).astype(np.uint8)
        save(root / f"images/{index}.jpg", np.random.default_rng(index).integers(0, 256, (32, 32, 3)).astype(np.uint8))
        save(root / f"masks/{index}.png", 255 * labels)
    tiny = [
        "--head",
        "linear",
        "--augment.size",
        "32",
        "--batch-size",
        "4",
        "--workers",
        "0",
        "--probe",
        "none",
        "--accelerator",
        "cpu",
    ]
    begin = ["segment", str(root), "--backbone", "resnet10t", "--epochs", "1", "--run", str(run), *tiny]
    for argv in (begin, ["segment", "--resume", str(run), "--epochs", "2"]):
        with pytest.raises(SystemExit) as exit:
            main(argv)
        said = capfd.readouterr().err
        assert exit.value.code == 0, said
        assert f"data images and masks in {root}, 2 classes, 20 images: " in said
        data = read_yaml(run / "config.yaml")["data"]
        assert (data["name"], data["root"], data["values"]) == ("folder", str(root), [0, 255])
        (root / "labelmap.txt").write_text("background:0,0,0::\nroad:255,255,255::\n")
    assert explain(root)["data"] == "color-masks"
