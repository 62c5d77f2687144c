"""A target that holds more than it may lets go of what was read longest ago, and of nothing that may be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import BLOBS, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.keep import Keep, ReadTimes
from mirror_sync.domain.job.ranking import Ranking
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.outcome.report import PruneReport, RepoReport
from mirror_sync.domain.policy.decisions import STRANGER
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.published import change_refs
from mirror_sync.engine.run import sync_jobs
from mirror_sync.engine.upkeep.prune import Prune
from tests.engine.machines import Clock, Machine, Shelf, Upstream, blobs_of, expect_complete, named, refs_of
from tests.engine.workshop import job

DAY = 86_400.0
KIB = 1024
GLOB = job("acme/*", workers=1)
A, B, C = (Repo.parse(f"acme/{name}") for name in "abc")


class Edge:
    """A small machine: three repos of 64 KiB each, published a hundred days ago, whose reads are counted since."""

    def __init__(self, limit: int = 150 * KIB, **keep: Any) -> None:
        self.clock = Clock()
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.machine = Machine(self.upstream, self.shelf)
        self.read: dict[Repo, float] = {}
        self.asked: dict[Repo, float] = {}
        self.reads: dict[str, Any] = {"doubt": "", "since": self.clock.now}
        self.keep = Keep(limit, ("log",), **keep)
        self.counted = count()
        target = replace(self.machine.context.targets["bucket"], keep=self.keep)
        self.machine.context = replace(self.machine.context, targets={"bucket": target}, reads=lambda _: self._count())

    def _count(self) -> ReadTimes:
        next(self.counted)
        return ReadTimes(read=dict(self.read), asked=dict(self.asked), **self.reads)

    def fill(self, files: Mapping[str, Mapping[str, bytes]] | None = None) -> Edge:
        for repo, body in (files or {f"acme/{name}": {"w": name.encode() * 64 * KIB} for name in "abc"}).items():
            self.upstream.commit(repo, body)
        self.sync()
        self.clock.advance(100 * DAY)
        return self

    def ago(self, **days: float) -> Edge:
        self.read |= {Repo.parse(f"acme/{name}"): self.clock.now - each * DAY for name, each in days.items()}
        return self

    def sync(self, *jobs: Job, ordered: frozenset[Repo] = frozenset()) -> dict[str, RepoReport]:
        context = replace(self.machine.context, wanted_now=ordered, actor=BY_DAEMON)
        report = sync_jobs(context, jobs or [GLOB], jobs or [GLOB])
        return {one.repo: one for one in report.repos}

    def prune(self, *jobs: Job, dry_run: bool = False) -> PruneReport:
        report = Prune(self.machine.context, jobs or [GLOB], dry_run=dry_run).run()
        assert report.ok, report.problems
        return report

    def there(self) -> set[str]:
        return {name for name in "abc" if refs_of(self.shelf, f"acme/{name}").snapshots}

    def amend(self, repo: Repo, **changes: Any) -> None:
        target = self.machine.context.targets["bucket"]
        change_refs(target, repo, lambda refs: replace(refs, **changes))


def test_what_was_read_longest_ago_goes_until_the_rest_fits_and_all_that_stays_is_whole() -> None:
    edge = Edge().fill().ago(a=20, b=50, c=30)
    report = edge.prune()
    [told] = report.keeps
    assert edge.there() == {"a", "c"}
    assert [(one.repo, one.snapshots) for one in told.repos] == [("acme/b", 1)]
    assert told.bytes > told.limit >= told.left
    [gone] = report.repos
    assert gone.why == f"nobody has read it since {told.repos[0].read}"
    assert gone.bytes == told.repos[0].bytes == told.bytes - told.left
    expect_complete(edge.shelf)
    assert blobs_of(edge.shelf) == named(edge.shelf)
    assert sum(len(body) for key, (body, _) in edge.shelf.objects.items() if key in named(edge.shelf)) == told.left


def test_a_rehearsal_says_the_same_and_changes_nothing() -> None:
    edge = Edge().fill().ago(a=20, b=50, c=30)
    before = dict(edge.shelf.objects)
    rehearsed = edge.prune(dry_run=True)
    assert edge.shelf.objects == before
    real = edge.prune()
    assert (rehearsed.repos, rehearsed.keeps, rehearsed.bytes) == (real.repos, real.keeps, real.bytes)


def test_what_fits_is_not_even_looked_at() -> None:
    edge = Edge(limit=10**9).fill().ago(a=90, b=90, c=90)
    assert edge.prune().repos == ()
    assert edge.there() == {"a", "b", "c"}


def test_what_was_never_read_goes_by_its_publication_and_nothing_goes_before_its_days() -> None:
    edge = Edge(limit=1, unread=timedelta(days=30)).fill().ago(a=29, b=31)
    [told] = edge.prune().keeps
    assert [one.repo for one in told.repos] == ["acme/c", "acme/b"]  # published a hundred days ago, read by nobody
    assert told.repos[0].read == ""
    assert edge.there() == {"a"}
    assert (told.problem, told.left > told.limit) == ("", True)
    assert told.stays == {"it was read, or published, not long ago": 1}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"doubt": "log: there is no such log"}, "no such log"),
        ({"since": None}, "nothing was counted"),
        ({"since": 6.5}, "which is less than 7d"),
    ],
)
def test_what_is_not_counted_is_never_unread(said: dict[str, Any], why: str) -> None:
    edge = Edge(limit=1).fill().ago(a=90, b=90, c=90)
    since = said.get("since")
    edge.reads |= said | ({} if since is None else {"since": edge.clock.now - since * DAY})
    report = edge.prune()
    assert (report.repos, edge.there()) == ((), {"a", "b", "c"})
    assert why in report.keeps[0].problem


def _pinned(edge: Edge) -> None:
    document = b'{"at": "2026-01-01T00:00:00Z"}'
    edge.machine.view.put(blob_key(Sha256.of(document)), document, Sha256.of(document))
    edge.amend(B, attachments={"pinned": Sha256.of(document)})


def _named_by_us(edge: Edge) -> None:
    edge.amend(B, channels={"stable": next(iter(refs_of(edge.shelf, "acme/b").snapshots))})


@pytest.mark.parametrize(("decided", "why"), [(_pinned, "its main is pinned"), (_named_by_us, "it has names of ours")])
def test_what_a_person_has_pinned_or_named_stays_however_old_its_reads(decided: Any, why: str) -> None:
    edge = Edge(limit=1).fill().ago(a=20, b=90, c=30)
    decided(edge)
    assert edge.prune().keeps[0].stays == {why: 1}
    assert edge.there() == {"b"}


@pytest.mark.parametrize("revision", ["commit", "v1"])
def test_a_repo_of_which_a_job_names_a_tag_or_a_commit_stays(revision: str) -> None:
    edge = Edge(limit=1).fill().ago(a=90, b=90, c=90)
    refs = refs_of(edge.shelf, "acme/b")
    commit = next(iter(refs.snapshots))
    if revision == "v1":
        edge.amend(B, refs=(*refs.refs, replace(refs.refs[0], group="tags", name="v1", ref="refs/tags/v1")))
    naming = job("acme/b*", name="tags", revisions=("main", commit if revision == "commit" else revision))
    assert edge.prune(GLOB, naming).keeps[0].stays == {"a job names its tag or commit": 1}
    assert edge.there() == {"b"}


def test_a_repo_that_a_job_spells_out_stays_or_goes_behind_all_others_as_the_target_says() -> None:
    spelled = job("acme/b", name="b", workers=1)
    stays = Edge(limit=1).fill().ago(a=20, b=90, c=30)
    assert stays.prune(GLOB, spelled).keeps[0].stays == {"a job spells it out": 1}
    assert stays.there() == {"b"}
    last = Edge(named=True).fill().ago(a=20, b=90, c=30)
    assert [one.repo for one in last.prune(GLOB, spelled).keeps[0].repos] == ["acme/c"]
    goes = Edge(limit=1, named=True).fill().ago(a=20, b=90, c=30)
    assert [one.repo for one in goes.prune(GLOB, spelled).keeps[0].repos] == ["acme/c", "acme/a", "acme/b"]


def test_what_no_job_names_or_no_upstream_gives_stays_since_nothing_would_bring_it_again() -> None:
    edge = Edge(limit=1).fill().ago(a=90, b=90, c=90)
    edge.amend(C, gone=Gone("disabled", edge.clock.wall()))
    assert set(edge.prune(job("acme/b*"), job("acme/c*", name="c")).keeps[0].stays) == {
        "no job names it: nothing would bring it again",
        "its upstream no longer gives it: nothing could bring it again",
    }
    assert edge.there() == {"a", "c"}


def test_what_a_select_of_the_whole_hub_has_never_taken_is_not_its_to_bring_again() -> None:
    """Such a select may name any repo there is: also one that was pushed, imported, or left by a job that is gone."""
    edge = Edge(limit=1).fill().ago(a=90, b=90, c=90)
    every = job("*/*", name="popular", ranking=Ranking(RepoPattern.parse("*/*"), limit=2))
    assert edge.prune(every).keeps[0].stays == {"no job names it: nothing would bring it again": 3}
    assert edge.there() == {"a", "b", "c"}


def test_what_others_name_too_frees_nothing_and_stays_where_it_is() -> None:
    """The base is read, and the adapter is not: the bytes that both have belong to who is read last."""
    big, own = b"s" * 96 * KIB, b"x" * 48 * KIB
    edge = Edge().fill({"acme/a": {"big": big}, "acme/b": {"big": big, "own": own}, "acme/c": {"w": b"c" * 48 * KIB}})
    [told] = edge.ago(a=8, b=60, c=50).prune().keeps
    assert [one.repo for one in told.repos] == ["acme/b"]
    assert len(own) < told.repos[0].bytes < len(big)
    assert blob_key(Sha256.of(big)) in edge.shelf.objects
    expect_complete(edge.shelf)


def test_what_was_let_go_of_is_not_brought_again_by_a_schedule_but_by_whoever_asks() -> None:
    edge = Edge().fill().ago(a=20, b=50, c=30)
    edge.prune()
    commit = edge.upstream.commit("acme/b", {"w": b"new"})  # a new commit asks for nothing
    edge.asked[B] = edge.clock.now - DAY  # nor does who asked before
    for _ in range(2):
        report = edge.sync()["acme/b"]
        assert (report.outcome, report.code) == ("held", LET_GO)
        assert "mirror-sync sync job --repo acme/b" in report.reason
    assert edge.there() == {"a", "c"}
    edge.asked[B] = edge.clock.now + 1
    assert edge.sync()["acme/b"].outcome == "published"
    refs = refs_of(edge.shelf, "acme/b")
    assert (refs.commit_of("main"), refs.gone) == (commit, None)


def test_whom_a_front_led_elsewhere_has_asked_for_it_as_well() -> None:
    """A redirect to the upstream is no 404, and counts as a read of what is not here: it was one in vain."""
    edge = Edge().fill().ago(a=20, b=50, c=30)
    edge.prune()
    edge.read[B] = edge.clock.now + 1
    assert edge.sync()["acme/b"].outcome == "published"


def test_a_person_who_orders_a_repo_gets_it_and_no_other() -> None:
    edge = Edge(limit=1).fill().ago(a=90, b=90, c=90)
    edge.prune()
    assert edge.there() == set()
    assert {one: report.code for one, report in edge.sync(ordered=frozenset({B})).items()} == {
        "acme/a": LET_GO,
        "acme/b": "",
        "acme/c": LET_GO,
    }
    assert edge.there() == {"b"}


def test_what_was_asked_for_and_came_stays_its_days_so_that_nothing_comes_and_goes() -> None:
    edge = Edge(limit=1).fill().ago(a=90, b=90, c=90)
    edge.prune()
    for _ in range(3):
        edge.clock.advance(DAY)
        edge.asked = dict.fromkeys((A, B, C), edge.clock.now)
        edge.sync()
        edge.prune()
        assert edge.there() == {"a", "b", "c"}
    fetched = len(edge.upstream.fetched)
    edge.clock.advance(DAY)
    edge.sync()
    assert len(edge.upstream.fetched) == fetched


def test_reads_are_counted_once_a_run_and_only_where_something_was_let_go_of() -> None:
    edge = Edge(limit=1).fill().ago(a=90, b=90, c=90)
    assert next(edge.counted) == 0
    edge.sync()
    assert next(edge.counted) == 1
    edge.prune()
    edge.sync()
    assert next(edge.counted) == 4


def test_another_repo_under_the_name_of_one_that_was_let_go_of_is_held() -> None:
    """The note in its place says which repo it was: a name that was given away meanwhile brings no stranger."""
    edge = Edge().fill()
    plain = edge.upstream.resolve

    def known(repo: Repo, revision: str, id: str = "1") -> Any:  # noqa: A002
        found = plain(repo, revision)
        return replace(found, described={**found.described, "_id": id})

    edge.upstream.resolve = known  # type: ignore[method-assign]
    edge.upstream.commit("acme/b", {"w": b"b" * 65 * KIB})
    edge.sync()
    edge.clock.advance(100 * DAY)
    edge.ago(a=20, b=50, c=30).prune()
    gone = refs_of(edge.shelf, "acme/b").gone
    assert gone is not None
    assert (gone.code, gone.identity.id) == (LET_GO, "1")
    edge.upstream.resolve = lambda repo, revision: known(repo, revision, "2")  # type: ignore[method-assign]
    report = edge.sync(ordered=frozenset({B}))["acme/b"]
    assert (report.outcome, report.code) == ("held", STRANGER)
    assert edge.there() == {"a", "c"}


def test_a_name_that_is_given_while_it_is_decided_keeps_the_repo() -> None:
    edge = Edge().fill().ago(a=20, b=50, c=30)
    lists = count(1)

    def name_it(verb: str, key: str) -> None:
        if (verb, key) == ("list", BLOBS) and next(lists) == 2:  # it was chosen, and its size is being told
            _named_by_us(edge)

    edge.machine.view.before = name_it
    [told] = edge.prune().keeps
    assert (told.repos, told.left) == ((), told.bytes)
    assert edge.there() == {"a", "b", "c"}
    assert refs_of(edge.shelf, "acme/b").channels
