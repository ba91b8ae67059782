"""twinsight as it runs on Windows or macOS, as far as Linux can imitate them.

`python another_system.py windows|darwin|here COMMAND, COMMAND, ...` runs commands of twinsight in one process; `import`
imports all its modules, `import NAME` one. Modules and names that the system lacks are hidden from twinsight, not from
the libraries. Workers are spawned, text files have no default encoding, and for Windows a path is neither renamed over
an existing one nor moved or removed while a file in it is open.
"""

import builtins
import importlib
import multiprocessing
import os
import pkgutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil

MODULES = {
    "darwin": {"winreg", "winsound", "msvcrt"},
    "windows": {"curses", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"},
}
NAMES = {
    "darwin": {
        "os": {"memfd_create", "posix_fadvise", "posix_fallocate", "sched_getaffinity", "sched_setaffinity"},
        "signal": {"SIGPWR", "SIGRTMIN", "SIGRTMAX", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo"},
    },
    "windows": {
        "os": {
            "WNOHANG", "chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getloadavg",
            "getpgid", "getpgrp", "getpriority", "getsid", "getuid", "initgroups", "killpg", "memfd_create", "mkfifo",
            "mknod", "nice", "openpty", "pathconf", "posix_fadvise", "posix_fallocate", "posix_spawn", "pread",
            "preadv", "pwrite", "sched_getaffinity", "sched_setaffinity", "sched_yield", "sendfile", "setgid",
            "setpgid", "setpriority", "setsid", "setuid", "statvfs", "sync", "sysconf", "ttyname", "uname", "wait",
            "wait4",
        },
        "signal": {
            "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1",
            "SIGUSR2", "SIGWINCH", "alarm", "getitimer", "pause", "pthread_kill", "pthread_sigmask", "setitimer",
            "siginterrupt", "sigpending", "sigtimedwait", "sigwait", "sigwaitinfo",
        },
    },
}  # fmt: skip
VALUES = {"darwin": {"sys": {"platform": "darwin"}}, "windows": {"sys": {"platform": "win32"}, "os": {"name": "nt"}}}


class Partial(ModuleType):
    """A module as another system has it."""

    def __init__(self, module: ModuleType, missing: set[str], values: dict[str, str]):
        super().__init__(module.__name__)
        self.__dict__.update({"_module": module, "_missing": missing, **values})

    def __getattr__(self, name: str) -> Any:
        if name in self._missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on this system")
        return getattr(self._module, name)


def hide(system: str) -> None:
    """From modules of twinsight, and from them alone: the libraries are those of Linux."""
    real = builtins.__import__
    partial = {
        name: Partial(module, NAMES[system].get(name, set()), VALUES[system].get(name, {}))
        for name, module in (("os", os), ("signal", signal), ("sys", sys))
    }

    def look_up(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> ModuleType:
        found = str((globals or {}).get("__name__")).startswith("twinsight")
        if found and name.partition(".")[0] in MODULES[system]:
            raise ModuleNotFoundError(f"No module named {name!r} on this system")
        return (found and partial.get(name)) or real(name, globals, locals, fromlist, level)

    builtins.__import__ = look_up


def busy(path: Any) -> bool:
    """Whether this process or a child has a file open at the path or below it, as Windows minds."""
    place = os.path.realpath(path)
    opened = [os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()]
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    opened += [line.split(maxsplit=5)[5] for line in maps if "/" in line]
    return any(file == place or file.startswith(f"{place}{os.sep}") for file in opened)


def strict(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that moves or removes a path, as it is on Windows for paths in the working directory."""

    def moved(path: Any, *to: Any, **more: Any) -> Any:
        if not isinstance(path, int) and Path.cwd() in Path(os.path.abspath(path)).parents and "dir_fd" not in more:
            if busy(path):
                raise PermissionError(13, "The process cannot access the file because it is being used", str(path))
            if to and os.path.exists(to[0]) and (function.__name__ == "rename" or os.path.isdir(to[0])):
                raise FileExistsError(17, "Cannot create a file when that file already exists", str(to[0]))
        return function(path, *to, **more)

    return moved


def behave_as_windows() -> None:
    for name in ("rename", "replace", "remove", "unlink", "rmdir"):
        setattr(os, name, strict(getattr(os, name)))
    psutil.Process.memory_info = lambda _: SimpleNamespace(peak_wset=2**30)  # the name is Windows' own


def import_all() -> None:
    import twinsight

    for module in pkgutil.walk_packages(twinsight.__path__, "twinsight."):
        if module.name != "twinsight.__main__":
            importlib.import_module(module.name)


def run(command: str) -> None:
    print(">", ascii(command), flush=True)
    word, *names = command.split()
    if word == "import":
        for name in names:
            importlib.import_module(name)
        if not names:
            import_all()
        return
    from twinsight.cli import main

    try:
        main(command.split())
    except SystemExit as end:
        if end.code:
            raise


# Spawned workers come past here as well.
warnings.filterwarnings("error", category=EncodingWarning, module="twinsight")
multiprocessing.set_start_method("spawn", force=True)
if sys.argv[1] in MODULES:
    hide(sys.argv[1])
if sys.argv[1] == "windows":
    behave_as_windows()

if __name__ == "__main__":
    for command in " ".join(sys.argv[2:]).split(","):
        run(command)
