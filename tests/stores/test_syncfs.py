"""Many files share a sync, each relies only on one that began after its bytes were written, none on a failed one."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import Queue

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreUnavailable
from mirror_sync.stores.directory import syncfs
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.directory.syncfs import SharedSync
from tests.stores.places import MIB
from tests.waiting import PATIENCE

Outcome = Callable[[], bool]


def done() -> bool:
    return True


def unsupported() -> bool:
    return False


def broken() -> bool:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@dataclass
class Kernel:
    """Syncs end, one after the other, as the test says; counts those of files."""

    begun: Queue[None] = field(default_factory=Queue)
    outcomes: Queue[Outcome] = field(default_factory=Queue)
    of_files: int = 0

    def sync_system(self, _: int) -> bool:
        self.begun.put(None)
        return self.outcomes.get(timeout=PATIENCE)()

    def fsync(self, _: int) -> None:
        self.of_files += 1


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(syncfs, "sync_system", kernel.sync_system)
    monkeypatch.setattr(os, "fsync", kernel.fsync)
    return kernel


class Writers:
    """Threads that each write a file and have it synced."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor) -> None:
        self._folder, self._pool = folder, pool
        self._shared = SharedSync()
        self._number = 0

    def write(self) -> Future[None]:
        """Returns when the bytes are written; the future ends with the sync."""
        self._number += 1
        path, written = self._folder / str(self._number), threading.Event()

        def run() -> None:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT)
            try:
                self._shared.watch(str(path))
                os.write(fd, b"x")
                written.set()
                self._shared.sync(fd)
            finally:
                os.close(fd)

        future = self._pool.submit(run)
        assert written.wait(PATIENCE)
        return future

    def joined(self, many: int) -> list[Future[None]]:
        """So many, who all wait for the sync after the one that goes on."""
        futures = [self.write() for _ in range(many)]
        while self._shared._next is None:
            pass  # ends, or the test's time-out says that it does not
        return futures


@pytest.fixture
def writers(tmp_path: Path) -> Iterator[Writers]:
    with ThreadPoolExecutor(10) as pool:
        yield Writers(tmp_path, pool)


@contextmanager
def one_under_way(writers: Writers, kernel: Kernel) -> Iterator[Future[None]]:
    first = writers.write()
    kernel.begun.get(timeout=PATIENCE)
    yield first


def test_those_who_come_while_one_goes_on_share_the_next(writers: Writers, kernel: Kernel) -> None:
    with one_under_way(writers, kernel) as first:
        others = writers.joined(5)
        kernel.outcomes.put(done)
        first.result(PATIENCE)
        assert not any(other.done() for other in others)
        for _ in others:
            kernel.outcomes.put(done)  # of which one is taken, or two: a thread may come late
        for other in others:
            other.result(PATIENCE)
    assert 1 <= kernel.begun.qsize() <= 2
    assert kernel.of_files == 0


def test_where_the_kernel_cannot_each_file_is_synced(writers: Writers, kernel: Kernel) -> None:
    for _ in range(3):
        kernel.outcomes.put(unsupported)
        writers.write().result(PATIENCE)
    assert kernel.of_files == 3


def test_a_failure_is_told_to_whom_it_was_for_and_then_each_file_is_synced(writers: Writers, kernel: Kernel) -> None:
    with one_under_way(writers, kernel) as first:
        others = writers.joined(3)  # written before the failure, which may have been theirs
        kernel.outcomes.put(broken)
        with pytest.raises(OSError, match="Input/output"):
            first.result(PATIENCE)
        for other in others:
            other.result(PATIENCE)
        writers.write().result(PATIENCE)
    assert kernel.begun.empty()
    assert kernel.of_files == 4


def test_a_file_on_another_file_system_is_synced_by_itself(
    writers: Writers, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.outcomes.put(done)
    writers.write().result(PATIENCE)
    real, devices = os.fstat, count()
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result((*real(fd)[:2], next(devices), *real(fd)[3:])))
    writers.write().result(PATIENCE)
    assert kernel.of_files == 1


def test_a_blob_of_some_mib_has_its_name_when_it_is_put(tmp_path: Path) -> None:
    body = os.urandom(2 * MIB + 5)
    key = blob_key(Sha256.of(body))
    DirectoryStore(tmp_path).put(key, body, Sha256.of(body))
    assert (tmp_path / key).read_bytes() == body


def test_a_blob_whose_sync_fails_has_no_name_and_leaves_nothing(tmp_path: Path, kernel: Kernel) -> None:
    body = os.urandom(2 * MIB + 5)
    key = blob_key(Sha256.of(body))
    kernel.outcomes.put(broken)
    with pytest.raises(StoreUnavailable, match="Input/output"):
        DirectoryStore(tmp_path).put(key, body, Sha256.of(body))
    assert not (tmp_path / key).exists()
    assert not any((tmp_path / ".staging").iterdir())
