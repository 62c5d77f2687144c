"""A run that is asked for single repos of a job, or that must end at a certain time."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mirror_sync.domain.outcome.events import RunStarted
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.stopping import Until
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub

ONE, TWO = Repo.parse("acme/one"), Repo.parse("acme/two")


def test_only_the_repos_asked_for_are_brought_and_no_owner_is_listed(hub: Hub, workshop: Workshop) -> None:
    for name in ("acme/one", "acme/two", "other/one"):
        hub.model(name, license="mit").commit({"a": b"1"})
    asked = replace(job("acme/*", "other/one"), only=frozenset({ONE}))
    (report,) = workshop.sync(asked).repos
    assert (report.repo, report.outcome) == ("acme/one", "published")
    assert {request.path for request in hub.log if "one" not in request.path} == set()


def test_a_repo_that_the_job_does_not_name_is_not_brought(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/two", license="mit").commit({"a": b"1"})
    assert workshop.sync(replace(job("acme/one"), only=frozenset({TWO}))).repos == ()


def test_a_private_repo_that_only_a_glob_names_needs_its_approval_also_when_it_is_asked_for(
    hub: Hub, tmp_path: Path
) -> None:
    workshop = Workshop(hub.url, tmp_path, hub.token("hf_member", private=["acme/one"]))
    hub.model("acme/one", license="mit", private=True).commit({"a": b"1"})
    only = frozenset({ONE})
    assert workshop.sync_one(job("acme/*", only=only)).outcome == "held"
    assert workshop.sync_one(job("acme/one", only=only)).outcome == "published"


def test_a_run_of_single_repos_says_so(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/one", license="mit").commit({"a": b"1"})
    for only in (frozenset({ONE}), None):
        workshop.sync(job("acme/one", only=only))
        (started,) = [event for event in workshop.events if isinstance(event, RunStarted)]
        assert started.partial is (only is not None)


def test_a_run_ends_at_its_time_and_the_next_one_goes_on(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/one", license="mit").commit({"a": b"1"})
    context = workshop.context
    past = Until(workshop.stop, context.clock() - timedelta(seconds=1), context.clock)
    workshop.context = replace(context, stop=past)
    report = workshop.sync(job("acme/one"))
    assert (report.interrupted, report.repos) == (True, ())
    assert not workshop.stop.is_set(), "other runs of the process go on"
    workshop.context = context
    assert workshop.sync_one(job("acme/one")).outcome == "published"


def test_a_run_that_is_stopped_says_which_of_its_jobs_came_to_their_end(hub: Hub, workshop: Workshop) -> None:
    for name in "abc":
        hub.model(f"acme/{name}", license="mit").commit({"f": LFS(name.encode())})
    hub.faults.before(lambda _: workshop.stop.set(), "/acme/b/resolve/*")
    jobs = [job(f"acme/{name}", name=name) for name in "abc"]
    stopped = workshop.sync(*jobs)
    assert (stopped.interrupted, stopped.done) == (True, ("a",))
    workshop.stop.clear()
    assert workshop.sync(*jobs, job("acme/none", name="d")).done == ("a", "b", "c", "d")


def test_the_time_a_stop_or_the_run_itself_sets_it() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stop = threading.Event()
    until = Until(stop, now + timedelta(hours=1), lambda: now)
    assert not until.wait(0)
    until.set()
    assert until.is_set()
    assert not stop.is_set()
    other = Until(stop, now + timedelta(hours=1), lambda: now)
    stop.set()
    assert other.wait()
    assert Until(threading.Event(), now, lambda: now).wait()
