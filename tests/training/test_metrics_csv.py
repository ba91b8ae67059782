from twinsight.training.metrics_csv import MetricsCsv, read_rows


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
    second.log_metrics({"train/loss": 1.0}, step=29)
    second.finalize("success")
    assert [row["step"] for row in read_rows(tmp_path / "metrics.csv")] == [9, 19, 29]
    assert read_rows(tmp_path / "metrics.csv")[-1]["train/loss"] == 1.0
