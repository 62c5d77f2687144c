"""A fault of this program, or of who watches it, costs one repo at most, and is told; a run that began has an end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mirror_sync.domain.outcome.events import Crashed, Event, RunFinished, RunStarted, tell_all
from mirror_sync.domain.outcome.report import PlanReport, RunReport
from mirror_sync.domain.repo import Repo, RepoPattern
from tests.engine.workshop import Workshop, job
from tests.standin import Hub


class Faulty:
    """A source with a fault of ours in one verb, for what `is_struck` says."""

    def __init__(self, source: Any, verb: str, struck: str) -> None:
        self._source, self._verb, self._struck = source, verb, struck

    def __getattr__(self, name: str) -> Any:
        if name != self._verb:
            return getattr(self._source, name)

        def fault(what: Repo | RepoPattern, *rest: object) -> Any:
            if str(what) == self._struck:
                raise ZeroDivisionError("a fault of ours")
            return getattr(self._source, name)(what, *rest)

        return fault


def _strike(workshop: Workshop, verb: str, struck: str) -> None:
    source: Any = Faulty(workshop.context.sources["hub"], verb, struck)
    workshop.context = replace(workshop.context, sources={"hub": source})


def _good_and_bad(hub: Hub) -> None:
    for name in ("acme/bad", "acme/good", "other/good"):
        hub.model(name, license="mit").commit({"a": name.encode()})
        hub.model(name).tag("v1")


def _outcomes(report: RunReport | PlanReport) -> dict[str, tuple[str, str]]:
    return {repo.repo: (repo.outcome.value, repo.code) for repo in report.repos}


@pytest.mark.parametrize("verb", ["resolve", "list"])
def test_a_fault_in_one_repo_stops_no_other_in_sync_and_plan(hub: Hub, workshop: Workshop, verb: str) -> None:
    _good_and_bad(hub)
    _strike(workshop, verb, "acme/bad")
    expected = {"acme/bad": ("failed", "internal"), "acme/good": ("published", "")}
    assert _outcomes(workshop.plan(job("acme/bad", "acme/good"))) == expected
    assert [event.repo for event in workshop.events if isinstance(event, Crashed)] == [Repo.parse("acme/bad")]
    assert _outcomes(workshop.sync(job("acme/bad", "acme/good"))) == expected
    assert any("ZeroDivisionError" in event.trace for event in workshop.events if isinstance(event, Crashed))


def test_a_fault_in_one_pattern_stops_no_other(hub: Hub, workshop: Workshop) -> None:
    _good_and_bad(hub)
    _strike(workshop, "search", "acme/*")
    expected = {"acme/*": ("failed", "internal"), "other/good": ("published", "")}
    assert _outcomes(workshop.plan(job("acme/*", "other/*"))) == expected
    assert _outcomes(workshop.sync(job("acme/*", "other/*"))) == expected
    assert [str(event.repo) for event in workshop.events if isinstance(event, Crashed)] == ["acme/*"]


def test_a_fault_in_the_names_of_one_repo_stops_no_other(hub: Hub, workshop: Workshop) -> None:
    _good_and_bad(hub)
    _strike(workshop, "refs", "acme/bad")
    report = workshop.sync(job("acme/*", revisions=("v*",)))
    assert _outcomes(report) == {"acme/bad": ("failed", "internal"), "acme/good": ("published", "")}


def test_a_job_that_fails_as_a_whole_stops_no_other_job(hub: Hub, workshop: Workshop) -> None:
    _good_and_bad(hub)
    nowhere = job("acme/good", "acme/bad", name="nowhere", upstream="gone")
    expected = {
        "acme/good": ("failed", "internal"),
        "acme/bad": ("failed", "internal"),
        "other/good": ("published", ""),
    }
    assert _outcomes(workshop.plan(nowhere, job("other/good"))) == expected
    assert _outcomes(workshop.sync(nowhere, job("other/good"))) == expected


def test_a_lock_that_cannot_be_taken_fails_its_repo_alone(hub: Hub, workshop: Workshop) -> None:
    _good_and_bad(hub)
    target = workshop.context.targets["bucket"]

    def lock(repo: Repo) -> Any:
        if repo.id == "acme/bad":
            raise NotADirectoryError("locks is a file")
        return target.lock(repo)

    workshop.context = replace(workshop.context, targets={"bucket": replace(target, lock=lock)})
    assert _outcomes(workshop.sync(job("acme/*"))) == {
        "acme/bad": ("failed", "internal"),
        "acme/good": ("published", ""),
    }


@pytest.mark.filterwarnings("ignore:observer")
def test_observers_that_raise_at_every_event_change_nothing(hub: Hub, workshop: Workshop) -> None:
    _good_and_bad(hub)
    told: list[Event] = []

    def fails(event: Event) -> None:
        raise RuntimeError(type(event).__name__)

    workshop.context = replace(workshop.context, tell=tell_all((fails, told.append, fails)))
    assert workshop.sync(job("acme/*")).ok
    assert isinstance(told[0], RunStarted)
    assert isinstance(told[-1], RunFinished)


def test_a_run_that_began_ends_for_who_watches_whatever_leaves_it(hub: Hub, workshop: Workshop) -> None:
    _good_and_bad(hub)

    class Killed(BaseException):
        pass

    def tell(event: Event) -> None:
        workshop.events.append(event)
        if not isinstance(event, RunStarted | RunFinished):
            raise Killed

    workshop.context = replace(workshop.context, tell=tell)
    with pytest.raises(Killed):
        workshop.sync(job("acme/good"))
    last = workshop.events[-1]
    assert isinstance(last, RunFinished)
    assert last.report.interrupted
    assert not last.report.ok
