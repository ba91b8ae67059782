"""Data loading processes: how many, how each starts, and how they end with their trainer."""

import atexit
import multiprocessing
import os
import signal
import sys

import cv2

from twinsight.errors import UserError


def start_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the workers are the parallelism; torch limits itself likewise
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):  # not all of them on Windows
            # Signals to the whole process group are for the trainer, which saves first. It kills its workers when it
            # exits; and torch's workers check every five seconds whether their parent is alive.
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def kill_workers() -> None:
    """Kill the daemon processes started by this one that still run.

    At exit, Python only sends them SIGTERM and then waits: forever, if they ignore it.
    """
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if workers and sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler raises an error for killed workers
    for worker in workers:
        worker.kill()


def kill_workers_at_exit() -> None:
    """Registers once per process, however often it is called."""
    atexit.unregister(kill_workers)
    atexit.register(kill_workers)  # last registered runs first: before multiprocessing waits


def choose_workers(requested: int | None = None, processes: int = 1, gpu: bool = False) -> int:
    """How many workers load data for each of `processes` trainers on this machine.

    By default one per core, at most 8; a trainer without a GPU (`gpu`) keeps one core for itself.
    Raises UserError if `requested` is negative or gives more than 4 workers per core.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    default = min(cores // processes - (not gpu), 8)
    if requested is None:
        return max(default, 0)
    if not 0 <= requested * processes <= 4 * cores:
        raise UserError(
            f"--workers {requested}: must be from 0 to {4 * cores // processes}, at most 4 per core; "
            f"leave it out for {max(default, 0)}"
        )
    return requested
