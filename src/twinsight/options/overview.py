"""What `twinsight` alone prints: where to start, and the commands."""

from twinsight.options.commands import COMMANDS
from twinsight.options.describe import first_line
from twinsight.options.help import paragraph, section, width
from twinsight.options.probes import PROBES

FIRST_STEPS = {
    "twinsight demo": "the whole tour, in minutes",
    "twinsight pretrain photos": "images -> backbone",
    "twinsight look features photos --weights RUN": "what the backbone sees",
    "twinsight segment street --weights RUN": "images and masks -> segmenter",
    "twinsight predict RUN photos": "masks for new images",
}

GROUPS = {
    "Train": ("demo", "pretrain", "segment"),
    "Use and judge": ("predict", "evaluate", "report"),
    "Look inside": ("look PROBE",),
    "Data and weights": (
        "data detect",
        "data check",
        "data show",
        "data convert",
        "data list",
        "data make",
        "weights",
    ),
}

ABOUT = {"look PROBE": f"Look inside a model. Probes: {', '.join(PROBES)}."}

WIDTH = 18
"""Width of the column of names, in characters."""

MORE = {
    "completion SHELL": "Print tab completion for bash, zsh or fish.",
    "COMMAND --help": "Show a command's options.",
    "--version": "Show the version.",
}


def overview() -> str:
    """All commands by purpose."""
    steps = section("First steps", list(FIRST_STEPS.items()), 48 if width() >= 80 else 4)
    parts = [paragraph("twinsight: see what self-supervision sees"), steps]
    for heading, names in GROUPS.items():
        parts.append(section(heading, [(name, ABOUT.get(name) or first_line(COMMANDS[name])) for name in names], WIDTH))
    return "\n\n".join([*parts, section("More", list(MORE.items()), WIDTH)])


def below(command: str) -> str:
    """The commands below `look` or `data`."""
    found = {name.partition(" ")[2]: cls for name, cls in COMMANDS.items() if name.startswith(f"{command} ")}
    heading = "Probes" if command == "look" else "Commands"
    rows = section(heading, [(name, first_line(cls)) for name, cls in found.items()], WIDTH)
    more = f"`twinsight {command} NAME --help` shows the options of one."
    return "\n\n".join([f"Usage: twinsight {command} NAME [OPTIONS]", rows, paragraph(more)])
