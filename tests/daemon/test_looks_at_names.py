"""A look at the names of many repos: what goes wrong with one is told, and the others are looked at all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.app.versions.rolling_out import RollOut
from mirror_sync.app.versions.watching_names import WatchNames
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import VERSIONS, Refs
from mirror_sync.domain.content.share import ReaderShare
from mirror_sync.domain.content.versions import NameMove
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.channel_rules import Rollout
from mirror_sync.domain.job.job import Every, Job
from mirror_sync.domain.outcome.events import (
    ChannelLeft,
    Crashed,
    Event,
    NamesLooked,
    NamesUnseen,
    RolloutsLooked,
    RolloutState,
)
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.upkeep.move_names import WantedNames, move_name
from mirror_sync.errors import StoreDenied, StoreError
from tests.engine.machines import Clock, Machine, Shelf, Upstream, refs_of
from tests.engine.workshop import job

NAMES = "acme/a", "acme/b", "acme/c"
BAD = Repo.parse("acme/b")
ROLLING = replace(
    job(*NAMES, workers=1),
    schedule=Every(timedelta(days=365)),
    rollout=Rollout((1000, 5000), timedelta(days=1), ("/bin/true",)),
)


def shared(commit: CommitId) -> Callable[[Refs], WantedNames]:
    """A commit is a candidate, and a tenth of the readers have it."""

    def decide(now: Refs) -> WantedNames:
        move = NameMove("2023-11-14T22:00:00Z", "candidate", None, commit, "me", "why", "share")
        return WantedNames(
            replace(now, channels={"candidate": commit}), move, ReaderShare("candidate", 1000, begins=1).name
        )

    return decide


class Watched:
    """Three repos with a share of their readers each, and who looks at them; `told` are the events since the last."""

    def __init__(self) -> None:
        clock = Clock()
        shelf, upstream = Shelf(clock), Upstream()
        self.machine = Machine(upstream, shelf)
        self.told: list[Event] = []
        self.context = replace(self.machine.context, tell=self.told.append)
        for name in NAMES:
            commit = upstream.commit(name, {"f": name.encode()})
            assert self.machine.sync(job(name, workers=1)).outcome == "published"
            target = self.machine.context.targets["bucket"]
            move_name(self.machine.context, target, Repo.parse(name), shared(commit), wait=False)

        def jobs(names: Sequence[str] = ()) -> tuple[Job, ...]:
            return (ROLLING,)

        def releases() -> object:
            raise AssertionError("nothing is due")

        rollouts = RollOut(lambda: self.context, releases)  # type: ignore[arg-type]
        self.watch = WatchNames(jobs, lambda: self.context, lambda: rollouts)

    def look(self) -> list[Event]:
        self.told.clear()
        self.watch(BY_DAEMON)
        return list(self.told)

    def fail(self, key: str, error: Exception) -> None:
        def before(verb: str, asked: str) -> None:
            if (verb, asked) == ("read", key):
                raise error

        self.machine.view.before = before

    def mend(self) -> None:
        self.machine.view.before = lambda verb, key: None


def states(events: Sequence[Event]) -> dict[str, RolloutState]:
    (looked,) = (one for one in events if isinstance(one, RolloutsLooked))
    return {repo.id: state for _, repo, state in looked.found}


def names(events: Sequence[Event]) -> set[str]:
    (looked,) = (one for one in events if isinstance(one, NamesLooked))
    return {seen.repo.id for seen in looked.repos}


FAULTS: dict[str, Callable[[], Exception]] = {
    "of the store": lambda: StoreDenied("403 AccessDenied"),
    "of the program": lambda: ValueError("no such thing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_repo_that_cannot_be_read_is_told_once_and_others_are_looked_at(fault: str) -> None:
    watched = Watched()
    watched.fail(refs_key(BAD), FAULTS[fault]())
    events = watched.look()
    assert names(events) == {"acme/a", "acme/c"}
    assert states(events) == {"acme/a": RolloutState.GROWING, "acme/c": RolloutState.GROWING}
    (unseen,) = (one for one in events if isinstance(one, NamesUnseen))
    assert (unseen.repo, str(FAULTS[fault]()) in unseen.reason) == (BAD, True)
    assert any(isinstance(one, Crashed) for one in events) == (fault == "of the program"), "its traceback is told"
    assert not any(isinstance(one, NamesUnseen) for one in watched.look()), "the same is no news"
    watched.mend()
    assert names(watched.look()) == set(NAMES)
    watched.fail(refs_key(BAD), FAULTS[fault]())
    assert names(watched.look()) == set(NAMES), "it is listed as before, and so is read no more"


def test_a_fault_of_the_program_at_one_rollout_is_told_and_the_others_go_on() -> None:
    watched = Watched()
    assert set(states(watched.look())) == set(NAMES)
    history = refs_of(watched.machine.view.shelf, BAD.id).attachments[VERSIONS]
    watched.fail(f"blobs/sha256/{history[:2]}/{history}", ZeroDivisionError("in a look at one repo"))
    events = watched.look()
    assert states(events) == {
        "acme/a": RolloutState.GROWING,
        "acme/b": RolloutState.UNANSWERED,
        "acme/c": RolloutState.GROWING,
    }
    (left,) = (one for one in events if isinstance(one, ChannelLeft))
    assert (left.repo, "a fault of this program" in left.reason) == (BAD, True)
    assert [one.repo for one in events if isinstance(one, Crashed)] == [BAD]
    assert not any(isinstance(one, ChannelLeft) for one in watched.look()), "the same is no news for an hour"


def test_a_target_of_which_nothing_can_be_read_is_not_asked_for_each_repo() -> None:
    watched = Watched()
    body = watched.machine.view.shelf.objects[refs_key(BAD)]
    for number in range(100):
        watched.machine.view.shelf.objects[refs_key(Repo.parse(f"acme/n{number}"))] = body
    asked: list[str] = []

    def before(verb: str, key: str) -> None:
        if verb == "read":
            asked.append(key)
            raise StoreError("no answer")

    watched.machine.view.before = before
    watched.look()
    assert 32 <= len(asked) < 32 + 8, "as many as a target may fail, and one more for each other reader"
