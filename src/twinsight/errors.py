"""The one exception that is the user's to repair, and what the user should know."""


class UserError(Exception):
    """Bad input: the message is one sentence that names the file or option, what is wrong and how to fix it.

    The command line prints it on stderr and exits with code 2, without a traceback.
    """


class Remark(UserWarning):
    """What was decided or left out where nobody asked: one sentence, given to `warnings.warn`.

    The command line prints it on stderr, once.
    """
