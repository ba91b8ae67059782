"""A few of the bad inputs that `make hostile` tries in full: of each kind some, evenly chosen."""

import hostile_driver
import pytest
from hostile_driver import Case, run, template
from hostile_files import FILES
from hostile_options import OPTIONS
from hostile_runs import RUNS
from hostile_yaml import RECIPES

CASES = [*OPTIONS, *RECIPES, *FILES, *RUNS]
GROUPS = {group: [case for case in CASES if case.group == group] for group in dict.fromkeys(c.group for c in CASES)}
FEW = [case for cases in GROUPS.values() for case in cases[:: max(1, len(cases) // 2)][:2]]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return template(tmp_path_factory.mktemp("hostile") / "template")


def test_they_are_many_and_distinct():
    assert len({str(case) for case in CASES}) == len(CASES) >= 300


@pytest.mark.parametrize("case", FEW, ids=str)
def test_bad_input_is_refused(start, tmp_path, monkeypatch, case):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    assert run(case, start, tmp_path / "case", 100) == ""  # on a busy machine too


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        (Case("", "--version", "version"), "exits with 0"),
        (Case("", "pretrain --epochs 0", "--epoch 0"), "does not say '--epoch 0'"),
    ],
)
def test_what_is_not_refused_is_noticed(start, tmp_path, case, problem):
    assert problem in run(case, start, tmp_path / "case")


def test_what_is_left_behind_is_noticed(start, tmp_path, monkeypatch):
    def half(argv):
        (hostile_driver.Path("half")).write_text("half")
        raise SystemExit(2)

    monkeypatch.setattr("twinsight.cli.main", half)
    assert run(Case("", "", ""), start, tmp_path / "case") == "changes ['half']"
