"""Every benchmark runs, and finds ours and the peers' results alike; no time is asserted."""

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "benchmarks").glob("*.py"))
NAMES = [file.stem for file in FILES if "\ndef run(quick: bool)" in file.read_text()]


@pytest.fixture(autouse=True)
def found(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.mark.parametrize("name", NAMES)
def test_quick(name):
    rows = importlib.import_module(f"benchmarks.{name}").run(True)
    assert rows
    for row in rows:
        assert row.ours > 0
        assert (row.peer is None) == ("not installed" in row.peer_name)
        assert row.verdict in ("", "met", "missed")


def test_the_table_and_the_json(tmp_path, monkeypatch):
    from benchmarks import __main__ as bench
    from benchmarks.table import Row

    rows = [
        Row("a step", 10.0, 25.04, "ms", 2.5, (2.25, 2.75), "theirs", 2.3),
        Row("a step", 10.0, 15.0, "ms", 1.5, (1.0, 2.0), "another", 2.3),
        Row("a step", 1234.5, None, "images/s", None, None, "lightly: not installed", 2.3),
    ]
    assert [row.verdict for row in rows] == ["met", "missed", ""]
    bench.write(tmp_path, "table", rows)
    table = (tmp_path / "table.md").read_text().splitlines()
    assert table[-3:] == [
        "| a step | 10 | 25 | ms | theirs | 2.5 | 2.25 to 2.75 | 2.3 | met |",
        "| a step | 10 | 15 | ms | another | 1.5 | 1 to 2 | 2.3 | missed |",
        "| a step | 1234 |  | images/s | lightly: not installed |  |  | 2.3 |  |",
    ]
    content = json.loads((tmp_path / "table.json").read_text())
    assert content["rows"][0]["ratio"] == 2.5
    assert content["rows"][2]["peer"] is None
    assert {"processor", "cores", "flags", "packages", "date"} <= content["machine"].keys()


def test_each_peer_is_timed_in_turn_with_ours():
    from benchmarks.timing import beside

    calls: list[str] = []
    now = [0.0]

    def work(name, seconds):
        def call():
            calls.append(name)
            now[0] += seconds

        return call

    rows = beside(
        "x", work("ours", 2), {"a": work("a", 6), "b": None, "c": work("c", 1)}, 1, rounds=2, clock=lambda: now[0]
    )
    assert calls == ["ours", "a", "c"] * 3
    assert [(row.peer_name, row.ratio, row.spread) for row in rows] == [
        ("a", 3, (3, 3)), ("b: not installed", None, None), ("c", 0.5, (0.5, 0.5)),
    ]  # fmt: skip
    assert (rows[0].ours, rows[0].peer) == (2000, 6000)
    rate = beside("x", work("ours", 2), {"a": work("a", 4)}, 1, 1, lambda: now[0], "images/s", 8)[0]
    assert (rate.ours, rate.peer, rate.ratio) == (4, 2, 2)


def test_an_unknown_name_is_refused(monkeypatch, capsys):
    from benchmarks import __main__ as bench

    monkeypatch.setattr(sys, "argv", ["benchmarks", "metric"])
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code == 2
    assert "metric: no such benchmark; choose from" in capsys.readouterr().err
