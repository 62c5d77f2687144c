"""Endpoints of one upstream need not hold the same: what another than the first says moves no name back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from mirror_sync.domain.content.refs import CLOSED
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.guard import Guard
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Seen, Task, TaskResult
from mirror_sync.engine.sync.decide import Decider
from mirror_sync.net.transport import Transport
from mirror_sync.ports.source import Source
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.failover import FailoverSource
from tests.engine.workshop import Proving, Workshop, job
from tests.standin import Hub, faults

JOB = job("acme/x")
OLD, NEW = {"a": b"old"}, {"a": b"new"}


@dataclass(frozen=True)
class Pair:
    """Two endpoints of the upstream of a workshop; both have had the old commit, the first has a newer one."""

    first: Hub
    second: Hub
    shop: Workshop

    def silence_the_first(self) -> None:
        self.first.faults.add(faults.status(503), "*", origin="hub")

    def empty_the_first(self) -> None:
        self.first.remove("acme/x")


FAR = 60  # commits: more than a page of a history tells
Failure = Callable[[Pair], None]


def empty_the_first_and_tell_no_history(pair: Pair) -> None:
    pair.empty_the_first()
    pair.second.behaviour.lacks = frozenset({"commits"})


FAILURES = pytest.mark.parametrize(
    "fail", [Pair.silence_the_first, Pair.empty_the_first, empty_the_first_and_tell_no_history]
)


def move_on(hub: Hub, commits: int) -> None:
    for number in range(commits):
        hub.model("acme/x").commit({"a": b"%d" % number})


def other_history(hub: Hub, date: datetime | None = None) -> str:
    """Main is a commit without any before it, as after a squash."""
    repo = hub.model("acme/x")
    commit = repo.commit({"a": b"other"}, branch=f"b{len(repo.refs)}", date=date)
    repo.branch("main", commit)
    return commit


def assert_held(report: RepoReport, *words: str) -> None:
    assert (report.outcome, report.code) == (RepoOutcome.HELD, "stale-endpoint")
    assert [word for word in words if word not in report.reason] == []


@pytest.fixture
def pair(hub: Hub, tmp_path: Path) -> Iterator[Pair]:
    with Hub() as second:
        for one in (hub, second):
            one.model("acme/x", license="mit").commit(OLD)
        hub.model("acme/x").commit(NEW)
        shop = Workshop(hub.url, tmp_path)
        both = FailoverSource([HubSource(one.url, None, Transport()) for one in (hub, second)])
        shop.context = replace(shop.context, sources={"hub": cast("Source", Proving(both, shop))})
        yield Pair(hub, second, shop)


def test_an_older_commit_of_another_endpoint_is_held_and_the_endpoint_named(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    pair.silence_the_first()
    report = pair.shop.sync_one(JOB)
    assert (report.outcome, report.code) == (RepoOutcome.HELD, "stale-endpoint")
    assert pair.second.url in report.reason
    assert pair.shop.files("acme/x") == NEW


def test_a_newer_commit_of_another_endpoint_is_published(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    pair.second.model("acme/x").commit(NEW)
    pair.second.model("acme/x").commit({"a": b"newest"})
    assert pair.second.model("acme/x").head() != pair.first.model("acme/x").head()
    pair.silence_the_first()
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    assert pair.shop.files("acme/x") == {"a": b"newest"}


def test_what_was_closed_is_opened_by_no_new_commit_of_another_endpoint(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    pair.first.model("acme/x").set(gated="auto")
    pair.shop.sync_one(JOB)
    assert CLOSED in pair.shop.refs("acme/x").attachments
    pair.second.follow(pair.first)
    pair.second.model("acme/x").set(gated=False)
    pair.second.model("acme/x").commit({"a": b"newest"})
    pair.silence_the_first()
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    assert CLOSED in pair.shop.refs("acme/x").attachments


def test_the_first_endpoint_may_move_a_name_back(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    repo = pair.first.model("acme/x")
    repo.branch("main", pair.second.model("acme/x").head())
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    assert pair.shop.files("acme/x") == OLD


@FAILURES
def test_what_is_far_behind_is_held_however_the_first_failed_to_tell(pair: Pair, fail: Failure) -> None:
    move_on(pair.first, FAR)
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    newest = pair.shop.files("acme/x")
    fail(pair)
    assert_held(pair.shop.sync_one(JOB), pair.second.url, "does not show that this is newer")
    assert pair.shop.plan_one(JOB).code == "stale-endpoint"
    assert pair.shop.files("acme/x") == newest


@FAILURES
def test_what_is_far_ahead_is_followed_however_the_first_failed_to_tell(pair: Pair, fail: Failure) -> None:
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    pair.second.follow(pair.first)
    move_on(pair.second, FAR)
    fail(pair)
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    assert pair.shop.commit("acme/x") == pair.second.model("acme/x").head()


def test_a_repo_that_only_another_endpoint_has_moves_on_with_it_through_a_squash_too(pair: Pair) -> None:
    pair.empty_the_first()
    for _ in range(3):
        assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
        assert pair.shop.commit("acme/x") == pair.second.model("acme/x").head()
        other_history(pair.second)
        assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
        pair.second.model("acme/x").commit({"a": b"more"})


def test_a_history_that_dates_itself_older_is_held_until_a_person_accepts_just_this_move(pair: Pair) -> None:
    pair.empty_the_first()
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    before = pair.second.model("acme/x").head()
    other = other_history(pair.second, datetime(2020, 1, 1, tzinfo=UTC))
    move = Guard.move(CommitId(before), CommitId(other))
    for _ in range(2):
        assert_held(pair.shop.sync_one(JOB), f"add '{move}' to guard.accept of the job")
    accepting = job("acme/x", guard=Guard(accept=frozenset({move})))
    assert pair.shop.sync_one(accepting).outcome == RepoOutcome.PUBLISHED
    assert pair.shop.commit("acme/x") == other
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.UNCHANGED
    pair.second.model("acme/x").commit(NEW)
    assert pair.shop.sync_one(accepting).outcome == RepoOutcome.PUBLISHED
    pair.second.model("acme/x").branch("main", other)
    assert_held(pair.shop.sync_one(accepting), other)


def test_an_older_commit_of_the_only_endpoint_that_has_the_repo_is_held_until_it_is_accepted(pair: Pair) -> None:
    pair.empty_the_first()
    older = pair.second.model("acme/x").head()
    newer = pair.second.model("acme/x").commit(NEW)
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    pair.second.model("acme/x").branch("main", older)
    assert_held(pair.shop.sync_one(JOB), f"which is older than {newer}")
    move = Guard.move(CommitId(newer), CommitId(older))
    assert pair.shop.sync_one(job("acme/x", guard=Guard(accept=frozenset({move})))).outcome == RepoOutcome.PUBLISHED
    assert pair.shop.files("acme/x") == OLD


def test_what_the_first_has_taken_back_does_not_come_again_by_another_endpoint(pair: Pair) -> None:
    pair.second.follow(pair.first)
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    repo = pair.first.model("acme/x")
    parent = repo.commits[repo.head()].parent
    assert parent is not None
    repo.branch("main", parent.id)
    assert pair.shop.sync_one(JOB).outcome == RepoOutcome.PUBLISHED
    pair.silence_the_first()
    assert_held(pair.shop.sync_one(JOB), "which was published before under another name, or given up")
    assert pair.shop.files("acme/x") == OLD


@FAILURES
@pytest.mark.parametrize("by_another", [False, True], ids=["by the job itself", "by another job"])
def test_a_newer_commit_that_a_job_pins_is_no_commit_that_the_name_has_left(
    pair: Pair, fail: Failure, by_another: bool
) -> None:
    newest = pair.first.model("acme/x").commit({"a": b"newest"}, branch="dev")
    pinned = job("acme/x", revisions=("main", newest))
    jobs = (JOB, job("acme/x", name="pins", revisions=(newest,))) if by_another else (pinned,)
    assert {report.outcome for report in pair.shop.sync(*jobs).repos} == {RepoOutcome.PUBLISHED}
    assert pair.shop.files("acme/x") == NEW
    pair.second.follow(pair.first)
    pair.second.model("acme/x").branch("main", newest)
    fail(pair)
    moved = next(report for report in pair.shop.sync(*jobs).repos if report.revision == "main")
    assert (moved.outcome, moved.commit) == (RepoOutcome.PUBLISHED, newest)
    assert pair.shop.files("acme/x") == {"a": b"newest"}


def test_an_older_commit_of_another_endpoint_is_held_also_where_a_job_pins_it(pair: Pair) -> None:
    pinning = job("acme/x", revisions=("main", pair.second.model("acme/x").head()))
    pair.shop.sync(pinning)
    pair.silence_the_first()
    main = next(report for report in pair.shop.sync(pinning).repos if report.revision == "main")
    assert_held(main, "which is older than")


@pytest.mark.parametrize("known", [True, False], ids=["published before", "never published"])
def test_that_a_name_goes_back_is_said(pair: Pair, known: bool) -> None:
    repo = pair.first.model("acme/x")
    older, newer = pair.second.model("acme/x").head(), repo.head()
    if known:
        repo.branch("main", older)
        assert pair.shop.sync_one(JOB).reason == ""
        repo.branch("main", newer)
    assert pair.shop.sync_one(JOB).reason == ""
    repo.branch("main", older)
    report = pair.shop.sync_one(JOB)
    assert (report.outcome, report.commit) == (RepoOutcome.PUBLISHED, older)
    assert report.reason == f"main goes back from {newer}, which is newer"
    repo.branch("main", newer)
    assert pair.shop.sync_one(JOB).reason == ""


def test_what_another_endpoint_says_while_the_first_is_silent_is_told_as_second_hand(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).code == ""
    pair.second.model("acme/x").commit(NEW)
    pair.silence_the_first()
    for newer in ("unchanged", "published"):
        report = pair.shop.sync_one(JOB)
        assert (report.outcome, report.code) == (newer, "second-hand")
        assert f"as {pair.second.url} has it" in report.reason
        pair.second.model("acme/x").commit({"a": b"newest"})


def test_a_refusal_by_what_another_endpoint_says_while_the_first_is_silent_is_looked_at_again(pair: Pair) -> None:
    assert pair.shop.sync_one(JOB).code == ""
    pair.second.model("acme/x").set(license="cc-by-nc-4.0")
    refused = [pair.shop.sync_one(JOB)]
    pair.silence_the_first()
    refused.append(pair.shop.sync_one(JOB))
    pair.second.model("acme/x").commit(NEW)
    refused.append(pair.shop.sync_one(JOB))
    assert [(one.outcome, one.code, one.unconfirmed) for one in refused] == [
        (RepoOutcome.UNCHANGED, "", False),
        (RepoOutcome.HELD, "license", True),
        (RepoOutcome.HELD, "license", True),
    ]


def test_a_hold_by_what_another_endpoint_said_once_the_first_fell_silent_is_looked_at_again(pair: Pair) -> None:
    context, task = pair.shop.context, Task(JOB, Repo.parse("acme/x"), "main")
    decider = Decider.of(context, context.source(JOB), context.targets[JOB.target], [JOB])
    task, _, seen = decider.check(task)
    assert isinstance(seen, Seen)
    assert seen.resolved.fallback is None, "the first has said it"
    assert pair.shop.sync_one(JOB).code == ""  # so that it is asked again
    pair.second.model("acme/x").commit(NEW)
    pair.second.model("acme/x").commit(delete=list(NEW))
    pair.silence_the_first()
    found = decider.plan_change(task, seen)
    assert isinstance(found, TaskResult)
    assert (found.outcome, found.code, found.unconfirmed) == (RepoOutcome.HELD, "guard", True), found.reason


def test_a_404_of_a_partial_endpoint_withdraws_nothing_while_the_first_is_silent(pair: Pair) -> None:
    wish = job("acme/x", on_gone=OnGone.WITHDRAW)
    assert pair.shop.sync_one(wish).outcome == RepoOutcome.PUBLISHED
    pair.second.remove("acme/x")
    pair.silence_the_first()
    assert pair.shop.sync_one(wish).outcome == RepoOutcome.FAILED
    assert pair.shop.files("acme/x") == NEW
    assert pair.shop.refs("acme/x").gone is None
