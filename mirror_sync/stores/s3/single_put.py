"""A large object in one PUT, sent as its parts come: for servers that have no multipart uploads."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Self

from mirror_sync.errors import StoreError
from mirror_sync.stores.parts import MIB, Parts
from mirror_sync.stores.s3.refusals import store_errors

MOST = 5 << 30  # bytes; docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
_AT_ONCE = MIB


class SinglePut:
    """Implements `ports.Upload` by one PutObject, which `send` makes of a body that it reads. Nothing can be kept.

    Its last byte waits for `complete`, so that a server has no whole object before: one that comes too short is none.
    """

    in_order = True
    kept = 0

    def __init__(self, send: Callable[[io.RawIOBase], object], parts: Parts, place: tuple[str, str]) -> None:
        self.part_size = parts.part_size
        self._send, self._parts, self._place = send, parts, place
        self._feed = _Feed()
        self._next = 0
        self._sent: Future[None] | None = None
        self._ended = False
        self._last = b""

    def put(self, number: int, body: bytes | bytearray | memoryview) -> None:
        """In order, each once: StoreError for another."""
        view = memoryview(body).cast("B")
        self._parts.check(number, len(view))
        if number != self._next or self._ended:
            raise StoreError(f"{self._place[1]}: part {number} was put where {self._next} comes next")
        self._next += 1
        if self._next == len(self._parts) and len(view):
            view, self._last = view[:-1], bytes(view[-1:])
        if len(view):  # a body of nothing would be whole, and there, as soon as it is begun
            with store_errors(*self._place, "PutObject"):
                self._feed.give(view, self._sending())

    def token(self, parts: int) -> str:
        """Says nothing: whoever begins with it begins anew."""
        return ""

    def read_kept(self) -> None:
        """Nothing was kept."""

    def keep(self) -> None:
        """Nothing can be kept."""

    def complete(self) -> None:
        self._parts.check_all(self._place[1], range(self._next))
        if self._ended:
            raise StoreError(f"{self._place[1]}: the upload was aborted or completed before")
        self._ended = True
        with store_errors(*self._place, "PutObject"):
            sent = self._sending()
            self._feed.give(memoryview(self._last), sent)
            self._feed.end()
            sent.result()

    def abort(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._feed.break_off()
        if self._sent is not None:
            wait([self._sent])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abort()

    def _sending(self) -> Future[None]:
        """The request, begun with the first bytes."""
        if self._sent is None:
            self._sent = sent = Future[None]()
            threading.Thread(target=self._run, args=(sent,), name="one-put", daemon=True).start()
        return self._sent

    def _run(self, sent: Future[None]) -> None:
        try:
            self._send(self._feed)
        except BaseException as error:
            sent.set_exception(error)
        else:
            sent.set_result(None)
        finally:
            self._feed.wake()


class _Feed(io.RawIOBase):
    """A body that one thread reads while another gives it, piece by piece; it cannot be read twice."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._view = memoryview(b"")
        self._ends = self._broken = False

    def give(self, view: memoryview, sent: Future[None]) -> None:
        """Return when all of it was sent, raise what ended the request before."""
        with self._turn:
            self._view = view
            self._turn.notify_all()
            self._turn.wait_for(lambda: not len(self._view) or sent.done())
            self._view = memoryview(b"")
        if sent.done():
            sent.result()

    def end(self) -> None:
        with self._turn:
            self._ends = True
            self._turn.notify_all()

    def break_off(self) -> None:
        with self._turn:
            self._broken = True
            self._turn.notify_all()

    def wake(self) -> None:
        with self._turn:
            self._turn.notify_all()

    def read(self, size: int = -1) -> bytes:
        """At most a MiB, copied: the giver's buffer is free again when this returns."""
        with self._turn:
            self._turn.wait_for(lambda: len(self._view) or self._ends or self._broken)
            if self._broken:
                raise OSError("the upload was broken off")
            chunk = bytes(self._view[:_AT_ONCE])
            self._view = self._view[len(chunk) :]
            if not len(self._view):
                self._turn.notify_all()
            return chunk

    def readable(self) -> bool:
        return True


def expect_one_put(size: int, place: tuple[str, str]) -> None:
    """StoreError for more bytes than one PUT takes."""
    if size > MOST:
        where, key = place
        raise StoreError(
            f"{where}, key {key}: PutObject: {size} bytes are more than one PUT takes, {MOST}, and the target says "
            "`multipart: off`"
        )
