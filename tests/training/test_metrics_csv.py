import pytest

from twinsight.errors import UserError
from twinsight.runs.rows import read_rows
from twinsight.training.metrics_csv import MetricsCsv


def test_rows_of_one_step_are_one(tmp_path):
    log = MetricsCsv(tmp_path / "metrics.csv")
    log.log_metrics({"train/loss": 2.0}, step=4)
    log.log_metrics({"val/mean_iou": 0.5}, step=4)
    log.log_metrics({"train/loss": float("nan")}, step=9)
    log.finalize("success")
    rows = read_rows(tmp_path / "metrics.csv")
    assert rows[0] == {"step": 4, "train/loss": 2.0, "val/mean_iou": 0.5}
    assert rows[1].keys() == {"step", "train/loss"}


def test_resumed_run_replaces_what_came_after_its_checkpoint(tmp_path):
    first = MetricsCsv(tmp_path / "metrics.csv")
    for step in (9, 19, 29, 39):
        first.log_metrics({"train/loss": float(step)}, step)
    first.finalize("failed")
    second = MetricsCsv(tmp_path / "metrics.csv")
    second.cut(29)
    second.log_metrics({"train/loss": 1.0}, step=29)
    second.finalize("success")
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == [9, 19, 29]
    assert read_rows(tmp_path / "metrics.csv")[-1]["train/loss"] == 1.0


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"step,a\n1,x\n", 2), (b"a\n1\n", 2), (b"step,a\n1,2\nnan,3\n", 3), (b"step,a\n1,2,3\n", 2),
     (b"step\n1\n" + b"1" * 200_000, 2), (b"step\ninf\n", 2)],
)  # fmt: skip
def test_junk_is_named_with_its_line(tmp_path, content, line):
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"metrics\.csv: line {line} is not a row of numbers with a step; remove it"):
        read_rows(tmp_path / "metrics.csv")


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "metrics.csv").write_bytes(b"step\n\xff\n")
    with pytest.raises(UserError, match=r"metrics\.csv: is not UTF-8 text"):
        read_rows(tmp_path / "metrics.csv")
    (tmp_path / "metrics.csv").write_bytes(b"\xef\xbb\xbfstep,a\n1,2\n")
    assert read_rows(tmp_path / "metrics.csv") == [{"step": 1, "a": 2}]


def test_steps_are_whole_numbers_however_many(tmp_path):
    log = MetricsCsv(tmp_path / "metrics.csv")
    for step in (1234567, 1234568):
        log.log_metrics({"train/loss": 0.5}, step)
    log.finalize("success")
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == [1234567, 1234568]
