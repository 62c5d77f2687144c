"""Lines for systemd's journal with their fields, by its native protocol: one datagram an entry.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ (systemd 252). The few lines of it are here, as python-systemd and cysystemd
are built against headers of libsystemd, which a machine that runs us need not have.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SOCKET = Path("/run/systemd/journal/socket")
OWN = "MIRROR_SYNC_"  # how the names of our fields begin
MOST_FIELDS = 60
LONGEST_NAME = 64  # as journald has it
LONGEST_VALUE = 4000  # bytes; what is longer is cut: of more than 4096 `journalctl -o json` tells collectors null
LONGEST_TRACE = 16 << 10  # bytes of a traceback
LONGEST_ENTRY = 128 << 10  # bytes; more than that no socket of usual settings takes as one datagram
_CUT = "\N{HORIZONTAL ELLIPSIS}"
_TRACE = f"{OWN}EXCEPTION"
_NO_NAME = re.compile(r"[^A-Z0-9_]")
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class JournalLine(str):
    """A line as it is written where there is no journal; `entry` is the same with its fields."""

    __slots__ = ("entry",)
    entry: bytes

    @classmethod
    def of(cls, line: str, message: str, level: str, event: str, fields: Mapping[str, Any]) -> JournalLine:
        """`line` begins with its priority, for a stream; `message` is what a person reads in the journal."""
        made = cls(line)
        made.entry = encode_entry(message, level, event, fields)
        return made


def encode_entry(message: str, level: str, event: str, fields: Mapping[str, Any]) -> bytes:
    """A datagram; what would make it too long is left out, from the last field on."""
    parts = [
        _field("MESSAGE", message),
        _field("PRIORITY", str(_PRIORITIES.get(level, 6))),
        _field("SYSLOG_IDENTIFIER", "mirror-sync"),
        _field(f"{OWN}EVENT", event),
    ]
    size = sum(map(len, parts))
    for name, text in _texts(fields):
        part = _field(name, text)
        size += len(part)
        if size > LONGEST_ENTRY or len(parts) >= MOST_FIELDS:
            break
        parts.append(part)
    return b"".join(parts)


def _texts(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if value is None:
            continue
        text = ",".join(map(str, value)) if isinstance(value, list) else value
        text = str(text).lower() if isinstance(text, bool) else str(text)
        yield (OWN + _NO_NAME.sub("_", name.upper()))[:LONGEST_NAME], text


def _field(name: str, text: str) -> bytes:
    """A value of several lines has its length before it, in 64 bits, the least first."""
    value, most = text.encode("utf-8", "replace"), LONGEST_TRACE if name == _TRACE else LONGEST_VALUE
    if len(value) > most:
        value = value[: most - len(_CUT.encode())].decode("utf-8", "ignore").encode() + _CUT.encode()
    if b"\n" in value:
        return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)
    return b"%s=%s\n" % (name.encode(), value)


class Journal:
    """Where entries go. Safe for many threads; nobody waits for a journal that is slow."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path, self._lock = str(path), threading.Lock()
        self._socket: socket.socket | None = None

    def send(self, entry: bytes) -> bool:
        """Whether the journal took it; else it has to be said elsewhere."""
        with self._lock:
            try:
                if self._socket is None:
                    self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                    self._socket.setblocking(False)
                self._socket.sendto(entry, self._path)
            except OSError:
                return False
            return True
