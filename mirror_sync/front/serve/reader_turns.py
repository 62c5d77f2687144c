"""Whose turn it is: what each reader has asked of all processes of a front, in memory that they share.

Made before processes are forked. All is decided in the event loop of each, between which a lock of fcntl(2) stands: the
kernel lets it go when a process dies, and what that one held of answers is nobody's from then on.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import struct
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import blake2b

from mirror_sync.domain.access.reader_limits import AGAIN, PATIENCE, ReaderLimits
from mirror_sync.front.hub.answers import TOO_MUCH, Refusal

Pace = Callable[[int], Awaitable[None]]
"""Waits until so many bytes may be sent."""

_READERS = 4096  # that are known at once; who has been silent longest is forgotten first
_PROBES = 8  # places in which one may be found
_PROCESSES = 256  # whose answers are counted apart
_KEY = 16  # bytes of a digest of who it is
_TIMES = struct.Struct("dd")  # when requests, and bytes, that were asked for would all have had their turn
_COUNTS = struct.Struct(f"{_PROCESSES}H")  # answers that each process is giving
_COUNT = struct.Struct("H")
_PLACE = _KEY + _TIMES.size + _COUNTS.size
_PROCESS = struct.Struct("q")
_PIDS = _PROCESS.size * _PROCESSES
_LOOK = 0.02  # seconds after which one who waits for the end of another answer looks again
_PIECE = 0.1  # seconds that a piece of an answer takes
_PIECES = (64 << 10, 8 << 20)  # bytes of the smallest and the largest


class ReaderTurns:
    """Lets requests wait for their turn. Use it in event loops only."""

    def __init__(self, limits: ReaderLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._memory = mmap.mmap(-1, _PIDS + _READERS * _PLACE)
        self._lock = tempfile.TemporaryFile()  # noqa: SIM115  for as long as the front lives
        self._own: tuple[int, int] | None = None  # the process that we are, and its column
        self._waiting = Counter[str]()
        self.piece = min(max(int((limits.bandwidth or 0) * _PIECE), _PIECES[0]), _PIECES[1])
        """Bytes that are sent at once where there is a bound."""

    @asynccontextmanager
    async def turn(self, reader: str) -> AsyncIterator[Pace | None]:
        """Wait for the turn of a request, and hold its place among the reader's answers while the block lasts.

        Gives what bytes have to wait for, None for nothing. Refusal 429 where its turn is too late for any client.
        """
        if self._limits.requests is not None:
            await asyncio.sleep(self._request(reader))
        if self._limits.connections is not None:
            await self._place(reader, self._limits.connections)
        try:
            yield None if self._limits.bandwidth is None else self._pace(reader)
        finally:
            if self._limits.connections is not None:
                with self._locked():
                    self._count(reader, -1)

    def _request(self, reader: str) -> float:
        """Seconds until the turn of a request, which is taken. Refusal, and then nothing is."""
        with self._locked():
            place, now = self._find(reader), self._clock()
            due, of_bytes = _TIMES.unpack_from(self._memory, place + _KEY)
            begins, due = self._limits.request_turn(due, now)
            if begins - now > PATIENCE:
                raise _too_much()
            _TIMES.pack_into(self._memory, place + _KEY, due, of_bytes)
        return float(begins - now)

    async def _place(self, reader: str, most: int) -> None:
        """As many as are answered may wait, so that one reader does not hold all connections of a front."""
        if self._take(reader, most):
            return
        if self._waiting[reader] >= most:
            raise _too_much()
        self._waiting[reader] += 1
        try:
            until = self._clock() + PATIENCE
            while not self._take(reader, most):
                if self._clock() >= until:
                    raise _too_much()
                await asyncio.sleep(_LOOK)
        finally:
            self._waiting[reader] -= 1
            self._waiting += Counter()  # keeps what is above zero

    def _take(self, reader: str, most: int) -> bool:
        with self._locked():
            if self._held(reader) >= most:
                self._forget_dead()
                if self._held(reader) >= most:
                    return False
            self._count(reader, 1)
            return True

    def _held(self, reader: str) -> int:
        """The answers that all processes are giving to a reader. The lock is held, as in all that follow."""
        return sum(_COUNTS.unpack_from(self._memory, self._find(reader) + _KEY + _TIMES.size))

    def _pace(self, reader: str) -> Pace:
        async def paced(count: int) -> None:
            with self._locked():
                place, now = self._find(reader), self._clock()
                of_requests, due = _TIMES.unpack_from(self._memory, place + _KEY)
                begins, due = self._limits.byte_turn(due, now, count)
                _TIMES.pack_into(self._memory, place + _KEY, of_requests, due)
            await asyncio.sleep(begins - now)

        return paced

    def _count(self, reader: str, more: int) -> None:
        at = self._find(reader) + _KEY + _TIMES.size + self._column() * _COUNT.size
        (held,) = _COUNT.unpack_from(self._memory, at)
        _COUNT.pack_into(self._memory, at, max(0, held + more))

    def _find(self, reader: str) -> int:
        """Where a reader stands; the place of who was silent longest for one that is new."""
        key = blake2b(reader.encode(errors="surrogateescape"), digest_size=_KEY).digest()
        first = int.from_bytes(key[:8], "big")
        places = [_PIDS + (first + step) % _READERS * _PLACE for step in range(_PROBES)]
        for place in places:
            if self._memory[place : place + _KEY] == key:
                return place
        place = min(places, key=self._last)
        self._memory[place : place + _PLACE] = key + bytes(_PLACE - _KEY)
        return place

    def _last(self, place: int) -> tuple[bool, float]:
        """Whether answers are being given to whoever stands there, and when the last was asked for."""
        busy = any(_COUNTS.unpack_from(self._memory, place + _KEY + _TIMES.size))
        return busy, max(_TIMES.unpack_from(self._memory, place + _KEY))

    def _column(self) -> int:
        """Where this process counts its answers: a place that no living process has; of too many, one is shared."""
        own = os.getpid()
        if self._own is None or self._own[0] != own:
            self._forget_dead()
            column = next((number for number, process in enumerate(self._processes()) if process == 0), 0)
            _PROCESS.pack_into(self._memory, column * _PROCESS.size, own)
            self._own = own, column
        return self._own[1]

    def _processes(self) -> list[int]:
        return [_PROCESS.unpack_from(self._memory, at)[0] for at in range(0, _PIDS, _PROCESS.size)]

    def _forget_dead(self) -> None:
        """What processes that died were answering, nobody is answering any more."""
        for column, process in enumerate(self._processes()):
            if process and not _lives(process):
                _PROCESS.pack_into(self._memory, column * _PROCESS.size, 0)
                for place in range(_PIDS, len(self._memory), _PLACE):
                    _COUNT.pack_into(self._memory, place + _KEY + _TIMES.size + column * _COUNT.size, 0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)


def _lives(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True


def _too_much() -> Refusal:
    return Refusal(429, TOO_MUCH, Retry_After=str(AGAIN))
