"""`prune` removes what nothing refers to, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.retention import Retention
from tests.engine.machines import (
    GRACE,
    HOUR,
    Clock,
    Machine,
    Shelf,
    Upstream,
    blobs_of,
    expect_complete,
    named,
    refs_of,
)
from tests.engine.workshop import job

SHORT = Retention(snapshots=1, age=timedelta(hours=1))
LATER = GRACE.total_seconds() + HOUR
ACME: Job = job("acme/x", workers=1, retention=SHORT)


class Place:
    """An upstream, a shelf and one machine."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shelf, self.upstream = Shelf(self.clock), Upstream()
        self.machine = Machine(self.upstream, self.shelf)

    def publish(self, files: dict[str, bytes], wanted: Job = ACME) -> str:
        self.clock.advance(1)
        commit = self.upstream.commit("acme/x", files)
        assert self.machine.sync(wanted).outcome == "published"
        return commit


@pytest.fixture
def place() -> Place:
    return Place()


def _key(body: bytes) -> str:
    return blob_key(Sha256.of(body))


def test_what_only_an_expired_snapshot_names_is_removed(place: Place) -> None:
    first = place.publish({"a": b"1", "shared": b"s"})
    second = place.publish({"a": b"2", "shared": b"s"})
    place.clock.advance(LATER)
    report = place.machine.prune(ACME)
    assert report.ok
    (repo,) = report.repos
    assert (repo.repo, repo.snapshots) == ("acme/x", (first,))
    assert (repo.blobs, repo.bytes) == (report.blobs, report.bytes)
    assert set(refs_of(place.shelf, "acme/x").snapshots) == {second}
    assert _key(b"1") not in place.shelf.objects
    assert _key(b"s") in place.shelf.objects
    assert blobs_of(place.shelf) == named(place.shelf)


def test_a_snapshot_stays_while_it_is_young_or_among_the_newest(place: Place) -> None:
    place.publish({"a": b"1"})
    place.clock.advance(HOUR)
    place.publish({"a": b"2"})
    place.clock.advance(LATER)
    for kept in (Retention(2, timedelta(0)), Retention(1, timedelta(days=9))):
        assert place.machine.prune(job("acme/x", retention=kept)).blobs == 0
    assert len(refs_of(place.shelf, "acme/x").snapshots) == 2


@pytest.mark.parametrize(("seconds", "goes"), [(-1, False), (0, False), (1, True)])
def test_a_prune_lets_a_snapshot_go_after_its_days_and_not_a_second_earlier(
    place: Place, seconds: int, goes: bool
) -> None:
    """Its age is the root document's, by the target's clock; that its files are older counts for nothing."""
    first = place.publish({"a": b"1"})
    place.clock.advance(10)
    place.publish({"a": b"2"})
    place.clock.advance(90 * 86_400 - 11 + seconds)  # 11 s passed since the first
    days = job("acme/x", workers=1, retention=Retention(1, timedelta(days=90)))
    report = place.machine.prune(days)
    assert report.ok
    assert [repo.snapshots for repo in report.repos] == ([(first,)] if goes else [])
    assert (first in refs_of(place.shelf, "acme/x").snapshots) is not goes
    assert (_key(b"1") in place.shelf.objects) is not goes


def test_what_branches_tags_and_jobs_name_stays_whatever_its_age(place: Place) -> None:
    first = place.publish({"a": b"1"})
    place.publish({"a": b"2"})
    place.publish({"a": b"3"})
    place.clock.advance(LATER)
    pinning = job("acme/x", name="pin", revisions=(first,), retention=SHORT)
    place.machine.prune(ACME, pinning)
    assert first in refs_of(place.shelf, "acme/x").snapshots
    assert len(refs_of(place.shelf, "acme/x").snapshots) == 2


def test_of_several_jobs_the_most_generous_retention_counts(place: Place) -> None:
    place.publish({"a": b"1"})
    place.publish({"a": b"2"})
    place.clock.advance(LATER)
    assert place.machine.prune(ACME, job("acme/*", name="more", retention=Retention(5))).repos == ()


def test_a_repo_that_no_job_names_keeps_all_its_snapshots(place: Place) -> None:
    place.publish({"a": b"1"})
    place.publish({"a": b"2"})
    place.clock.advance(LATER)
    assert place.machine.prune(job("acme/other")).blobs == 0
    assert len(refs_of(place.shelf, "acme/x").snapshots) == 2


