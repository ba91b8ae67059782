import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from twinsight.data.loader import Views, train_loader
from twinsight.data.shapes import Shapes
from twinsight.data.views import two_views
from twinsight.training import signals
from twinsight.training.signals import ASKING, Signals, Stopped


@pytest.mark.parametrize("number", ASKING)
def test_waits_until_it_is_sound(number):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("started by nohup, whose wish is respected")
    with Signals() as asked:
        signal.raise_signal(number)
        assert asked.number == number
        asked.check()
        asked.sound = True
        with pytest.raises(Stopped):
            asked.check()
        asked.check()  # said once


def test_stops_at_once_where_it_is_sound():
    def work():
        asked.sound = True
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("went on")

    with Signals() as asked, pytest.raises(Stopped):
        work()


@pytest.mark.parametrize("second", ASKING)
def test_a_signal_to_process_and_group_is_one(second):
    with Signals() as asked:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(second)
        assert asked.number == signal.SIGTERM


def test_ctrl_c_again_stops_at_once(monkeypatch):
    monkeypatch.setattr(signals, "SAME", 0.0)
    with Signals():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # a batch system repeats itself: the saving goes on
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as asked:
            signal.raise_signal(signal.SIGHUP)
            asked.take()
            signal.raise_signal(signal.SIGHUP)
            assert asked.number is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
def test_workers_leave_signals_to_their_parent_and_end_with_it(tmp_path):
    script = """
import sys, time
import multiprocessing
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_signals import loader
if __name__ == "__main__":
    for _ in loader(2):
        Path(sys.argv[1]).write_text(" ".join(str(child.pid) for child in multiprocessing.active_children()))
        time.sleep(600)
"""
    file = tmp_path / "pids"
    process = subprocess.Popen([sys.executable, "-c", script, str(file), os.path.dirname(__file__)])
    try:
        workers = wait(lambda: file.is_file() and [int(pid) for pid in file.read_text().split()], 120)
        assert len(workers) == 2
        for number in ASKING:
            for worker in workers:
                os.kill(worker, number)
        time.sleep(0.3)
        assert all(alive(worker) for worker in workers)
    finally:
        process.kill()
        process.wait()
    assert wait(lambda: not any(alive(worker) for worker in workers), 30)


def loader(workers: int):
    torch.set_num_threads(1)
    return train_loader(Views(Shapes(count=64, size=16), two_views(size=16)), 2, workers)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait(condition, seconds: float):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found
