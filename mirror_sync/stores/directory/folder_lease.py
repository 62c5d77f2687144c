"""The lease of two daemons in a directory: read, compared and replaced under an exclusive file lock.

The lock is held for that moment alone, and not for as long as a daemon works: flock(2) stays with a process that is
stopped, and what is to be noticed is just that. Who dies inside of that moment gives it back; who is stopped there bars
both from going on, and none runs twice.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreDenied, StoreError, StoreUnavailable
from mirror_sync.owners import is_there, write_anew
from mirror_sync.ports.lease_place import LEASE_KEY, MAX_LEASE, PROBE_KEY, Tagged, WrittenByAnother
from mirror_sync.state.file_lock import FileHold, Held, hold
from mirror_sync.stores.directory.file_system import store_errors, sync_folder


class FolderLease:
    """Implements `ports.LeasePlace` below a root that is there; a call waits up to `patience` seconds for the lock.

    The root is not made: what lies under a mount point whose disk is off would be a lease of its own.
    """

    def __init__(self, root: Path, patience: float) -> None:
        self._root, self._path, self._patience = root.absolute(), root.absolute() / LEASE_KEY, patience
        self._lock = self._path.with_suffix(".lock")

    def prove(self) -> None:
        """Files can be locked there at all, and a lock keeps others out."""
        probe = self._root / f"{PROBE_KEY}{os.urandom(8).hex()}"
        self._expect_root()
        with store_errors(probe):
            probe.parent.mkdir(exist_ok=True)
            try:
                with hold(probe, 0):
                    self._expect_held(probe)
            finally:
                probe.unlink(missing_ok=True)

    def _expect_held(self, probe: Path) -> None:
        with suppress(Held), hold(probe, 0):
            raise StoreError(f"{self._root}: its file system ignores locks of files (flock), which ha needs there")

    def read(self) -> Tagged | None:
        self._expect_root()
        with store_errors(self._path):
            try:
                with self._path.open("rb") as file:
                    body = file.read(MAX_LEASE + 1)
            except FileNotFoundError:
                self._expect_root()
                return None
        if len(body) > MAX_LEASE:
            raise StoreError(f"{self._path} is larger than {MAX_LEASE:,} bytes, which no lease is")
        return Tagged(body, Sha256.of(body))

    def write(self, body: bytes, expected: str | None) -> str:
        self._expect_root()
        with store_errors(self._path):
            self._path.parent.mkdir(exist_ok=True)
            with self._held():
                standing = self.read()
                if expected != (None if standing is None else standing.tag):
                    raise WrittenByAnother
                write_anew(self._path, body.decode())
                sync_folder(self._path.parent)
        return Sha256.of(body)

    def _held(self) -> FileHold:
        try:
            return hold(self._lock, self._patience)
        except Held:
            raise StoreUnavailable(f"{self._lock} is locked by another daemon, which is perhaps stopped") from None

    def _expect_root(self) -> None:
        with store_errors(self._root):
            if not (is_there(self._root) and stat.S_ISDIR(self._root.stat().st_mode)):
                said = "is no folder: is its disk mounted? The lease of ha makes none; make it where the target is new"
                raise StoreDenied(f"{self._root} {said}")
