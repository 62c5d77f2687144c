"""How the front does, as the daemon finds it: nginx's log, counted as it grows, and what a front says of itself.

Counting begins at the end of the log, each time the daemon starts: what was answered before is counted nowhere, rather
than as if it had been answered now. A log that is moved away is read to its end, also by those who still write to it.
"""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mirror_sync.domain.outcome.front_counts import FrontCounts, FrontFigures, FrontHours
from mirror_sync.domain.url import own_address
from mirror_sync.front.protocols.access_log import count_line
from mirror_sync.logger import Logger
from mirror_sync.observe.metrics.front_families import read_front
from mirror_sync.owners import cause
from mirror_sync.state.traffic_file import keep_front, kept_front

if TYPE_CHECKING:
    from mirror_sync.config.keys.values.address_values import Listen
    from mirror_sync.config.settings import Settings

LOOK = 5.0  # seconds between two looks
KEEP = 60.0  # seconds after which what was counted is kept for the catalogue
PATIENCE = 2.0  # seconds for an answer
LARGEST = 1 << 20  # bytes of such an answer
LONGEST_LINE = 256 << 10  # bytes; nginx takes heads of 128 KiB
_PIECE = 1 << 20  # bytes that are read at once
_PIECES = 16  # of these at one look: 16 MB, 50,000 lines or so
_STUB = re.compile(r"Active connections: \d+ .*?Writing: (\d+) ", re.DOTALL)

_log = Logger()


class FollowedLog:
    """A log that grows, from its present end on; of one thread. `gaps` counts what was lost, `unread` odd lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[_OpenLog] = []
        self.gaps = self.unread = 0
        self._begun = False

    def count(self, counts: FrontCounts) -> None:
        """Add what came since the last time. OSError when there is no such log, or it may not be read."""
        moved = not self._files or not self._files[-1].is_at(self._path)
        for file in self._files:
            self._read(file, counts)
        if moved:
            self._open()
            self._read(self._files[-1], counts)
        self._begun = True

    def close(self) -> None:
        """Forget it."""
        for file in self._files:
            file.close()
        self._files.clear()

    def _open(self) -> None:
        """The log that is there now, beside the one before it: workers that have yet to end still write to that."""
        try:
            found = _OpenLog(self._path, from_end=not self._begun)
        except FileNotFoundError:
            self._begun = True  # all that one will hold is new
            raise
        for old in self._files[:-1]:
            old.close()
        self._files = [*self._files[-1:], found]

    def _read(self, file: _OpenLog, counts: FrontCounts) -> None:
        if file.was_cut():
            self.gaps += 1  # copied and emptied: what was written in between is in neither
        for line in file.lines():
            try:
                count_line(counts, line)
            except ValueError:
                self.unread += 1


class _OpenLog:
    def __init__(self, path: Path, *, from_end: bool) -> None:
        self._file: IO[bytes] = path.open("rb", buffering=0)
        self._begun = b""  # a line that is not whole yet
        self._skips = False  # the rest of one that is too long
        if from_end:
            end = self._file.seek(0, os.SEEK_END)
            if end:
                self._file.seek(end - 1)
                self._skips = self._file.read(1) != b"\n"

    def is_at(self, path: Path) -> bool:
        """Whether the path still leads to it."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return True  # moved away, and no new one yet

    def was_cut(self) -> bool:
        """Whether it is shorter than what was read of it; it is read from its beginning then."""
        if os.fstat(self._file.fileno()).st_size >= self._file.tell():
            return False
        self._file.seek(0)
        self._begun, self._skips = b"", False
        return True

    def lines(self) -> list[bytes]:
        """Whole lines that came; of a bounded number of bytes, the rest the next time."""
        found: list[bytes] = []
        for _ in range(_PIECES):
            piece = self._file.read(_PIECE)
            if not piece:
                break
            *whole, rest = (self._begun + piece).split(b"\n")
            if self._skips and whole:
                whole, self._skips = whole[1:], False
            found += whole
            self._begun = b"" if self._skips else rest
            if len(self._begun) > LONGEST_LINE:
                self._begun, self._skips = b"", True
        return found

    def close(self) -> None:
        self._file.close()


