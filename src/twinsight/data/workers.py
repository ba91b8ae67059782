"""The processes that load data: how many, how each begins, and that none outlives its trainer."""

import atexit
import multiprocessing
import os
import signal
import sys

import cv2

from twinsight.errors import UserError


def start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # as torch does for itself: the workers are the parallelism
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):  # not all of them on Windows
            # Sent to the whole group, they are the trainer's to handle: it saves first. Workers end with it: it kills
            # them at its exit, and torch's own look every five seconds whether their parent lives.
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def kill_workers() -> None:
    """Kill the daemon processes that this one has started and that still run.

    At its exit Python only asks them, by SIGTERM, and then waits for them: forever if they ignore it.
    """
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if workers and sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's raises an error for a worker that was killed
    for worker in workers:
        worker.kill()


def kill_workers_at_exit() -> None:
    """Once per process, however often it is called."""
    atexit.unregister(kill_workers)
    atexit.register(kill_workers)  # the last registered runs first: before multiprocessing waits


def choose_workers(requested: int | None = None, processes: int = 1, gpu: bool = False) -> int:
    """How many workers load data for each of `processes` trainers on this machine.

    By default one per core, at most 8; a trainer that does not compute on a GPU (`gpu`) keeps a core for itself.
    Raises UserError if `requested` is negative or makes more than 4 workers a core.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    default = min(cores // processes - (not gpu), 8)
    if requested is None:
        return max(default, 0)
    if not 0 <= requested * processes <= 4 * cores:
        raise UserError(
            f"--workers: {requested} is not within 0 to {4 * cores // processes}, what {cores} cores can serve; "
            f"leave it out for {max(default, 0)}"
        )
    return requested
