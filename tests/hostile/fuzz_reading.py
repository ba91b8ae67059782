"""Fuzzing, led by coverage, of what reads text that others wrote: recipes, JSON, tables.

It needs atheris, which nothing else here does (pip install atheris==3.0.0):

    python tests/hostile/fuzz_reading.py -max_total_time=60 -max_len=2000
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["twinsight", "yaml"]):
    from twinsight.errors import UserError
    from twinsight.options.commands import COMMANDS
    from twinsight.options.config import read
    from twinsight.options.parse import parse
    from twinsight.plain import read_json, read_yaml
    from twinsight.runs.rows import read_rows

FILE = Path(tempfile.mkdtemp()) / "fuzzed"


def options(file: Path) -> object:
    return parse(COMMANDS["pretrain"], "pretrain", [], read(file, "pretrain"), file)


def once(content: bytes) -> None:
    FILE.write_bytes(content)
    for reader in (read_yaml, read_json, read_rows, options):
        try:
            reader(FILE)
        except UserError as error:
            if "\n" in str(error) or str(FILE) not in str(error):
                raise AssertionError(f"{reader.__name__} does not say in a sentence what is wrong: {error}") from error


atheris.Setup(sys.argv, once)
atheris.Fuzz()