def test_an_unreferenced_blob_stays_for_the_grace_period(place: Place) -> None:
    place.publish({"a": b"1"})
    place.machine.view.put(_key(b"orphan"), b"orphan", Sha256.of(b"orphan"))
    place.clock.advance(GRACE.total_seconds() - HOUR)
    report = place.machine.prune(ACME)
    assert (report.blobs, report.young) == (0, 1)
    place.clock.advance(2 * HOUR)
    report = place.machine.prune(ACME)
    assert (report.blobs, report.bytes, report.repos) == (1, 6, ())


@pytest.mark.parametrize("skew", [-1e8, 1e8])
def test_ages_count_by_the_stores_clock_alone(place: Place, skew: float) -> None:
    place.publish({"a": b"1"})
    place.publish({"a": b"2"})
    place.machine.view.put(_key(b"orphan"), b"orphan", Sha256.of(b"orphan"))
    askew = Machine(place.upstream, place.shelf, skew=skew)
    assert askew.prune(job("acme/x", retention=Retention(1, timedelta(days=1)))).blobs == 0
    place.clock.advance(LATER)
    assert askew.prune(ACME).blobs > 1
    expect_complete(place.shelf)


def test_a_rehearsal_finds_the_same_and_writes_nothing(place: Place) -> None:
    place.publish({"a": b"1"})
    place.publish({"a": b"2"})
    place.clock.advance(LATER)
    before = dict(place.shelf.objects)
    rehearsed = place.machine.prune(ACME, dry_run=True)
    assert place.shelf.objects == before
    done = place.machine.prune(ACME)
    assert (rehearsed.repos, rehearsed.blobs, rehearsed.bytes) == (done.repos, done.blobs, done.bytes)
    assert rehearsed.dry_run
    assert not done.dry_run


def test_a_target_with_a_damaged_snapshot_loses_no_blob(place: Place) -> None:
    """What the damaged document named cannot be known."""
    place.publish({"a": b"1"})
    place.publish({"a": b"2"})
    root = refs_of(place.shelf, "acme/x").root_of("main")
    assert root is not None
    place.shelf.objects[blob_key(root)] = (b"rotten", 0.0)
    place.clock.advance(LATER)
    report = place.machine.prune(ACME)
    assert not report.ok
    assert report.blobs == 0
    assert str(root) in report.problems[0]


def test_a_file_with_the_bytes_of_a_document_hides_nothing(place: Place) -> None:
    """A hostile repo may publish another repo's documents as files: they are followed all the same."""
    place.publish({"a": b"1"})
    refs = refs_of(place.shelf, "acme/x")
    root = refs.root_of("main")
    assert root is not None
    place.upstream.commit("abc/evil", {"copy": place.shelf.objects[blob_key(root)][0]})
    place.machine.sync(job("abc/evil"))
    place.clock.advance(LATER)
    assert place.machine.prune(ACME).blobs == 0
    expect_complete(place.shelf)


def test_a_stop_ends_a_prune_early_and_says_so(place: Place) -> None:
    place.machine.context.stop.set()
    report = place.machine.prune(ACME)
    assert report.interrupted
    assert not report.ok


def test_a_prune_that_stood_still_for_too_long_ends_and_removes_nothing(place: Place) -> None:
    """Others have taken it for dead."""
    place.publish({"a": b"1"})
    place.publish({"a": b"2"})
    place.clock.advance(LATER)

    def stand_still(verb: str, key: str) -> None:
        if verb == "list" and key == "blobs/sha256/":
            place.clock.advance(3 * HOUR)

    place.machine.view.before = stand_still
    report = place.machine.prune(ACME)
    assert not report.ok
    assert report.blobs == 0


def test_a_notice_of_a_prune_that_died_is_cleared_away_by_a_later_one(place: Place) -> None:
    place.machine.view.put("prunes/dead.active", b"", Sha256.of(b""))
    place.clock.advance(3 * HOUR)
    place.machine.prune(ACME)
    assert "prunes/dead.active" not in place.shelf.objects
    assert len([key for key in place.shelf.objects if key.startswith("prunes/")]) == 1
