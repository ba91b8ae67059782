"""What ends a command with a sentence, not a traceback, and what the user should know."""


class UserError(ValueError):
    """Bad input: the message is one sentence that names the file or option, what is wrong and how to fix it.

    The command line prints it on stderr and exits with code 2, without a traceback. From Python it is raised where the
    function was called, and names arguments as they are called there.
    """


class Remark(UserWarning):
    """What was decided or left out where nobody asked: one sentence, given to `warnings.warn`.

    The command line prints it on stderr, once.
    """


class Interrupted(KeyboardInterrupt):
    """A signal has ended a training, which is saved: the command exits with 128 + its number, as shells have it."""

    def __init__(self, number: int):
        super().__init__()
        self.code = 128 + number