class FrontWatch:
    """Looks every few seconds. `figures` are the last ones: of a front that nobody watches, none."""

    def __init__(
        self,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stop, self._clock, self._now = stop, clock, now
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._followed: FollowedLog | None = None
        self._counts = FrontCounts()
        self._told: FrontCounts | None = None
        self._hours = FrontHours()
        self._looked = self._kept = 0.0
        self._reasons: dict[str, str] = {}
        self.figures = FrontFigures()

    def take(self, settings: Settings) -> None:
        """From now on the front of these settings is watched; counts go on while its log is the same."""
        with self._lock:
            before, self._settings = self._settings, settings
            watch = settings.front.watch
            if before is not None and before.front.watch == watch:
                return
            if self._followed is not None:
                self._followed.close()
            self._followed = None if watch.log is None else FollowedLog(Path(watch.log))
            self._reasons, self.figures, self._told = {}, FrontFigures(), None
            self._hours = kept_front(settings.state_dir)
            self._looked = self._kept = self._clock()
            if self._followed is not None:
                self._count(self._followed, FrontCounts())  # the log's end, where counting begins

    def keep_looking(self) -> None:
        """Until the daemon stops."""
        while not self._stop.wait(LOOK):
            self.look()
        self.look(last=True)

    def look(self, *, last: bool = False) -> None:
        """Once: count what came, and keep it for the catalogue now and then. Whatever fails is told, once."""
        with self._lock:
            settings = self._settings
            if settings is None or not (settings.front.watch.log or settings.front.watch.listen):
                return
            try:
                self._look(settings, last=last)
            except Exception as error:  # who watches must not stop what is watched
                self._tell("front", f"{type(error).__name__}: {error}")

    def _look(self, settings: Settings, *, last: bool) -> None:
        listen, came, counted = settings.front.watch.listen, FrontCounts(), False
        said = None if listen is None else self._ask(listen)
        if self._followed is not None:
            counted = self._count(self._followed, came)
            self._counts.add_all(came)
        elif said is not None and said.counts is not None:
            came, self._told = said.counts.since(self._told or said.counts), said.counts
            counted = True
        moment = self._clock()
        if counted:
            self._hours.add(self._now(), moment - self._looked, came)
        self._looked = moment
        self.figures = FrontFigures(
            None if self._followed is None else self._counts,
            # those of `serve` are for Prometheus to read where they are
            None if said is None or said.counts is not None else said.transfers,
            None if said is None or said.counts is not None else said.limit,
            not any(self._reasons.values()),
            None if self._followed is None else self._followed.gaps,
            None if self._followed is None else self._followed.unread,
        )
        if last or moment - self._kept >= KEEP:
            self._kept = moment
            keep_front(settings.state_dir, self._hours)

    def _count(self, followed: FollowedLog, came: FrontCounts) -> bool:
        try:
            followed.count(came)
        except OSError as error:
            self._tell("log", cause(error, Path(error.filename or "")))
            return False
        self._tell("log", "")
        return True

    def _ask(self, listen: Listen) -> FrontFigures | None:
        try:
            found = ask_front(own_address(listen.host), listen.port)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._tell("listen", f"{listen.host}:{listen.port}: {error}")
            return None
        self._tell("listen", "")
        return found

    def _tell(self, what: str, reason: str) -> None:
        """When it begins."""
        if reason and not self._reasons.get(what):
            _log.warning("front.unwatched", what=f"front.watch.{what}", reason=reason)
        self._reasons[what] = reason


def ask_front(host: str, port: int) -> FrontFigures:
    """What a `serve`, or an nginx, says of itself. OSError, HTTPException; ValueError when it is neither."""
    status, text = _get(host, port, "/metrics")
    if status == http.client.OK:
        return read_front(text)
    (status, text), (_, each) = _get(host, port, "/stub_status"), _get(host, port, "/limit")
    found = _STUB.search(text)
    if status != http.client.OK or found is None or not each.strip().isdigit():
        raise ValueError(f"HTTP {status}: neither serve nor the nginx of `front nginx` answers there")
    # each of nginx's workers, one a processor, holds so many; and this question is one
    return FrontFigures(transfers=float(int(found[1]) - 1), limit=float(int(each) * (os.cpu_count() or 1)))


def _get(host: str, port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(LARGEST + 1)
    finally:
        with suppress(OSError):
            connection.close()
    if len(body) > LARGEST:
        raise ValueError(f"{path} is more than {LARGEST} bytes")
    return answer.status, body.decode("utf-8", "replace")
