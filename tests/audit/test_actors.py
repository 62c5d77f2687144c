"""Who has a run of the daemon done: the daemon by its schedule, who triggers it, or a webhook."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.daemon.control import ask_daemon, controlled
from mirror_sync.daemon.requests import RequestQueue, RequestState, Slot, Started
from mirror_sync.daemon.runs import Runs
from mirror_sync.domain.audit_record import BY_DAEMON, BY_WEBHOOK, Actor, ActorKind
from mirror_sync.domain.outcome.events import Care
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import Interrupted
from mirror_sync.wiring.program import Mirror
from tests.daemon.living import write_jobs
from tests.waiting import until

ONE = Repo.parse("acme/one")
ALICE, BOB = Actor(ActorKind.USER, "alice@host"), Actor(ActorKind.USER, "bob@host")
WHOLE, SINGLE = Slot("job", whole=True), Slot("job", whole=False)


class Named(Mirror):
    """Does nothing, and says for whom."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.actors: list[Actor] = []
        self.sync = self._sync  # type: ignore[assignment]
        self.tend = self._tend  # type: ignore[assignment]

    def _sync(
        self,
        actor: Actor,
        names: Sequence[str] = (),
        repos: Collection[Repo] | None = None,
        until: datetime | None = None,
    ) -> RunReport:
        self.actors.append(actor)
        return RunReport("run", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", ())

    def _tend(self, actor: Actor, care: Care) -> None:
        self.actors.append(actor)


@pytest.fixture
def mirror(tmp_path: Path) -> Named:
    return Named(load(write_jobs(tmp_path, "name: night, schedule: {every: 1h}"), {}))


def test_each_run_of_the_daemon_is_for_who_had_it_begin(mirror: Named) -> None:
    runs = Runs(threading.Event(), lambda event: None, lambda: None)
    runs.take(mirror.settings, mirror)

    def ended(count: int) -> bool:
        return len(mirror.actors) == count and not runs.names()

    runs.due("night")
    runs.tend(Care.PRUNE)
    runs.ask("night", ALICE)
    until(lambda: ended(3))
    runs.ask("acme/one", BOB)
    until(lambda: ended(4))
    runs.hint(ONE)
    until(lambda: ended(5))
    runs.again("night", [ONE])
    until(lambda: ended(6))
    runs.due("night")
    assert mirror.actors == [BY_DAEMON, BY_DAEMON, ALICE, BOB, BY_WEBHOOK, BY_DAEMON, BY_DAEMON]
    assert runs.end(60)


def test_a_prune_that_a_stop_ends_has_not_failed(mirror: Named) -> None:
    stop = threading.Event()

    def tend(actor: Actor, care: Care) -> None:
        stop.set()
        raise Interrupted("stopped before the end")

    mirror.tend = tend  # type: ignore[assignment]
    runs = Runs(stop, lambda event: None, lambda: None)
    runs.take(mirror.settings, mirror)
    with capture_logs() as lines:
        runs.tend(Care.PRUNE)
    assert [line for line in lines if line["log_level"] == "error"] == []
    assert runs.end(60)


def test_of_several_who_ask_for_one_run_it_is_for_the_first_person() -> None:
    waiting = RequestQueue()
    assert waiting.actor(WHOLE) == BY_DAEMON
    waiting.add("job", ONE, BY_WEBHOOK)
    waiting.add("job", ONE, ALICE, order=True)
    waiting.add("job", ONE, BOB, order=True)
    waiting.add("job", ONE, BY_WEBHOOK)
    assert (waiting.actor(SINGLE), waiting.actor(WHOLE)) == (ALICE, BY_DAEMON)
    waiting.take(SINGLE)
    assert waiting.actor(SINGLE) == BY_DAEMON
    waiting.add("job", None, BOB, order=True)
    waiting.take(WHOLE)
    assert waiting.actor(WHOLE) == BY_DAEMON


def test_who_triggers_says_who_asks(tmp_path: Path) -> None:
    asked: list[tuple[str, Actor]] = []

    def trigger(text: str, actor: Actor) -> tuple[Started, ...]:
        asked.append((text, actor))
        return (Started("night", None, RequestState.STARTED),)

    with controlled(tmp_path, trigger):
        ask_daemon(tmp_path, {"trigger": "night", "by": "alice@host"})
        ask_daemon(tmp_path, {"trigger": "night"})
    assert asked == [("night", ALICE), ("night", Actor(ActorKind.USER, "at the socket"))]
