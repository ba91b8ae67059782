"""The report of one run, or of several side by side."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS, Caption
from twinsight.probes.learning_curves import COSTS, LearningCurves
from twinsight.report import evaluations
from twinsight.report.page import Fold, Gallery, Part, Picture, Section, Table, write_page
from twinsight.report.record import Record, natural
from twinsight.report.tables import machines, numbers, overview, per_class, scores, settings
from twinsight.report.verdict import last_step, reached, verdict


def report_run(folder: Path, file: Path | None = None) -> Path:
    """Write the report of one run, by default to FOLDER/report.html. Raises UserError if it is not a run."""
    return report_runs([folder], file or folder / "report.html")


def report_runs(folders: Sequence[Path], file: Path) -> Path:
    """Write a page that compares runs; of a single run, its full report.

    Runs may be unfinished and of different commands. Raises UserError for a folder that is not a run.
    """
    if not folders:
        raise UserError("no run directory is given; name at least one")
    runs = named([Record.read(folder) for folder in dict.fromkeys(folders)])
    with TemporaryDirectory() as scratch:
        drawn = curves(runs, Path(scratch))
        training = [drawn[name] for name in ("loss", "rate", "scores") if name in drawn]
        caption = CAPTIONS["curves"]
        gallery = Gallery(training, caption.read, caption.caution)
        sections = [
            verdicts(runs),
            scores(runs),
            evaluations.section(runs),
            *([overview(runs)] if len(runs) > 1 else []),
            Section(caption.title, parts=[gallery] if training else []),
            per_class(runs),
            *probes(runs, drawn),
            *([overview(runs)] if len(runs) == 1 else []),
            again(runs),
            settings(runs),
            machines(runs),
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        title = next(iter(runs)) if len(runs) == 1 else f"{len(runs)} runs side by side"
        shown = [section for section in sections if section.text or section.parts or section.commands]
        write_page(file, title, lead(runs), shown)
    return file


def named(records: Sequence[Record]) -> dict[str, Record]:
    """Runs by folder name; by full path if two share a name."""
    names = [record.folder.resolve().name for record in records]
    paths = [str(record.folder) for record in records]
    return dict(zip(names if len({*names}) == len(names) else paths, records))


def lead(runs: Mapping[str, Record]) -> str:
    if len(runs) > 1:
        return f"{', '.join(runs)}."
    (run,) = runs.values()
    what = " ".join(str(run.options[name]) for name in ("method.name", "head.name") if name in run.options)
    data = f" of {run.options['data.name']}" if "data.name" in run.options else ""
    kind = {"pretrain": "Pretraining", "segment": "Segmentation"}.get(run.options["command"], run.options["command"])
    return f"{kind}: {what} on {run.options.get('backbone.name')}, with images{data}. {progress(run)}"


def progress(run: Record) -> str:
    if not run.rows:
        return ""
    epoch, epochs = reached(run)
    return f"Logged up to step {last_step(run):,}, in epoch {epoch} of {epochs:g}."


def verdicts(runs: Mapping[str, Record]) -> Section:
    """The verdict on each run; for a single run also what to do next."""
    found = {name: verdict(run) for name, run in runs.items()}
    if len(runs) > 1:
        rows = [[name, " ".join(one.sentences)] for name, one in found.items()]
        return Section("Verdict", parts=[Table(("run", "verdict"), rows)])
    (one,) = found.values()
    commands = [line for why, command in one.commands for line in (f"# {why}", command)]
    return Section("Verdict", " ".join(one.sentences), commands=commands)


def curves(runs: Mapping[str, Record], scratch: Path) -> dict[str, Picture]:
    """The figures of `LearningCurves` by name, each also for narrow screens."""
    titles = {"loss": "Loss and its terms", "rate": "Learning rate", "scores": "Scores"}
    read = "What this probe has measured, over the optimizer steps."
    caution = "A number that moves shows that something changes, not that it gets better."
    rows = {name: run.rows for name, run in runs.items()}
    wide, narrow = (LearningCurves(columns=columns)(rows).figures for columns in (3, 1))
    drawn: dict[str, Picture] = {}
    for name in wide:
        file, small = scratch / f"{name}.svg", scratch / f"{name}-narrow.svg"
        wide[name].save(file)
        narrow[name].save(small)
        drawn[name] = (
            Picture(file, titles[name], title=titles[name], narrow=small)
            if name in titles
            else Picture(file, "numbers over time", read, caution, "Over time", small)
        )
    return drawn


def probes(runs: Mapping[str, Record], drawn: Mapping[str, Picture]) -> list[Section]:
    """A section for each probe with findings."""
    seen = {probe for run in runs.values() for probe in run.figures} - {"classes"}
    logged = {name.split("/")[1] for run in runs.values() for row in run.rows for name in row if is_measured(name)}
    sections: list[Section] = []
    for probe in dict.fromkeys([*CAPTIONS, *sorted(seen | logged)]):
        caption = CAPTIONS.get(probe, Caption(probe.capitalize(), "", ""))
        parts = figures(runs, probe, caption)
        if f"probe-{probe}" in drawn:
            parts.append(drawn[f"probe-{probe}"])
        if probe in logged:
            parts.append(Fold("Numbers", [numbers(runs, probe, caption.names)]))
        sections.append(Section(caption.title, parts=parts))
    return sections


def is_measured(name: str) -> bool:
    return name.startswith("probe/") and not name.endswith(COSTS)


def figures(runs: Mapping[str, Record], probe: str, caption: Caption) -> list[Part]:
    """The newest figures by run; the first ones in a fold."""
    newest: list[Picture] = []
    first: list[Picture] = []
    names = {name for run in runs.values() for name in run.figures.get(probe, ())}
    for name in sorted(names, key=natural):
        for run, record in runs.items():
            what = heading(name, probe)
            title = f"{run}: {what}" if len(runs) > 1 else what
            files = record.figures.get(probe, {}).get(name, {})
            shown = [picture(files[step], title, step) for step in sorted(files)]
            newest += shown[-1:]
            first += shown[:1] if len(shown) > 1 else []
    parts: list[Part] = [Gallery(newest, caption.read, caption.caution)] if newest else []
    return parts + ([Fold("Before training", [Gallery(first)])] if first else [])


def heading(figure: str, probe: str) -> str:
    """A figure's name in words: "block12" -> "Block 12"."""
    words = re.sub(r"(?<=[a-z])(?=\d)", " ", figure).replace("_", " ").replace("-", " ")
    words = CAPTIONS[probe].title if figure == probe and probe in CAPTIONS else words
    return words[0].upper() + words[1:]


def picture(file: Path, title: str, step: int) -> Picture:
    title += f", step {step:,}" if step >= 0 else ""
    return Picture(file, title, title=title)


def again(runs: Mapping[str, Record]) -> Section:
    """The command that started each run, and those that repeat and resume it."""
    commands: list[str] = []
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
        "The command that started the run, the same from its complete options, and how to resume it.",
        commands=commands,
    )
