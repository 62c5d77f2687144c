"""Reads one file of a source, whole or by ranges, and tells how many bytes came."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.events import BytesFetched
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.site import Site
from mirror_sync.errors import IntegrityError
from mirror_sync.ports import ByteStream, Source

_READ = 1024 * 1024  # bytes between two looks at the stop event


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file comes from, and in which run."""

    run: str
    source: Source
    repo: Repo
    commit: CommitId


class FileRead:
    """Reads ranges of one file, tells how many bytes came, and takes them back when the attempt fails."""

    def __init__(self, site: Site, origin: Origin, file: RemoteFile) -> None:
        self.file = file
        self._site, self._origin = site, origin
        self._count = 0
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
            self._site.go_on()
            count = stream.readinto(body[at : at + _READ])
            if not count:
                raise IntegrityError(self.file.path, f"{self.file.size} bytes", "fewer")
            at += count
            self._tell(count)

    def _tell(self, count: int) -> None:
        with self._lock:
            self._count += count
        self._site.tell(BytesFetched(self._origin.run, self._origin.repo, self.file.path, count))

    def go_on(self) -> None:
        """Raise Interrupted when the run was asked to stop."""
        self._site.go_on()

    def keep(self, count: int) -> None:
        """Of the bytes of this attempt so many will be gone on with, and are not taken back."""
        with self._lock:
            self._count -= count

    def take_back(self) -> None:
        """Tell that the bytes of this attempt were thrown away."""
        if self._count:
            self._tell(-self._count)
