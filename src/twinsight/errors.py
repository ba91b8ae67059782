"""The one exception that is the user's to mend."""


class UserError(Exception):
    """Bad input: the message is one sentence that names the file or option, what is wrong and how to mend it.

    The command line prints it on stderr and exits with code 2, without a traceback.
    """
