"""What a prune cannot follow to its leaves ends it: nothing is removed, and one line says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.outcome.report import PruneReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.errors import KeyMissing, StoreUnavailable
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat
from tests.engine.machines import GRACE, HOUR, Clock, Machine, Shelf, Upstream, View, blobs_of, refs_of
from tests.engine.workshop import job

SHORT = Retention(snapshots=1, age=timedelta(hours=1))
ACME = job("acme/*", workers=1, retention=SHORT)
REFS = "hub/models/acme--x/refs.json"


class Place:
    """A machine, and a target with one snapshot of acme/x, one that is due to go, and one blob of nobody."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.machine = Machine(self.upstream, self.shelf)
        for body in (b"1", b"2"):
            self.clock.advance(1)
            self.upstream.commit("acme/x", {"a": body, "b": b"b"})
            assert self.machine.sync(job("acme/x", workers=1)).outcome == "published"
        self.machine.view.put(blob_key(Sha256.of(b"left")), b"left", Sha256.of(b"left"))
        self.clock.advance(GRACE.total_seconds() + HOUR)

    def look_through(self, view: View) -> None:
        """Use another view from now on."""
        machine = Machine(self.upstream, self.shelf)
        object.__setattr__(machine.context.targets["bucket"], "store", view)
        self.machine = machine

    def expect_nothing_removed(self, *said: str) -> None:
        before = dict(self.shelf.objects)
        report = self.machine.prune(ACME)
        assert not report.ok
        assert (report.blobs, report.ended) == (0, ())
        (problem,) = report.problems
        assert problem.startswith("target bucket is not pruned to its end: ")
        assert "\n" not in problem
        for words in said:
            assert words in problem
        assert before.items() <= self.shelf.objects.items(), "something was removed or un-published"
        assert self.machine.prune(ACME, dry_run=True).blobs == 0


@pytest.fixture
def place() -> Place:
    return Place()


def test_an_empty_list_of_repos_is_no_leave_to_remove_all_blobs(place: Place) -> None:
    class Blind(View):
        def list(self, prefix: str) -> Iterator[Stat]:
            return iter(()) if prefix == "hub/" else super().list(prefix)

    place.look_through(Blind(place.shelf))
    place.expect_nothing_removed("has blobs and publishes no repo", "mirror-sync prune --everything bucket")


@pytest.mark.parametrize("lists", [1, 2, 3, 4])
def test_a_repo_that_only_an_earlier_list_had_ends_a_prune(place: Place, lists: int) -> None:
    place.upstream.commit("acme/y", {"a": b"y"})
    place.machine.sync(job("acme/y", workers=1, retention=SHORT))
    place.clock.advance(GRACE.total_seconds() + HOUR)

    class Forgetful(View):
        made = 0

        def list(self, prefix: str) -> Iterator[Stat]:
            self.made += prefix == "hub/"
            some = super().list(prefix)
            return (stat for stat in some if self.made <= lists or stat.key != REFS)

    place.look_through(Forgetful(place.shelf))
    report = place.machine.prune(ACME)
    assert not report.ok
    assert REFS in report.problems[0]
    assert report.blobs == 0 or lists == 4  # the last list comes after the removals
    assert blob_key(Sha256.of(b"2")) in place.shelf.objects


def test_a_repo_that_is_listed_and_cannot_be_read_names_something_all_the_same(place: Place) -> None:
    class Lost(View):
        def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
            if key == REFS:
                raise KeyMissing(key)
            return super().read(key, start, stop)

    place.look_through(Lost(place.shelf))
    place.expect_nothing_removed(REFS, "is listed, and reading it finds no such key")


@pytest.mark.parametrize("body", [b"", b"{}", b"null"])
def test_a_refs_json_that_is_none_ends_a_prune(place: Place, body: bytes) -> None:
    place.shelf.objects[REFS] = (body, place.clock.now)
    place.expect_nothing_removed("not a refs.json")


@pytest.mark.parametrize(
    "key",
    ["hub/buckets/acme--x/refs.json", "hub/models/a--b--c/refs.json", "hub/models/x/y/refs.json", "hub/refs.json"],
)
def test_refs_of_no_repo_that_this_program_knows_end_a_prune(place: Place, key: str) -> None:
    """A newer program may publish other kinds, or other names."""
    place.shelf.objects[key] = place.shelf.objects[REFS]
    place.expect_nothing_removed(f"{key} is of no repo that this program knows")


