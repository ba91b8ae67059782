"""Kills trainings at random moments, resumes them, and compares them with one that was left alone.

    python tests/soak/soak.py --kills 100 --seed 0

Every training is forked from this process, which has imported torch once. Prints what it did; exits with 1 if any run
came to other weights, lost or doubled a row of metrics.csv, ended with another code than it should, or left rubbish.
"""

import argparse
import errno
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from twinsight import cli
from twinsight.backbones import integrity
from twinsight.commands import pretrain, segment
from twinsight.training import export, last, segmenter

TRAININGS = {
    "segment": "segment --data.count 16 --data.val-count 4 --data.size 32 --augment.size 32 --backbone test_resnet "
    "--batch-size 4 --epochs 3 --keep 2 --ema 0.9 --head.dropout 0.5",
    "pretrain": "pretrain --data.count 16 --data.size 32 --method.views.size 32 --method.projector 8 8 "
    "--backbone test_vit --backbone.drop-path-rate 0.4 --batch-size 4 --epochs 3",
}
COMMON = "--workers 1 --log-every 1 --probe none --precision fp32 --checkpoint-minutes 0.0001 --accelerator cpu"
EXPORTS = {"segment": "model.safetensors", "pretrain": "backbone.safetensors"}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
HOW = ("once", "twice", "group", "then SIGKILL")
PLACES = ("while writing", "before the rename", "after the rename", "in a step", "in a validation", "in the export")
FULL = "full disk"
KEEP = 2
COMMANDS = segment, pretrain  # imported here, before all forks


@dataclass
class Plan:
    """How a training is to end. where: a place, or None for a random moment; count: at which of its times, from 1."""

    where: str | None
    number: int = signal.SIGKILL
    how: str = "once"
    count: int = 1
    share: float = 0.5


@dataclass
class Tally:
    kills: Counter = field(default_factory=Counter)
    ended: Counter = field(default_factory=Counter)
    resumes: int = 0
    faults: list[str] = field(default_factory=list)


def draw(rng: random.Random) -> Plan:
    where = rng.choice([None] * 5 + [*PLACES] + [FULL])
    return Plan(where, rng.choice(SIGNALS), rng.choice(HOW), rng.randint(1, 6), rng.random())


def shoot(pid: int, plan: Plan) -> None:
    """pid: of a process that leads its group."""
    send = os.killpg if plan.how == "group" else os.kill
    send(pid, plan.number)
    if plan.how in ("twice", "then SIGKILL"):
        time.sleep(0.02)
        os.kill(pid, signal.SIGKILL if plan.how == "then SIGKILL" else plan.number)


def patched(
    owner: Any, name: str, count: int, act: Callable[[], None], applies: Callable[..., bool], after: bool = False
):
    """Make the function act before (or after) the so manieth call that applies."""
    original, seen = getattr(owner, name), []

    def call(*args: Any, **kwargs: Any) -> Any:
        hit = applies(*args) and not seen.append(True) and len(seen) == count
        if hit and not after:
            act()
        result = original(*args, **kwargs)
        if hit and after:
            act()
        return result

    setattr(owner, name, call)


