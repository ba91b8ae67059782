"""Files written whole or not at all, and JSON that any reader takes."""

from pathlib import Path


def write_text(file: Path, text: str) -> None:
    """Write to a temporary name, then rename: no reader ever meets half a file."""
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def without_nan(value: object) -> object:
    """NaN (a class that occurs nowhere) as null: JSON has no NaN."""
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_nan(v) for v in value]
    return None if isinstance(value, float) and value != value else value
