"""A run, or several side by side, as one page."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from twinsight.errors import UserError
from twinsight.probes.learning_curves import LearningCurves
from twinsight.report import evaluations
from twinsight.report.page import Fold, Gallery, Part, Picture, Section, write_page
from twinsight.report.record import Record, natural
from twinsight.report.tables import machines, numbers, overview, per_class, scores, settings

Captions = Mapping[str, tuple[str, str]]
"""By probe: how its figures are read, and how they can mislead."""

NAMES = {"erf": "Receptive fields", "correlation": "Cross-correlation", "views": "Augmented views"}
"""Headings of probes whose names say too little."""


def report_run(folder: Path, captions: Captions, file: Path | None = None) -> Path:
    """Write a page on one run, FOLDER/report.html where no file is named. Raises UserError for what is no run."""
    return report_runs([folder], file or folder / "report.html", captions)


def report_runs(folders: Sequence[Path], file: Path, captions: Captions) -> Path:
    """Write a page that lays runs side by side; of one run, all about it.

    Runs may be unfinished and of different commands. Raises UserError for a folder that is no run.
    """
    if not folders:
        raise UserError("no run directory is given; name at least one")
    runs = named([Record.read(folder) for folder in dict.fromkeys(folders)])
    with TemporaryDirectory() as scratch:
        drawn = curves(runs, Path(scratch))
        training = [drawn[name] for name in ("loss", "rate", "scores") if name in drawn]
        gallery = Gallery(training, LearningCurves.read, LearningCurves.caution)
        sections = [
            overview(runs),
            scores(runs),
            evaluations.section(runs),
            Section("Learning curves", parts=[gallery] if training else []),
            per_class(runs),
            *probes(runs, captions, drawn),
            again(runs),
            settings(runs),
            machines(runs),
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        title = next(iter(runs)) if len(runs) == 1 else f"{len(runs)} runs side by side"
        write_page(file, title, lead(runs), [section for section in sections if section.parts or section.commands])
    return file


def named(records: Sequence[Record]) -> dict[str, Record]:
    """Runs by the name of their folder; by its whole path where two have the same."""
    names = [record.folder.resolve().name for record in records]
    paths = [str(record.folder) for record in records]
    return dict(zip(names if len({*names}) == len(names) else paths, records))


def lead(runs: Mapping[str, Record]) -> str:
    if len(runs) > 1:
        return f"{', '.join(runs)}."
    (run,) = runs.values()
    what = " ".join(str(run.options[name]) for name in ("method.name", "head.name") if name in run.options)
    return f"twinsight {run.options['command']}: {what} on {run.options.get('backbone.name')}. {progress(run)}"


def progress(run: Record) -> str:
    if not run.rows:
        return "Nothing is logged yet."
    epoch = int(max(row.get("epoch", -1) for row in run.rows)) + 1
    return f"Logged up to step {run.rows[-1]['step']:.0f}, in epoch {epoch} of {run.options.get('epochs')}."


def curves(runs: Mapping[str, Record], scratch: Path) -> dict[str, Picture]:
    """The figures of `LearningCurves` by their names."""
    titles = {"loss": "Loss and its terms", "rate": "Learning rate", "scores": "Scores"}
    read = "What this probe has measured, over the steps of the optimizer."
    caution = "A number that moves shows that something changes, not that it gets better."
    drawn = {}
    for name, plot in LearningCurves()({name: run.rows for name, run in runs.items()}).figures.items():
        file = scratch / f"{name}.svg"
        plot.save(file)
        drawn[name] = (
            Picture(file, titles[name], title=titles[name]) if name in titles else Picture(file, name, read, caution)
        )
    return drawn


def probes(runs: Mapping[str, Record], captions: Captions, drawn: Mapping[str, Picture]) -> list[Section]:
    """A section for each probe that has found anything."""
    seen = {probe for run in runs.values() for probe in run.figures}
    counted = {name.removeprefix("probe-") for name in drawn if name.startswith("probe-")}
    known = dict.fromkeys([*captions, *sorted(seen | counted)])
    sections = []
    for probe in known:
        if probe != "classes":
            parts = figures(runs, probe, *captions.get(probe, ("", "")))
            if f"probe-{probe}" in drawn:
                parts += [drawn[f"probe-{probe}"], Fold("These numbers", [numbers(runs, f"probe/{probe}/")])]
            sections.append(Section(NAMES.get(probe, probe.capitalize()), parts=parts))
    return sections


def figures(runs: Mapping[str, Record], probe: str, read: str, caution: str) -> list[Part]:
    """The newest, by run; under a fold the first ones."""
    newest, first = [], []
    names = {name for run in runs.values() for name in run.figures.get(probe, ())}
    for name in sorted(names, key=natural):
        for run, record in runs.items():
            title = f"{run}: {name}" if len(runs) > 1 else name
            files = record.figures.get(probe, {}).get(name, {})
            shown = [picture(files[step], probe, title, step) for step in sorted(files)]
            newest += shown[-1:]
            first += shown[:1] if len(shown) > 1 else []
    parts: list[Part] = [Gallery(newest, read, caution)] if newest else []
    return parts + ([Fold("The first ones, to see what has changed since", [Gallery(first)])] if first else [])


def picture(file: Path, probe: str, title: str, step: int) -> Picture:
    title += f", step {step}" if step >= 0 else ""
    return Picture(file, f"{probe}: {title}", title=title)


def again(runs: Mapping[str, Record]) -> Section:
    """The command that began each run, and those that repeat it and go on with it."""
    commands = []
    for name, run in runs.items():
        commands += [f"# {name}"] if len(runs) > 1 else []
        command, folder = run.options["command"], shlex.quote(str(run.folder))
        if began := run.environment.get("command"):
            commands.append(began)
        commands.append(f"twinsight {command} --config {shlex.quote(str(run.folder / 'config.yaml'))}")
        if (run.folder / "checkpoints" / "last.ckpt").is_file():
            commands.append(f"twinsight {command} --resume {folder}")
    return Section(
        "Do it again",
        "How it was begun; the same from its complete options; going on with it where it was cut off.",
        commands=commands,
    )