def prepare(plan: Plan) -> None:
    """In the child: what makes it end as planned where that is a place."""

    def act() -> None:
        shoot(os.getpid(), plan)
        time.sleep(0.05)

    def always(*_: Any) -> bool:
        return True

    def checkpoint(_: Any, target: Any) -> bool:
        return str(target).endswith(".ckpt")

    if plan.where == "while writing":
        patched(integrity, "digest", 2 * plan.count, act, always)
    elif plan.where == "before the rename":
        patched(os, "replace", plan.count, act, checkpoint)
    elif plan.where == "after the rename":
        patched(os, "replace", plan.count, act, checkpoint, after=True)
    elif plan.where == "in a step":
        patched(torch.Tensor, "backward", plan.count, act, always)
    elif plan.where == "in a validation":
        patched(segmenter.Segmenter, "validation_step", max(1, plan.count // 2), act, always)
    elif plan.where == "in the export":
        patched(export, "restore", 1, act, always, after=plan.count % 2 == 0)
    elif plan.where == FULL and plan.count % 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # tables fit, checkpoints do not
    elif plan.where == FULL:
        sync = os.fsync

        def fsync(number: int) -> None:
            if os.readlink(f"/proc/self/fd/{number}").endswith(".ckpt.tmp"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(number)

        os.fsync = fsync


def train(argv: list[str], log: Path, plan: Plan | None, span: float) -> tuple[int, float]:
    """Fork a training, end it as planned; its exit code (negative: killed by that signal) and its seconds from the
    first step on. span: how long these seconds are if nothing happens.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        with log.open("ab", buffering=0) as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        start = last.LastCheckpoint.on_train_start

        def on_train_start(self: Any, *args: Any) -> None:
            start(self, *args)
            os.write(writing, b"!")

        last.LastCheckpoint.on_train_start = on_train_start
        if plan is not None:
            prepare(plan)
        try:
            cli.main(argv)
        except SystemExit as done:
            os._exit(done.code if isinstance(done.code, int) else 1)
        finally:
            os._exit(99)  # a traceback
    os.close(writing)
    select.select([reading], [], [], 300)
    begun = time.monotonic()
    if plan is not None and plan.where is None:
        time.sleep(plan.share * span)
        shoot(pid, plan)
    status = os.waitpid(pid, 0)[1]
    os.close(reading)
    return os.waitstatus_to_exitcode(status), time.monotonic() - begun


def allowed(plan: Plan) -> set[int]:
    """Exit codes that a training ended so may have; 0 where the end came first."""
    if plan.where == FULL:
        return {0, 2}
    asked = {-plan.number} if plan.number == signal.SIGKILL else {128 + plan.number, -plan.number}
    return asked | ({-signal.SIGKILL} if plan.how == "then SIGKILL" else set()) | {0}


def differences(run: Path, whole: Path, exported: str) -> list[str]:
    found = []
    ours, theirs = (torch.load(folder / "checkpoints/last.ckpt", weights_only=True) for folder in (run, whole))
    for part in ("state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers"):
        if not same(ours.get(part), theirs.get(part)):
            found.append(f"{part} differs")
    for name in ("metrics.csv", exported):
        if (run / name).read_bytes() != (whole / name).read_bytes():
            found.append(f"{name} differs")
    best = len(list((run / "checkpoints").glob("best-*.ckpt")))
    if best > KEEP or best != len(list((whole / "checkpoints").glob("best-*.ckpt"))):
        found.append(f"{best} best checkpoints")
    found += [f"{file.name} is left" for file in run.rglob("*.tmp")]
    return found


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def soak(kills: int, seed: int, folder: Path, each: int = 4, plans: list[Plan] | None = None) -> Tally:
    """Kill `kills` times in all, a run at most `each` times; `plans`: what to do, instead of drawing it."""
    rng, tally = random.Random(seed), Tally()
    temporary = [folder / "temporary", Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))]
    temporary[0].mkdir()
    wholes, spans = {}, {}
    while sum(tally.kills.values()) < kills:
        trial = tally.ended["runs"]
        name = list(TRAININGS)[trial % 2] if plans is None else "segment"
        argv = TRAININGS[name].split() + COMMON.split()
        if name not in wholes:
            wholes[name] = folder / f"{name}-whole"
            code, spans[name] = train([*argv, "--run", str(wholes[name])], folder / f"{name}-whole.log", None, 0)
            if code:
                tally.faults.append(f"{name}: the run that is left alone ends with {code}")
                break
        run, log = folder / f"{name}-{trial}", folder / f"{name}-{trial}.log"
        os.environ["TMPDIR"] = str(temporary[trial % 2])
        planned = [draw(rng) for _ in range(min(each, kills - sum(tally.kills.values())))] if plans is None else plans
        for plan in [*planned, None]:
            if (run / "checkpoints/last.ckpt").is_file():
                command = [argv[0], "--resume", str(run), "--workers", str(rng.randint(0, 1))]
                tally.resumes += 1
            else:
                shutil.rmtree(run, ignore_errors=True)
                command = [*argv, "--run", str(run)]
            code, _ = train(command, log, plan, spans[name])
            if plan is not None:
                tally.kills[f"{plan.where or 'any moment'}"] += 1
                tally.ended[code] += 0
            if code not in (allowed(plan) if plan else {0}):
                tally.faults.append(f"{run.name}: {plan} ended with {code}")
        tally.ended["runs"] += 1
        tally.faults += [f"{run.name}: {what}" for what in differences(run, wholes[name], EXPORTS[name])]
        if not any(fault.startswith(f"{run.name}:") for fault in tally.faults):
            shutil.rmtree(run)
    left = [str(file) for place in temporary for file in place.rglob("*.ckpt*")]
    tally.faults += [f"{file}: is left in the temporary folder" for file in left]
    shutil.rmtree(temporary[1])
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to train; kept, unlike the default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    tally = soak(options.kills, options.seed, folder)
    print(f"{sum(tally.kills.values())} kills: " + ", ".join(f"{n} {what}" for what, n in tally.kills.most_common()))
    print(f"{tally.ended['runs']} runs, {tally.resumes} resumes, {time.monotonic() - begun:.0f} s, seed {options.seed}")
    print("\n".join(tally.faults) or "all came to the weights and metrics of the runs that were left alone, bit by bit")
    if options.folder is None:
        shutil.rmtree(folder)
    return bool(tally.faults)


if __name__ == "__main__":
    sys.exit(main())
