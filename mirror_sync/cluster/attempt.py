"""A worker's turn at a work item: what it says to the coordinator, and what it asks."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace

from mirror_sync.cluster.messages import Answer, Claim, EventTold, Lookup, Message, Question, Recall
from mirror_sync.domain.outcome.events import BytesFetched, Event
from mirror_sync.errors import Interrupted

_PATIENCE = 30.0  # seconds for an answer
_LOOK = 0.2  # seconds between two checks of the stop event
_QUIET = 0.25  # seconds within which arrivals of bytes are told together


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
    """One worker's turn at a work item. `post` sends a message to the coordinator, after all that were sent before."""

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
                self._post(EventTold(event))
                return
            before = self._fetched.get(event.path)
            self._fetched[event.path] = event if before is None else replace(event, count=before.count + event.count)
            if time.monotonic() - self._since >= _QUIET:
                self._flush()

    def say(self, message: Message) -> None:
        with self._lock:
            self._flush()
            self._post(message)

    def ask(self, question: Claim | Lookup | Recall) -> Answer:
        """None when nobody answers. Interrupted after a stop."""
        return self._questions.ask(lambda number: self.say(Question(number, question)), self.go_on)

    def go_on(self) -> None:
        """Raise Interrupted after a stop."""
        if self.stop.is_set():
            raise Interrupted("stopped before the end")

    def _flush(self) -> None:
        fetched, self._fetched, self._since = self._fetched, {}, time.monotonic()
        for event in fetched.values():
            self._post(EventTold(event))
