"""Free ports of the loopback interface."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from itertools import count

LOOPBACK = "127.0.0.1"
_FIRST, _SHARES, _SHARE = 15_000, 17, 1_000
"""Below what the kernel gives to connections, from 32,768 on: there a busy machine takes what was free just now."""


def free_port() -> int:
    """A port nobody listens on now, and no other worker of this run is given: start your server at once."""
    return free_ports(1)[0]


def free_ports(number: int) -> list[int]:
    """As many ports, no two the same."""
    found: list[int] = []
    while len(found) < number:
        port = next(_NEXT)
        if _is_free(port):
            found.append(port)
    return found


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Does something accept connections on this port?"""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _candidates() -> Iterator[int]:
    """The ports of one share, round and round: that of the worker, by its name `gw7`, else one by the process's id.

    It begins anywhere, so that another run on this machine is rarely at the same place.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    share = (int(worker) if worker.isdecimal() else os.getpid()) % _SHARES
    begin = int.from_bytes(os.urandom(2)) % _SHARE
    return (_FIRST + share * _SHARE + (begin + step) % _SHARE for step in count())


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        try:
            one.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


_NEXT = _candidates()
