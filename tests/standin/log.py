"""What was asked: one record a request, written before its answer leaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from .answer import Answer, Origin, Request


@dataclass(frozen=True)
class Record:
    """One request and what became of it."""

    request: Request
    status: int
    """0 when the connection was dropped instead of answered."""
    time: float
    """Seconds since 1970."""
    sent: int = 0
    """Body bytes given to the socket so far."""

    @property
    def origin(self) -> Origin:
        """Where it was asked: hub or cdn."""
        return self.request.origin

    @property
    def method(self) -> str:
        """GET, HEAD or POST."""
        return self.request.method

    @property
    def path(self) -> str:
        """The path, percent-encoded as it came."""
        return self.request.path

    @property
    def query(self) -> str:
        """The query, as it came."""
        return self.request.query_text

    @property
    def range(self) -> str | None:
        """The Range header."""
        return self.request.headers.get("range")

    @property
    def had_authorization(self) -> bool:
        """Whether a token came along."""
        return "authorization" in self.request.headers

    @property
    def user_agent(self) -> str:
        """The User-Agent header."""
        return self.request.headers.get("user-agent", "")

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain values, the token left out."""
        names = (
            "origin",
            "method",
            "path",
            "query",
            "status",
            "sent",
            "range",
            "had_authorization",
            "user_agent",
            "time",
        )
        return {name: getattr(self, name) for name in names}


class Log:
    """All records, oldest first. Safe to read while requests are answered."""

    def __init__(self) -> None:
        self._records: dict[int, Record] = {}
        self._next = 0
        self._lock = threading.Lock()

    def open(self, request: Request, answer: Answer, now: float) -> int:
        """Record a request whose answer is about to leave, and return the record's number."""
        with self._lock:
            self._next += 1
            self._records[self._next] = Record(request, 0 if answer.delivery.drop else answer.status, now)
            return self._next

    def add_sent(self, number: int, count: int) -> None:
        """Add ``count`` body bytes to a record; nothing happens when it was cleared."""
        with self._lock:
            record = self._records.get(number)
            if record is not None:
                self._records[number] = replace(record, sent=record.sent + count)

    def records(self, pattern: str = "*", origin: Origin | None = None) -> list[Record]:
        """Return the records that fit ``"METHOD /path/*"``; see `Request.fits`."""
        with self._lock:
            known = list(self._records.values())
        return [record for record in known if origin in {None, record.origin} and record.request.fits(pattern)]

    def clear(self) -> None:
        """Forget all records."""
        with self._lock:
            self._records.clear()

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records())

    def __len__(self) -> int:
        return len(self._records)
