"""The entry point: runs a command; every failure becomes one sentence and an exit code.

Nothing else is imported before `main` runs, so that Ctrl-C works from the start.
"""

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from twinsight.errors import Interrupted, UserError


def main(argv: Sequence[str] | None = None) -> None:
    """Run `twinsight ARGV` and exit: 0 done, 2 bad input, 130 interrupted, 128 + N saved after signal N."""
    if isinstance(sys.stdout, TextIOWrapper):  # on Windows a pipe's encoding may lack characters of a path
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            code = run(list(sys.argv[1:] if argv is None else argv))
        finally:
            if sys.stdout is not None:  # as after `>&-`
                sys.stdout.flush()
    except UserError as error:
        code = complain(str(error))
    except Interrupted as stopped:
        code = stopped.code
    except KeyboardInterrupt:
        code = complain("interrupted", 130)
    except BrokenPipeError:  # `twinsight ... | head`
        code = 1
        drop_output()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if error.filename is None and not full:
            raise
        reason = (error.strerror or str(error)).lower()
        if error.filename is None:  # as for `twinsight ... > report.txt`
            drop_output()
            code = complain(f"{reason}: the output could not be written; free some space or write elsewhere")
        else:
            code = complain(f"{error.filename}: {reason}; check the path, its permissions and the space on its disk")
    sys.exit(code)


def run(argv: list[str]) -> int:
    """The command's exit code. Remarks are printed as plain lines."""
    from twinsight.dispatch import dispatch

    show = warnings.showwarning

    def remark(*what: Any) -> None:
        from twinsight.console import remarked  # imports rich, which --help does not need

        remarked(show)(*what)

    with warnings.catch_warnings():
        warnings.showwarning = remark
        return dispatch(argv)


def complain(message: str, code: int = 2) -> int:
    print(f"twinsight: error: {message}" if code == 2 else f"twinsight: {message}", file=sys.stderr)
    return code


def drop_output() -> None:
    """Discard what stdout still buffers, since Python would fail on it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
