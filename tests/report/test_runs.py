import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.report.page import Picture, Section, write_page
from twinsight.report.record import Record, natural
from twinsight.report.runs import report_run, report_runs

ROWS = [
    {"step": 9, "epoch": 0, "train/loss": 2.0, "train/lr": 1e-3},
    {
        "step": 19,
        "epoch": 1,
        "train/loss": 1.0,
        "train/lr": 1e-4,
        "val/mean_iou": 0.5,
        "probe/attention/block1/entropy": 0.75,
    },
    {"step": 29, "epoch": 2, "val/mean_iou": 0.4, "probe/attention/block1/entropy": 0.5},
]


def make_run(folder: Path, rows=ROWS, command="segment", **options) -> Path:
    folder.mkdir(parents=True)
    tree = {"command": command, "epochs": 3, "seed": 0, "backbone": {"name": "resnet18"}} | options
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    (folder / "environment.txt").write_text(f"command: twinsight {command} --seed 0\npython: 3.11\n")
    if rows:
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
        (folder / "metrics.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    return folder


def dot(file: Path, side: int = 4) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(file)
    return file


def table(html: str, first: str) -> list[list[str]]:
    """Cells of the table whose first column has this name, its header first."""
    for found in re.findall(r"<table>.*?</table>", html, re.S):
        rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr>.*?</tr>", found, re.S)]
        cells = [[unescape(re.sub("<.*?>", "", cell)) for cell in row] for row in rows]
        if cells[0][0] == first:
            return cells
    raise AssertionError(f"no table of {first}")


def titles(html: str) -> list[str]:
    return [unescape(title) for title in re.findall("<h3>(.*?)</h3>", html)]


def test_a_run_says_what_it_was_and_what_came_of_it(tmp_path):
    run = make_run(tmp_path / "one", head={"name": "setr-pup"})
    assert report_run(run) == run / "report.html"
    html = (run / "report.html").read_text()
    assert ["head.name", "setr-pup"] in table(html, "option")
    assert table(html, "number") == [
        ["number", "last", "best", "step of the best"],
        ["mean IoU, %", "40.0", "50.0", "19"],
        ["training loss", "1", "", ""],
    ]
    assert html.index(">Verdict</h2>") < html.index(">Scores</h2>") < html.index(">What was run</h2>")
    assert "in epoch 3 of 3" in html
    assert f"twinsight segment --config {run / 'config.yaml'}" in html
    assert "<code>twinsight segment --seed 0</code>" in html


def test_the_newest_figure_stands_and_the_first_is_under_a_fold(tmp_path):
    run = make_run(tmp_path / "one")
    for step in (0, 500, 12_345_678):
        for block in (2, 12):
            dot(run / f"figures/attention/block{block}-{step:07}.png")
    dot(run / "figures/attention/strip.png")
    dot(run / "figures/attention/.block2-0000700.png.tmp.png")
    html = report_run(run).read_text()
    section = html[html.index(">Attention</h2>") : html.index(">What was run</h2>")]
    shown, _, folded = section.partition("<details>")
    assert titles(shown) == ["Block 2, step 12,345,678", "Block 12, step 12,345,678", "Strip"]
    assert titles(folded) == ["Block 2, step 0", "Block 12, step 0", "Over time"]
    assert f"{CAPTIONS['attention'].read} <b>Beware:</b> {CAPTIONS['attention'].caution}" in unescape(shown)
    entropy = "entropy of attention (0 one patch, 1 uniform)"
    assert table(folded, "where")[1:] == [["block 1", entropy, "0.75", "0.5"]]
    assert ">Receptive fields</h2>" not in html


def test_classes_are_in_percent_and_missing_ones_are_empty(tmp_path):
    for name, iou in (("a", 0.25), ("b", 0.5)):
        run = make_run(tmp_path / name)
        (run / "figures/classes").mkdir(parents=True)
        (run / "figures/classes/per-class.csv").write_text(
            f"class,iou,pixels\nroad & <i>,{iou},0.75\nnone,,\nx,nan,0\n"
        )
    html = report_run(tmp_path / "a").read_text()
    assert table(html, "class") == [
        ["class", "IoU", "pixels"], ["road & <i>", "25.0", "75.0"], ["none", "", ""], ["x", "", "0.0"],
    ]  # fmt: skip
    html = report_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "all.html").read_text()
    assert table(html, "class")[:2] == [["class", "a", "b"], ["road & <i>", "25.0", "50.0"]]


