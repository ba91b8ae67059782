"""Errors and remarks that users see as one sentence, without a traceback."""


class UserError(ValueError):
    """Bad input: the message is one sentence that names the file or option, what is wrong and how to fix it.

    The command line prints it on stderr and exits with code 2, without a traceback. In Python it is raised at the
    caller's line and uses the names of Python arguments.
    """


class NoSplitError(UserError):
    """A data set has no split of the name that was asked for."""


class Remark(UserWarning):
    """A note on something decided or left out automatically: one sentence, passed to `warnings.warn`.

    The command line prints it on stderr, once.
    """


class Interrupted(KeyboardInterrupt):
    """A signal stopped a training, which was saved. The exit code is 128 + the signal's number, as in shells."""

    def __init__(self, number: int):
        super().__init__()
        self.code = 128 + number
