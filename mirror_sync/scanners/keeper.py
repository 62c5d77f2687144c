"""Runs a program, and ends with it whatever it has started: also what has left its process group and its session.

    python -I -S keeper.py PID WORD...

Started by process PID, and by itself: nothing of the package is imported. What a program leaves behind becomes a child
of this process (PR_SET_CHILD_SUBREAPER, prctl(2)), which kills its children until there are none. It ends as the
program did, by its status or its signal; on SIGTERM, and when PID dies, at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress

_PDEATHSIG, _SUBREAPER = 1, 36  # of prctl
_LONGEST = 10.0  # seconds in which what was killed is waited for
_CANNOT_RUN = 127


class _Ended(BaseException):
    """Whoever started us wants it to end."""


def end_with_parent(parent: int, by: signal.Signals) -> bool:
    """Be sent a signal when the thread that has started us ends, of process `parent`; False where it has already."""
    _prctl(_PDEATHSIG, by)
    return os.getppid() == parent


def main(parent: int, words: list[str]) -> int:
    """Returns the exit status of the program, negative for a signal."""
    _prctl(_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, _end)
    try:
        if not end_with_parent(parent, signal.SIGTERM):
            return -signal.SIGTERM
        program = os.fork()
        if program == 0:
            _become(words)
        while True:
            child, status = os.waitpid(-1, 0)
            if child == program:
                return os.waitstatus_to_exitcode(status)
    except _Ended:
        return -signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end_children()


def _become(words: list[str]) -> None:
    """In the child: the program itself, in a session of its own, so that its signals to all do not reach us."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        os.execvp(words[0], words)  # noqa: S606  without a shell: that is the point
    except OSError as error:
        os.write(2, f"{words[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(_CANNOT_RUN)


def _end_children() -> None:
    """Who is killed leaves its own children to us, so that in the end there are none."""
    end = time.monotonic() + _LONGEST
    while time.monotonic() < end:
        for child in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _children() -> list[int]:
    """All processes whose parent is this one; field 4 of /proc/PID/stat, after a name that may hold anything."""
    found, mine = [], str(os.getpid())
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208  nothing but the names is wanted
        with suppress(OSError):
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                state = file.read().rpartition(")")[2].split()
            if state[1] == mine:
                found.append(int(name))
    return found


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def _end(_number: int, _frame: object) -> None:
    raise _Ended


if __name__ == "__main__":
    outcome = main(int(sys.argv[1]), sys.argv[2:])
    if outcome < 0:
        with suppress(OSError, ValueError):
            signal.signal(-outcome, signal.SIG_DFL)
        os.kill(os.getpid(), -outcome)
    os._exit(outcome if outcome >= 0 else _CANNOT_RUN)