def test_several_runs_stand_in_rows_with_what_differs(tmp_path):
    first = make_run(tmp_path / "first", head={"name": "linear", "levels": [1, 2]}, lr=0.1)
    second = make_run(tmp_path / "second & <b>", head={"name": "unet"}, lr=0.2, epochs=5)
    third = make_run(tmp_path / "third", rows=[], command="pretrain", lr=0.2)
    dot(first / "figures/attention/map-0000001.png")
    dot(second / "figures/attention/map-0000002.png")
    file = report_runs([first, second, third], tmp_path / "new" / "all.html")
    html = file.read_text()
    header, *rows = table(html[html.index("what differs</h2>") :], "run")
    assert header == [
        "run", "steps", "training loss (last)", "mean IoU, % (last)", "mean IoU, % (best)", "command", "head.name",
        "epochs", "lr",
    ]  # fmt: skip
    assert rows == [
        ["first", "30", "1", "40.0", "50.0", "segment", "linear", "3", "0.1"],
        ["second & <b>", "30", "1", "40.0", "50.0", "segment", "unet", "5", "0.2"],
        ["third", "", "", "", "", "pretrain", "", "3", "0.2"],
    ]
    assert "<b>" not in html.replace("<b>Beware:</b>", "")
    assert [title for title in titles(html) if "Map" in title] == ["first: Map, step 1", "second & <b>: Map, step 2"]
    assert ["head.levels", "1 2", "", ""] in table(html, "option")
    assert "'second &amp; &lt;b&gt;" not in html  # quoted as a whole path
    assert unescape(html).count(f"--config '{second}/config.yaml'") == 1


def test_runs_of_the_same_name_are_told_apart_by_their_paths(tmp_path):
    folders = [make_run(tmp_path / where / "run") for where in ("x", "y")]
    html = report_runs(folders, tmp_path / "all.html").read_text()
    assert [row[0] for row in table(html, "run")[1:]] == [str(folder) for folder in folders]


def test_a_run_that_has_only_begun(tmp_path):
    run = make_run(tmp_path / "new", rows=[])
    (run / "environment.txt").unlink()
    html = report_run(run).read_text()
    assert "Nothing is logged yet." in html
    assert "Learning curves" not in html
    assert '<img src="data:image' not in html


@pytest.mark.parametrize("config", [None, "epochs: 3\n", "- 1\n", "a: [", "\x00"])
def test_what_is_no_run_is_refused(tmp_path, config):
    if config is not None:
        (tmp_path / "config.yaml").write_text(config)
    with pytest.raises(UserError, match=r"is not a run directory|config\.yaml: (is not valid YAML|is not UTF-8)"):
        report_run(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_no_run_at_all_is_refused(tmp_path):
    with pytest.raises(UserError, match="at least one"):
        report_runs([], tmp_path / "all.html")


def test_a_figure_that_is_none_is_named(tmp_path):
    run = make_run(tmp_path / "one")
    (run / "figures" / "erf").mkdir(parents=True)
    (run / "figures" / "erf" / "field-0000001.png").write_text("no image")
    with pytest.raises(UserError, match=r"field-0000001\.png: cannot be read"):
        report_run(run)


def test_a_page_that_would_be_too_large_says_what_it_has_lost(tmp_path, monkeypatch):
    pictures = [Picture(dot(tmp_path / f"{name}.png", 200), name) for name in "abc"]
    limit = (tmp_path / "a.png").stat().st_size * 3 // 4
    monkeypatch.setattr("twinsight.report.embed.LIMIT", limit)
    write_page(tmp_path / "page.html", "title", "lead", [Section("s", parts=pictures)])
    html = (tmp_path / "page.html").read_text()
    assert len(html) < limit + 20_000
    kept = html.count('src="data:image/webp')
    assert 1 <= kept < 3
    assert html.count("Left out for its size") == 3 - kept
    assert "stored with a slight loss" in html
    assert f" and {3 - kept} that did not fit" in html


def test_natural_order_of_names():
    assert sorted(["b12", "b2", "a", "b"], key=natural) == ["a", "b", "b2", "b12"]


def test_options_are_told_with_dots(tmp_path):
    run = make_run(tmp_path / "one", method={"views": {"size": 96}})
    assert Record.read(run).options["method.views.size"] == 96
