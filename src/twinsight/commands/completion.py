"""twinsight completion: print a script for tab completion."""

from twinsight.completion.script import script
from twinsight.options.commands import Completion


def run(options: Completion) -> None:
    print(script(options.shell))
