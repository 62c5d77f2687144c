"""`serve` in several processes that listen at one address, between which the kernel deals connections out.

Each has a socket of its own (SO_REUSEPORT, socket(7)), which the first process keeps open as well: of one that dies no
connection that waits is lost, since another takes its socket over.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from mirror_sync.logger import Logger

_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_ORDERS = frozenset({signal.SIGTERM, signal.SIGINT})
_PR_SET_PDEATHSIG = 1
_SOON = 1.0  # seconds that one has to live for the next to be begun at once
_log = Logger()


Listeners = tuple[socket.socket, ...]
"""Those of one process, each at an address of its own."""


def serve_in_processes(listeners: Sequence[Listeners], serve: Callable[[Listeners], None]) -> None:
    """Have each of these served by a process of its own until SIGTERM or SIGINT, and return when all have ended.

    Call it in the main thread, before any other thread runs: processes are forked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    running: dict[int, tuple[Listeners, float]] = {}
    try:
        for listener in listeners:
            running[_begin(listener, listeners, serve, before)] = listener, time.monotonic()
        while signal.sigwait(_SIGNALS) not in _ORDERS:
            for died in _ended(running):
                listener, began = running.pop(died)
                _log.error("serve.process-ended", reason="a process that serves has ended; another takes its place")
                time.sleep(max(0.0, _SOON - (time.monotonic() - began)))
                running[_begin(listener, listeners, serve, before)] = listener, time.monotonic()
    finally:
        for process in running:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        for process in running:
            os.waitpid(process, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(
    own: Listeners,
    listeners: Sequence[Listeners],
    serve: Callable[[Listeners], None],
    mask: set[int | signal.Signals],
) -> int:
    """The id of a new process that serves its own listener, and ends with this one."""
    parent = os.getpid()
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for other in listeners:
                for listener in other if other is not own else ():
                    listener.close()
            serve(own)
            status = 0
    except BaseException:
        logging.getLogger(__name__).exception("a process of serve has failed")
    finally:
        os._exit(status)


def _ended(running: dict[int, tuple[Listeners, float]]) -> list[int]:
    """Those that are over; several may be for one signal."""
    return [process for process in running if os.waitpid(process, os.WNOHANG)[0] == process]
