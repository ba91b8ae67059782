"""make bench: measure what docs/performance.md claims, ours beside its peers, and write benchmarks/results/table.md."""

import argparse
import json
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.machine import machine
from benchmarks.table import Row, markdown

HERE = Path(__file__).parent
NAMES = [file.stem for file in sorted(HERE.glob("*.py")) if "\ndef run(quick: bool)" in file.read_text()]


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all runs; nothing is written")
    parser.add_argument("--threads", type=int, default=1, help="of torch; 1 is steadiest on a machine in use")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of table.md and table.json")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"{unknown[0]}: no such benchmark; choose from {', '.join(NAMES)}")
    torch.set_num_threads(options.threads)
    rows: list[Row] = []
    for name in options.names or NAMES:
        found = import_module(f"benchmarks.{name}").run(options.quick)
        print(markdown(row._replace(target=None) for row in found) if options.quick else markdown(found), flush=True)
        rows += found
    if not options.quick:
        write(options.out, "-".join(options.names) or "table", rows)


def write(folder: Path, name: str, rows: list[Row]) -> None:
    """NAME.md to be read, NAME.json to be compared with."""
    facts = machine()
    folder.mkdir(parents=True, exist_ok=True)
    content = {"machine": facts, "rows": [row._asdict() | {"verdict": row.verdict} for row in rows]}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    versions = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
    head = (
        f"{facts['date']}: {facts['processor']}, {facts['cores']} cores, {facts['threads']} of them used "
        f"({' '.join(facts['flags']) or 'no vector flags known'}), GPU: {facts['gpu'] or 'none'}. "
        f"Python {facts['python']}, {versions}.\n\n"
    )
    (folder / f"{name}.md").write_text(head + markdown(rows))


if __name__ == "__main__":
    main()
