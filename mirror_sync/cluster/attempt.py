"""The worker's side of an errand: a bench whose notes, lessons and events go to the coordinator."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import replace

from mirror_sync.cluster.messages import (
    Answer,
    Asked,
    Claim,
    Claimed,
    Learned,
    Lookup,
    Message,
    Noted,
    Released,
    Told,
)
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.events import BytesFetched, Event
from mirror_sync.engine.sync import Bench
from mirror_sync.errors import Interrupted, StoreUnavailable
from mirror_sync.ports import UploadNote

_PATIENCE = 30.0  # seconds for an answer
_LOOK = 0.2  # seconds between two looks at the stop event
_QUIET = 0.25  # seconds within which arrivals of bytes are told together
_AT_ONCE = 500  # git ids in one question


class Questions:
    """Those that this process has asked and that are open. Safe for many threads."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[int, Future[Answer]] = {}

    def ask(self, post: Callable[[int], None], go_on: Callable[[], None]) -> Answer:
        """Post a question under a number and wait. None when no answer comes; `go_on` may raise meanwhile."""
        number, reply = next(self._numbers), Future[Answer]()
        self._open[number] = reply
        try:
            post(number)
            limit = time.monotonic() + _PATIENCE
            while time.monotonic() < limit:
                go_on()
                try:
                    return reply.result(_LOOK)
                except FutureTimeout:
                    continue
            return None
        finally:
            del self._open[number]

    def answer(self, number: int, answer: Answer) -> None:
        """An answer has come; it may be too late."""
        reply = self._open.get(number)
        if reply is not None and not reply.done():
            reply.set_result(answer)


class Attempt:
    """One worker's turn at one errand. `post` sends a message to the coordinator, after all that were sent before."""

    def __init__(self, post: Callable[[Message], None], questions: Questions) -> None:
        self.stop = threading.Event()
        self._post, self._questions = post, questions
        self._fetched: dict[str, BytesFetched] = {}
        self._since = 0.0
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """An observer. Arrivals of bytes are told together, and before anything else that is told."""
        with self._lock:
            if not isinstance(event, BytesFetched):
                self._flush()
                self._post(Told(event))
                return
            before = self._fetched.get(event.path)
            self._fetched[event.path] = event if before is None else replace(event, count=before.count + event.count)
            if time.monotonic() - self._since >= _QUIET:
                self._flush()

    def say(self, message: Message) -> None:
        with self._lock:
            self._flush()
            self._post(message)

    def ask(self, question: Claim | Lookup) -> Answer:
        """None when nobody answers. Interrupted after a stop."""
        return self._questions.ask(lambda number: self.say(Asked(number, question)), self._go_on)

    def _flush(self) -> None:
        fetched, self._fetched, self._since = self._fetched, {}, time.monotonic()
        for event in fetched.values():
            self._post(Told(event))

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise Interrupted("stopped while waiting for the coordinator")

    def at(self, bench: Bench) -> Bench:
        """This bench for this attempt: its pools, sources, stores and memory are shared with all others."""
        site = replace(bench.site, tell=self.tell, stop=self.stop)
        target = replace(bench.target, notes=FarNotes(self), index=FarIndex(self))
        return replace(bench, site=site, target=target, transfer=bench.transfer.at(site, target))


class FarNotes:
    """Implements `ports.UploadNotes` by those of the coordinator: a claim holds for all workers."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._found: dict[str, UploadNote | None] = {}

    @contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        answer = self._attempt.ask(Claim(key))
        if not isinstance(answer, Claimed) or not answer.mine:
            yield False
            return
        self._found[key] = answer.note
        try:
            yield True
        finally:
            self._found.pop(key, None)
            self._attempt.say(Released(key))

    def load(self, key: str) -> UploadNote | None:
        """What came with the claim; nothing is known of other keys."""
        return self._found.get(key)

    def save(self, key: str, note: UploadNote) -> None:
        self._attempt.say(Noted(key, note))

    def forget(self, key: str) -> None:
        self._attempt.say(Noted(key, None))

    def stale(self, older_than: float) -> tuple[str, ...]:
        return ()  # the coordinator sweeps


class FarIndex:
    """Implements `ports.ContentIndex` by the coordinator's, which it has made complete."""

    complete = True

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def known(self, oids: Iterable[GitOid]) -> Mapping[GitOid, Sha256]:
        found: dict[GitOid, Sha256] = {}
        wanted = list(oids)
        for start in range(0, len(wanted), _AT_ONCE):
            answer = self._attempt.ask(Lookup(tuple(wanted[start : start + _AT_ONCE])))
            if not isinstance(answer, Mapping):
                raise StoreUnavailable("the coordinator does not answer what it knows by git id")
            found.update(answer)
        return found

    def learn(self, pairs: Mapping[GitOid, Sha256]) -> None:
        self._attempt.say(Learned(dict(pairs)))

    def mark_complete(self) -> None:
        pass
