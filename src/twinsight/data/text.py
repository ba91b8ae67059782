"""Text files of a data set: names of classes, lists of images."""

from pathlib import Path

from twinsight.errors import UserError


def lines(file: Path) -> list[str]:
    """The lines that hold anything, stripped. UTF-8, with or without the byte order mark that some editors write.

    Raises UserError, naming the file, if it cannot be read or is no such text.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({(error.strerror or str(error)).lower()}); check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is not UTF-8 text; open it in an editor and save it as UTF-8") from error
    if "\0" in text:  # UTF-16 without its mark, or no text at all
        raise UserError(f"{file}: is not UTF-8 text; open it in an editor and save it as UTF-8")
    return [line.strip() for line in text.splitlines() if line.strip()]
