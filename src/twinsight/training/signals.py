"""Signals that end a training once it has been saved."""

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from twinsight.console import RANK

ASKING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))
"""Ctrl-C; `kill`, `timeout` and batch systems; a terminal that closes; a batch system's warning ahead of the end."""

SAME = 1.0
"""Seconds within which a signal that comes twice, to a process and to its group, is one wish."""


class Stopped(BaseException):
    """Raised where a training can be cut off; what it had come to is saved on the way out.

    No `Exception`, so that what only looks on (a probe, a logger) does not swallow it.
    """


class Signals:
    """While this lasts, a signal of `ASKING` stops the training: at once where that is sound, else at its next chance.

    number: the signal that came, None so far. sound: whether all that a checkpoint holds is that of the last update, or
    can be brought back to it, so that `Stopped` may be raised anywhere; set by who knows. A second Ctrl-C raises
    KeyboardInterrupt wherever it strikes. What was ignored from the start, as `nohup` has it, stays ignored.
    """

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self.sound = False
        self.came_at = 0.0
        self.previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        heard = threading.current_thread() is threading.main_thread()  # Python gives no other thread its signals
        asked = [number for number in ASKING if heard and signal.getsignal(number) is not signal.SIG_IGN]
        self.previous = {number: signal.getsignal(number) for number in asked}
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def take(self) -> None:
        """Again, where somebody else has taken them since: Lightning takes SIGTERM when a training starts."""
        for number in self.previous:
            signal.signal(number, self.receive)

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        now = time.monotonic()
        if self.number is None:
            self.number, self.came_at = signal.Signals(number), now
            say(f"\n{self.number.name}: saving, then stopping (Ctrl-C again: stop without saving)\n")
            self.check()
        elif number == signal.SIGINT and now - self.came_at > SAME:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises Stopped if a signal came and this is a place to stop at."""
        if self.number is not None and self.sound:
            self.sound = False
            raise Stopped


def say(text: str) -> None:
    """On stderr, past Python's buffer, which the signal may have struck in the middle of a line."""
    if RANK == 0:
        os.write(2, text.encode())
