"""twinsight report: one page about one run or several."""

from pathlib import Path

from twinsight.console import tell
from twinsight.errors import UserError
from twinsight.options.commands import Report
from twinsight.outputs import check_file
from twinsight.report.runs import report_run, report_runs


def run(options: Report) -> Path:
    if not options.runs:
        raise UserError("runs: none given; name one run directory or several")
    out = options.out or (options.runs[0] if len(options.runs) == 1 else Path()) / "report.html"
    own = options.out is None and len(options.runs) == 1
    check_file("out", out, options, options.overwrite or own)
    if len(options.runs) == 1:
        report_run(options.runs[0], out)
    else:
        report_runs(options.runs, out)
    tell(f"report: {out}")
    return out
