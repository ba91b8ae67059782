"""Signals that end a training after saving it."""

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from twinsight.console import RANK

ASKING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))
"""Ctrl-C; `kill`, `timeout` and batch systems; a closing terminal; a batch system's warning before the time limit."""

SAME = 1.0
"""Seconds within which a repeated signal, sent to both a process and its group, counts as one."""


class Stopped(BaseException):
    """Raised to stop a training, whose state is then saved.

    Not an `Exception`, so that probes and loggers do not swallow it.
    """


class Signals:
    """Inside, a signal of `ASKING` stops the training: at once if that is safe, else at the next opportunity.

    number: the signal received, or None. sound: whether the training's state is that of the last update, or can be
    restored to it, so that `Stopped` may be raised anywhere; set by the callbacks. A second Ctrl-C raises
    KeyboardInterrupt at once. Signals ignored from the start, as with `nohup`, stay ignored.
    """

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self.sound = False
        self.came_at = 0.0
        self.previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        heard = threading.current_thread() is threading.main_thread()  # Python delivers signals to this thread only
        asked = [number for number in ASKING if heard and signal.getsignal(number) is not signal.SIG_IGN]
        self.previous = {number: signal.getsignal(number) for number in asked}
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def take(self) -> None:
        """Install the handlers, again if they were replaced: Lightning takes SIGTERM when a training starts."""
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
        """Raises Stopped if a signal came and stopping here is safe."""
        if self.number is not None and self.sound:
            self.sound = False
            raise Stopped


def say(text: str) -> None:
    """Write to stderr directly, since the signal may have interrupted a write to Python's buffer."""
    if RANK == 0:
        os.write(2, text.encode())
