"""Blobs from a store to a socket: read by threads in chunks, each when the one before was sent.

Memory is one chunk a client, and a client that goes away ends the read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from io import FileIO
from typing import TypeVar

import anyio
from anyio import to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreError
from mirror_sync.front.hub.answers import BlobSlice, JoinedSlices
from mirror_sync.ports.byte_stream import ByteStream, FileStream
from mirror_sync.ports.store import Store

CHUNK = 512 << 10  # bytes read and sent at once
ZERO_COPY = "http.response.zerocopysend"
WORTH_IT = 64 << 10  # bytes from which on the kernel sends them sooner than we read them
_ASKED_AT_ONCE = 8
THREADS = 64  # calls at the same time; a client that is slow to take its bytes holds none

T = TypeVar("T")


class Threads:
    """A bounded number of threads for what blocks."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None  # made late: it belongs to a running event loop

    async def run(self, call: Callable[[], T]) -> T:
        """The value of a call that blocks, made in a thread; waits while all of them are busy."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS)
        return await to_thread.run_sync(call, limiter=self._limiter)


@dataclass(frozen=True, slots=True)
class Paced:
    """`wait` until so many bytes may be sent, of which a `piece` at a time is sent."""

    wait: Callable[[int], Awaitable[None]]
    piece: int


class BlobStream:
    """An open slice of a blob. Close it, whatever happens."""

    def __init__(self, threads: Threads, reading: AbstractContextManager[ByteStream], stream: ByteStream) -> None:
        self._threads = threads
        self._reading = reading
        self._stream = stream

    @classmethod
    async def open(cls, threads: Threads, store: Store, wanted: BlobSlice) -> BlobStream:
        """Raises StoreError, KeyMissing among them, before anything was sent."""
        reading = store.read(blob_key(wanted.digest), wanted.start, wanted.stop)
        return cls(threads, reading, await threads.run(reading.__enter__))

    @property
    def file(self) -> tuple[FileIO, int, int] | None:
        """The open file that holds it, where it begins there and how long it is; None where it lies elsewhere."""
        return self._stream.unread if isinstance(self._stream, FileStream) else None

    async def chunks(self, length: int, paced: Paced | None = None) -> AsyncIterator[memoryview]:
        """Exactly `length` bytes. StoreError when the blob has fewer: the client sees a cut connection."""
        most = CHUNK if paced is None else min(CHUNK, paced.piece)
        while length > 0:
            # a new buffer each time: the event loop may hold the last one until the client has taken it
            chunk = memoryview(bytearray(min(most, length)))
            if paced is not None:
                await paced.wait(len(chunk))
            count = await self._threads.run(partial(self._stream.readinto, chunk))
            if count == 0:
                raise StoreError("a blob is shorter than its listing says")
            length -= count
            yield chunk[:count]

    async def close(self) -> None:
        """Give the blob back, also when the request was cancelled."""
        with anyio.CancelScope(shield=True):
            await self._threads.run(lambda: self._reading.__exit__(None, None, None))


async def expect_given(threads: Threads, store: Store, digests: Sequence[Sha256]) -> None:
    """Before the first byte of what is put together is sent: BlobFrozen where a bucket gives one of them hours later.

    One byte of each is asked for, some at once, up to the first that is not given. StoreError, too.
    """
    for at in range(0, len(digests), _ASKED_AT_ONCE):
        await threads.run(partial(_open_all, store, digests[at : at + _ASKED_AT_ONCE]))


def _open_all(store: Store, digests: Sequence[Sha256]) -> None:
    with ThreadPoolExecutor(len(digests), "given") as pool:
        list(pool.map(partial(_open, store), digests))


def _open(store: Store, digest: Sha256) -> None:
    with store.read(blob_key(digest), 0, 1):
        pass


async def joined_chunks(
    threads: Threads, store: Store, joined: JoinedSlices, paced: Paced | None
) -> AsyncIterator[bytes | memoryview]:
    """All of it, of one open blob at a time. StoreError where one is not there: the client sees a cut connection."""
    for part in joined.parts:
        if isinstance(part, bytes):
            most = len(part) if paced is None else paced.piece
            for at in range(0, len(part), most):
                piece = part[at : at + most]
                if paced is not None:
                    await paced.wait(len(piece))
                yield piece
            continue
        stream = await BlobStream.open(threads, store, part)
        try:
            async for chunk in stream.chunks(part.stop - part.start, paced):
                yield chunk
        finally:
            await stream.close()


class BlobResponse(StreamingResponse):
    """Streams a slice of a blob and closes it, also when the client has gone away before the first byte.

    What lies in a file is sent by the kernel, where the server offers that. Source: the extension
    http.response.zerocopysend of https://asgi.readthedocs.io/en/latest/extensions.html.
    """

    def __init__(
        self, stream: BlobStream, length: int, status: int, headers: dict[str, str], paced: Paced | None = None
    ) -> None:
        super().__init__(stream.chunks(length, paced), status, headers)
        self._stream, self._length, self._paced = stream, length, paced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = self._stream.file if ZERO_COPY in scope.get("extensions", {}) else None
        try:
            if file is None or self._length < WORTH_IT or file[2] < self._length:
                await super().__call__(scope, receive, send)
            else:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await self._send_file(send, file[0], file[1])
        finally:
            await self._stream.close()

    async def _send_file(self, send: Send, file: FileIO, offset: int) -> None:
        paced, left = self._paced, self._length
        while left:
            count = left if paced is None else min(left, paced.piece)
            if paced is not None:
                await paced.wait(count)
            left -= count
            part = {"type": ZERO_COPY, "file": file, "offset": offset, "count": count, "more_body": bool(left)}
            await send(part)
            offset += count
