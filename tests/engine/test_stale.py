"""What was seen of an upstream may be old by the time it can be published: a name never goes back to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.run import sync_jobs
from tests.engine.workshop import Workshop, job
from tests.standin import Hub

MAIN = job("acme/x")


def _publish_first(hub: Hub, workshop: Workshop, wanted: Job) -> list[str]:
    """While the next sync waits for the lock of its repo, another process publishes a newer commit; its id."""
    target = workshop.context.targets["bucket"]
    newer: list[str] = []

    @contextmanager
    def lock(repo: Repo) -> Iterator[None]:
        if not newer:
            newer.append(hub.model("acme/x").commit({"a": b"newer"}))
            free = replace(target, lock=_free)
            assert sync_jobs(replace(workshop.context, targets={"bucket": free}), [wanted], [wanted]).ok
            assert workshop.commit("acme/x") == newer[0]
        yield

    workshop.context = replace(workshop.context, targets={"bucket": replace(target, lock=lock)})
    return newer


def _free(_repo: Repo) -> AbstractContextManager[object]:
    return threading.Lock()


def test_a_branch_that_moved_on_while_a_sync_waited_for_the_lock_does_not_go_back(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    newer = _publish_first(hub, workshop, MAIN)
    report = workshop.sync_one(MAIN)
    assert (report.outcome, report.commit) == ("unchanged", newer[0])
    assert workshop.commit("acme/x") == newer[0]
    assert workshop.files("acme/x") == {"a": b"newer"}


def test_a_commit_that_is_newer_still_is_published(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1"})
    _publish_first(hub, workshop, MAIN)
    newest: list[str] = []

    def before(key: str) -> None:
        if key.startswith("hub/") and not newest:
            newest.append(repo.commit({"a": b"newest"}))

    workshop.store.before_put = before
    assert workshop.sync_one(MAIN).commit == newest[0]
    assert workshop.files("acme/x") == {"a": b"newest"}


def test_a_listing_made_long_before_moves_no_branch_back(hub: Hub, workshop: Workshop) -> None:
    """The listing of a glob answers for its repos, and the last of them may have to wait for hours."""
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1"})
    newer: list[str] = []

    def publish(_: object) -> None:
        """The listing is on its way; whoever asks for the other owner's repos comes right after it."""
        if not newer:
            newer.append(repo.commit({"a": b"newer"}))
            assert sync_jobs(workshop.context, [MAIN], [MAIN]).ok

    hub.model("zoo/y", license="mit").commit({"a": b"1"})
    hub.faults.before(publish, lambda request: "author=zoo" in request.query_text)
    reports = {report.repo: report for report in workshop.sync(job("acme/*", "zoo/*")).repos}
    assert (reports["acme/x"].outcome, reports["acme/x"].commit) == ("unchanged", newer[0])
    assert workshop.commit("acme/x") == newer[0]


def test_a_repo_that_was_withdrawn_meanwhile_is_asked_for_again(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    workshop.sync(MAIN)
    repo.commit({"a": b"2"})
    target = workshop.context.targets["bucket"]

    @contextmanager
    def lock(_repo: Repo) -> Iterator[None]:
        repo.set(license="gpl-3.0")
        gone = workshop.refs("acme/x").without(list(workshop.refs("acme/x").snapshots))
        body = gone.encode()
        workshop.store.put("hub/models/acme--x/refs.json", body, Sha256.of(body))
        yield

    workshop.context = replace(workshop.context, targets={"bucket": replace(target, lock=lock)})
    report = workshop.sync_one(MAIN)
    assert (report.outcome, report.code) == ("refused", "license")
    assert workshop.commit("acme/x", first) is None


def test_a_repo_that_nobody_else_published_costs_no_second_question(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    for number in range(2):
        repo.commit({"a": b"%d" % number})
        hub.log.clear()
        assert workshop.sync_one(MAIN).outcome == "published"
        assert hub.calls("GET", "/api/models/acme/x/revision/*") == 1
