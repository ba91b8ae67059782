import json

import pytest
from PIL import Image

from twinsight.cli import main
from twinsight.commands import data
from twinsight.data.shapes import write
from twinsight.errors import UserError
from twinsight.options.commands import DataCheck, DataList, DataShow
from twinsight.options.data import DATA, FolderOptions, ShapesOptions

SHAPES = ShapesOptions(count=4, val_count=2, size=32)


def call(argv: str) -> int:
    with pytest.raises(SystemExit) as exit:
        main(argv.split())
    return int(exit.value.code or 0)


def test_list_names_each(capfd):
    data.list_data(DataList())
    out = capfd.readouterr().out
    assert all(name in out for name in DATA)


def test_make_then_check_and_show(tmp_path, capfd):
    folder = tmp_path / "shapes"
    assert call(f"data make shapes {folder} --data.count 4 --data.val-count 2 --data.size 32") == 0
    assert call(f"data check --data folder --data.root {folder}") == 0
    out = capfd.readouterr().out
    assert "striped disk" in out
    assert "4 samples" in out
    assert "2 samples" in out
    assert call(f"data show --data folder --data.root {folder} --out {tmp_path}/sheet.png --count 3") == 0
    assert Image.open(tmp_path / "sheet.png").width > 100
    assert call(f"data make shapes {folder}") == 2
    assert "is not an empty folder" in capfd.readouterr().err


def test_check_names_each_broken_file(tmp_path, capfd):
    write(tmp_path / "shapes", SHAPES.open("train"), SHAPES.open("val"))
    images = sorted((tmp_path / "shapes/JPEGImages").glob("train*"))
    images[0].write_bytes(images[0].read_bytes()[:200])
    images[1].write_text("no image")
    with pytest.raises(UserError, match="2 broken"):
        data.check_data(DataCheck(data=FolderOptions(root=tmp_path / "shapes"), split="train"))
    out = capfd.readouterr().out.replace("\n", "")
    assert images[0].name in out
    assert images[1].name in out


def test_check_writes_a_page_and_json(tmp_path, capfd):
    write(tmp_path / "shapes", SHAPES.open("train"), SHAPES.open("val"))
    image = min((tmp_path / "shapes/JPEGImages").glob("train*"))
    Image.new("RGB", (32, 32), "red").save(image)
    files = [tmp_path / "check.html", tmp_path / "check.json"]
    command = f"data check --data {tmp_path}/shapes --html {files[0]} --json {files[1]}"
    assert call(command) == 0
    found = json.loads(files[1].read_text())
    (one,) = [each for each in found["splits"]["train"]["findings"] if each["kind"] == "one color"]
    assert found["verdict"] == "usable"
    assert [each["image"] for each in one["files"]] == [str(image)]
    assert found["splits"]["train"]["classes"][0]["largest_region"]["pixels"] > 0
    page = files[0].read_text()
    assert "One color: 1 in train" in page
    assert 'src="data:image/jpeg' in page
    assert call(command) == 2
    assert "check.html: exists" in capfd.readouterr().err


def test_show_without_masks(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "photos/a.png")
    data.show_data(DataShow(data=FolderOptions(root=tmp_path / "photos"), out=tmp_path / "sheet.png"))
    assert (tmp_path / "sheet.png").is_file()
    with pytest.raises(UserError, match="nothing to validate on"):
        data.show_data(DataShow(data=FolderOptions(root=tmp_path / "photos"), split="val", out=tmp_path / "val.png"))


def test_check_of_images_without_masks(tmp_path, capfd):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "photos/a.png")
    assert call(f"data check --data folder --data.root {tmp_path}/photos") == 0
    output = capfd.readouterr()
    assert "1 sample read" in output.out
    assert output.err.startswith(f"data check: data images in {tmp_path}/photos, 1 image without masks\n")