def _documents(place: Place) -> tuple[str, ...]:
    """The keys of the root and the shards of what main points to."""
    root = refs_of(place.shelf, "acme/x").root_of("main")
    assert root is not None
    top = Root.decode(place.shelf.objects[blob_key(root)][0])
    return (blob_key(root), *(blob_key(shard.digest) for shard in top.shards))


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("rotten", [False, True])
def test_a_document_that_is_gone_or_damaged_at_any_level_ends_a_prune(place: Place, level: int, rotten: bool) -> None:
    key = _documents(place)[level]
    if rotten:
        place.shelf.objects[key] = (b"rotten", place.clock.now)
    else:
        del place.shelf.objects[key]
    before = blobs_of(place.shelf)
    report = place.machine.prune(ACME)
    assert (report.ok, report.blobs, len(report.problems)) == (False, 0, 1)
    assert blobs_of(place.shelf) == before


def test_a_target_whose_first_sync_goes_on_has_blobs_and_no_repo_and_no_problem() -> None:
    clock = Clock()
    shelf = Shelf(clock)
    machine = Machine(Upstream(), shelf)
    machine.view.put(blob_key(Sha256.of(b"new")), b"new", Sha256.of(b"new"))
    report = machine.prune(ACME)
    assert (report.ok, report.blobs, report.young) == (True, 0, 1)


def test_all_blobs_of_a_target_without_repos_go_where_it_is_named(place: Place) -> None:
    del place.shelf.objects[REFS]
    context, count = place.machine.context, len(blobs_of(place.shelf))
    assert not Prune(context, [ACME], everything="other").run().ok
    assert Prune(context, [ACME], dry_run=True, everything="bucket").run().blobs == count
    assert len(blobs_of(place.shelf)) == count
    report = Prune(context, [ACME], everything="bucket").run()
    assert (report.ok, report.blobs, blobs_of(place.shelf)) == (True, count, set())


LEFT = {Sha256.of(body): body for body in (b"left", *(b"left %d" % number for number in range(9)))}


def test_where_all_may_go_it_may_be_remembered_too_and_a_list_with_some_repos_has_all_of_them(place: Place) -> None:
    context = replace(
        place.machine.context, remembered=lambda target: frozenset({Repo.parse("acme/x"), Repo.parse("acme/y")})
    )
    count = len(blobs_of(place.shelf))
    report = Prune(context, [ACME], everything="bucket").run()
    assert "of what was published there it lacks acme/y" in report.problems[0]
    del place.shelf.objects[REFS]
    assert "it lacks acme/x, acme/y" in Prune(context, [ACME]).run().problems[0]
    assert len(blobs_of(place.shelf)) == count
    assert Prune(context, [ACME], everything="bucket").run().blobs == count


def _refused(place: Place, after: Callable[[View], None] = lambda view: None) -> PruneReport:
    """A prune whose removal of ten blobs is refused when five of them are gone; `after` is called then."""
    for digest, body in LEFT.items():
        place.shelf.objects[blob_key(digest)] = (body, 0.0)

    class Refusing(View):
        def delete(self, keys: Iterable[str]) -> None:
            named = list(keys)
            blobs = [key for key in named if key.startswith("blobs/")]
            super().delete(blobs[:5] or named)
            if blobs:
                after(self)
                raise StoreUnavailable("503 SlowDown")

    place.look_through(Refusing(place.shelf))
    return place.machine.prune(job("acme/*", workers=1))


def test_what_went_before_a_removal_was_refused_is_counted(place: Place) -> None:
    report = _refused(place)
    left = {digest for digest in LEFT if blob_key(digest) in place.shelf.objects}
    assert not report.ok
    assert (report.blobs, len(left)) == (5, 5)
    assert report.bytes == sum(len(body) for digest, body in LEFT.items() if digest not in left)
    assert "503 SlowDown" in report.problems[-1]


def test_what_went_before_a_removal_was_refused_is_looked_for_at_the_end(place: Place) -> None:
    """A sync whose view of the target is a little old publishes one of them meanwhile."""

    def publish(view: View) -> None:
        gone = next(digest for digest in LEFT if blob_key(digest) not in view.shelf.objects)
        late = Machine(place.upstream, view.shelf)
        place.upstream.commit("acme/late", {"again": LEFT[gone]})
        assert late.sync(job("acme/late", workers=1)).outcome == "published"
        del view.shelf.objects[blob_key(gone)]

    report = _refused(place, publish)
    assert any("1 removed blobs are named by a snapshot" in problem for problem in report.problems)


def test_where_nobody_can_tell_what_went_the_report_says_so(place: Place) -> None:
    def fall_silent(view: View) -> None:
        def silent(verb: str, key: str) -> None:
            if verb == "stat":
                raise StoreUnavailable("no answer")

        view.before = silent

    report = _refused(place, fall_silent)
    assert report.blobs == 0
    assert any("which of the last 10 blobs are gone is not known: no answer" in each for each in report.problems)
