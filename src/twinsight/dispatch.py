"""Find the command, parse its options, then import what it runs."""

from importlib import import_module
from pathlib import Path

from twinsight import __version__
from twinsight.errors import UserError
from twinsight.options.choose import suggest
from twinsight.options.commands import COMMANDS
from twinsight.options.config import read
from twinsight.options.overview import below, overview
from twinsight.options.parse import parse, take_flag
from twinsight.ours import whereabouts

HELP = ("-h", "--help", "--help-all", "help")


def dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in HELP:
        print(overview())
        return 0
    if argv[0] == "--version":
        print(f"twinsight {__version__}")
        return 0
    command = argv.pop(0)
    words = [name.split()[1] for name in COMMANDS if name.startswith(f"{command} ")]
    if words:
        if not argv or argv[0] in HELP:
            print(below(command))
            return 0
        word = argv.pop(0)
        if word.startswith("-"):
            raise UserError(
                f"twinsight {command} {word}: an option before the name; put one of {', '.join(words)} first"
            )
        if word not in words:
            raise UserError(f"twinsight {command} {word}: no such command; {suggest(word, words)}")
        command = f"{command} {word}"
    elif command not in COMMANDS:
        names = dict.fromkeys(name.split()[0] for name in COMMANDS)
        whole = next((name for name in COMMANDS if name.endswith(f" {command}")), None)  # attention: look attention
        said = f"did you mean {whole}?" if whole else suggest(command, list(names))
        raise UserError(f"twinsight {command}: no such command; {said}")
    options = parse(COMMANDS[command], command, argv, *inherited(command, argv))
    module, _, function = command.partition(" ")
    if module == "demo":  # which checks little before it loads them
        from twinsight.console import loading  # imports rich, which --help does not need

        loading("PyTorch and Lightning")
    name = f"{function}_data" if module == "data" else "run"
    getattr(import_module(f"twinsight.commands.{module}"), name)(options)
    return 0


def inherited(command: str, argv: list[str]) -> tuple[dict[str, object], Path]:
    """Options from a run directory on the command line (of a resumed run all, of an evaluated run its data), and their
    file.
    """
    if command in ("pretrain", "segment"):
        resume = take_flag(list(argv), "--resume")
        config = existing(Path(resume)) if resume else Path()
        return read(config, command) if resume else {}, config
    named = argv if command == "evaluate" else [take_flag(list(argv), "--weights") or ""]
    configs = (Path(token.removeprefix("random:")) / "config.yaml" for token in named)
    config = next((file for file in configs if file.is_file()), None)
    if config is None or not command.startswith(("evaluate", "look ")):
        return {}, Path()
    tree = read(config)
    return {key: tree[key] for key in ("backbone", "data") if key in tree}, config


def existing(run: Path) -> Path:
    config = run / "config.yaml"
    if not config.is_file():
        raise UserError(f"--resume {run}: no run there (no config.yaml); name a run directory{whereabouts(run)}")
    return config
