"""Words to systemd, by sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

_MICROSECONDS = 1_000_000


class Notifier:
    """Tells the service manager how we are; does nothing where there is none. Never raises."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # an abstract socket is written with @ and begins with a zero byte
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = _watchdog_seconds(environ)

    @property
    def beat(self) -> float | None:
        """Seconds between two signs of life: half of what the watchdog allows. None when nobody watches."""
        return None if self._watchdog is None else self._watchdog / 2

    def ready(self, status: str) -> None:
        """Say that the start, or a reload, has come to its end."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that jobs.yaml is read again; `ready` has to follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Say that the daemon ends."""
        self._send("STOPPING=1", "STATUS=finishing cleanly")

    def alive(self) -> None:
        """Keep the watchdog quiet until its next time."""
        self._send("WATCHDOG=1")

    def status(self, status: str) -> None:
        """Say in one line what goes on, for `systemctl status`."""
        self._send(f"STATUS={status}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
            datagrams.setblocking(False)
            datagrams.sendto("\n".join(lines).encode(), self._address)


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """sd_watchdog_enabled(3): WATCHDOG_PID, where it is set, must be us."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / _MICROSECONDS if microseconds > 0 else None
