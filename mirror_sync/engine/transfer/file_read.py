"""Reads one file of a source, whole or by ranges, and tells how many bytes came."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.outcome.events import BytesFetched, PartsFound
from mirror_sync.domain.outcome.report import RepoReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.errors import IntegrityError
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Bytes

_READ = 1024 * 1024  # bytes between two checks of the stop event


@dataclass(slots=True)
class ByteCount:
    """What one repo moved and was stored; counted by many threads.

    `commit` is the one that is being brought, None before that is known; `resumed_bytes` were there of an earlier run.
    """

    commit: CommitId | None = None
    fetched_files: int = 0
    fetched_bytes: int = 0
    resumed_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, files: int, fetched: int, resumed: int) -> None:
        with self._lock:
            self.fetched_files += files
            self.fetched_bytes += fetched
            self.resumed_bytes += resumed

    def take(self, report: RepoReport) -> RepoReport:
        """Count what somebody else moved."""
        self.add(report.fetched_files, report.fetched_bytes, report.resumed_bytes)
        return report


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """Where a file comes from, in which run, and where is counted what of it was stored."""

    run: str
    source: Bytes
    repo: Repo
    commit: CommitId
    tally: ByteCount = field(default_factory=ByteCount, repr=False, compare=False)


class FileRead:
    """Reads ranges of one file, tells how many bytes came, and takes them back when the attempt fails."""

    def __init__(self, context: RunContext, origin: FileOrigin, file: RemoteFile) -> None:
        self.file = file
        self._context, self._origin = context, origin
        self._count = self._found = 0
        self._lock = threading.Lock()

    def range_into(self, body: memoryview, start: int) -> None:
        """Fill `body` with the file's bytes from `start`."""
        origin, stop = self._origin, start + len(body)
        whole = start == 0 and stop == self.file.size
        with origin.source.fetch(origin.repo, origin.commit, self.file, start, None if whole else stop) as stream:
            self._fill(body, stream)

    def _fill(self, body: memoryview, stream: ByteStream) -> None:
        at = 0
        while at < len(body):
            if at:  # whoever begins a read has looked
                self._context.go_on()
            count = stream.readinto(body[at : at + _READ])
            if not count:
                raise IntegrityError(self.file.path, f"{self.file.size} bytes", "fewer")
            at += count
            self._tell(count)

    def _tell(self, count: int) -> None:
        with self._lock:
            self._count += count
        self._context.tell(BytesFetched(self._origin.run, self._origin.repo, self.file.path, count))

    def go_on(self) -> None:
        """Raise Interrupted when the run was asked to stop."""
        self._context.go_on()

    def found(self, count: int) -> None:
        """Of the file so many bytes are stored already, by an earlier attempt, and are gone on with."""
        self._found = count
        if count:
            self._context.tell(PartsFound(self._origin.run, self._origin.repo, self.file.path, count))

    def keep(self, count: int) -> None:
        """Of the bytes of this attempt so many will be gone on with, and are not taken back."""
        with self._lock:
            self._count -= count
        self._origin.tally.add(0, count, self._found)
        self._found = 0

    def stored(self) -> None:
        """The file is stored, whole."""
        self._origin.tally.add(1, self.file.size - self._found, self._found)

    def take_back(self) -> None:
        """Tell that the bytes of this attempt were thrown away, and those with it that it had found."""
        if self._count:
            self._tell(-self._count)
        if self._found:
            self.found(-self._found)
            self._found = 0
