"""Large bodies go past the page cache where that can be done, and arrive whole where it cannot."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror_sync.engine.memory_budget import MemoryBudget
from mirror_sync.errors import StoreError, StoreFull, StoreUnavailable
from mirror_sync.stores.directory.file_system import store_errors, write_all
from tests.stores.places import MIB

ODD = 2 * MIB + 123  # bytes


@dataclass
class Writes:
    """What goes to a file, directly and through the page cache, in bytes. `fault` is what direct writes raise."""

    fault: int = 0
    fault_after: int = 0
    """Bytes after which direct writes raise it."""
    at_most: int = 1 << 40
    """Bytes that one call takes."""
    direct: int = 0
    cached: int = 0
    _pwrite = staticmethod(os.pwrite)

    def __call__(self, fd: int, body: memoryview, offset: int) -> int:
        directly = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT
        if directly and self.fault and self.direct >= self.fault_after:
            raise OSError(self.fault, os.strerror(self.fault))
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_DIRECT)  # the test's disk may have none
        count = self._pwrite(fd, body[: self.at_most], offset)
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | directly)
        if directly:
            self.direct += count
        else:
            self.cached += count
        return count


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    found = Writes()
    monkeypatch.setattr(os, "pwrite", found)
    return found


def write(path: Path, body: memoryview | bytes, offset: int = 0) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        write_all(fd, body, offset)
        assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT
    finally:
        os.close(fd)


def lent(size: int) -> memoryview:
    """A buffer as files are received into, with bytes that differ from page to page."""
    body = MemoryBudget(64 * MIB).take(size)
    body[:] = (os.urandom(4096 + 1) * (size // 4096 + 1))[:size]
    return body


def address(body: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(body))


def test_a_large_body_goes_past_the_page_cache_and_its_odd_end_through_it(tmp_path: Path, writes: Writes) -> None:
    body = lent(ODD)
    write(tmp_path / "f", body, 4096)
    assert (tmp_path / "f").read_bytes() == bytes(4096) + bytes(body)
    assert (writes.direct, writes.cached) == (2 * MIB, 123)


def test_a_small_one_goes_through_it(tmp_path: Path, writes: Writes) -> None:
    write(tmp_path / "f", lent(MIB - 4096))
    assert (writes.direct, writes.cached) == (0, MIB - 4096)


@pytest.mark.parametrize("fault", [errno.EINVAL, errno.EOPNOTSUPP])
def test_where_that_cannot_be_done_all_goes_through_it(tmp_path: Path, writes: Writes, fault: int) -> None:
    writes.fault, body = fault, lent(ODD)
    write(tmp_path / "f", body)
    assert (tmp_path / "f").read_bytes() == bytes(body)
    assert (writes.direct, writes.cached) == (0, ODD)


def test_a_disk_that_takes_less_at_a_time_gets_all(tmp_path: Path, writes: Writes) -> None:
    writes.at_most, body = 5 * 4096, lent(ODD)
    write(tmp_path / "f", body)
    assert (tmp_path / "f").read_bytes() == bytes(body)


@pytest.mark.parametrize("at_most", [5 * 4096, 1000])
def test_what_could_not_be_written_directly_after_a_part_goes_through_it(
    tmp_path: Path, writes: Writes, at_most: int
) -> None:
    writes.fault, writes.fault_after, writes.at_most, body = errno.EINVAL, at_most, at_most, lent(ODD)
    write(tmp_path / "f", body)
    assert (tmp_path / "f").read_bytes() == bytes(body)
    assert (writes.direct, writes.cached) == (at_most, ODD - at_most)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [(errno.ENOSPC, StoreFull, "No space left"), (errno.EIO, StoreUnavailable, "Input/output error")],
)
def test_a_full_or_broken_disk_is_told(
    tmp_path: Path, writes: Writes, fault: int, error: type[StoreError], words: str
) -> None:
    writes.fault = fault
    with pytest.raises(error, match=words), store_errors(tmp_path / "f"):
        write(tmp_path / "f", lent(ODD))


@pytest.mark.parametrize(("start", "offset"), [(0, 0), (1, 0), (0, 1), (4096, 4096)])
def test_the_real_disk_gets_every_byte_from_wherever_it_lies(tmp_path: Path, start: int, offset: int) -> None:
    body = lent(ODD)[start:]
    write(tmp_path / "f", body, offset)
    assert (tmp_path / "f").read_bytes() == bytes(offset) + bytes(body)


def test_what_may_begin_anywhere_goes_through_it(tmp_path: Path, writes: Writes) -> None:
    body = os.urandom(3 * MIB + 1)
    write(tmp_path / "f", body)
    assert (tmp_path / "f").read_bytes() == body
    assert writes.direct == 0


def test_large_buffers_begin_on_a_page() -> None:
    budget = MemoryBudget(64 * MIB)
    assert [address(budget.take(size)) % mmap.PAGESIZE for size in (MIB, 5 * MIB + 1, 16 * MIB)] == [0, 0, 0]
