"""No byte is published that is not the promised one, and nothing half."""

import time

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.outcome.events import BytesFetched, FileFinished, FileStarted
from mirror_sync.errors import StoreUnavailable
from tests.engine.workshop import PART, Workshop, job
from tests.standin import LFS, Generated, Hub, faults
from tests.standin.faults import Fault
from tests.waiting import PATIENCE

BIG = Generated(5 * PART + 77, seed=3)


def _two_commits(hub: Hub) -> tuple[str, str]:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"small": b"1" * 1000, "big": LFS(b"old")})
    return first, repo.commit({"small": b"2" * 1000, "big": LFS(BIG)})


@pytest.mark.parametrize(
    "fault",
    [
        faults.cut(after=100),
        faults.truncated(50),
        faults.wrong_bytes(3),
        faults.html(),
        faults.longer(4),
        faults.status(503),
        faults.refuse(),
    ],
    ids=["cut", "truncated", "wrong-bytes", "html", "longer", "503", "refused"],
)
@pytest.mark.parametrize("where", ["hub-small-file", "cdn-large-file"])
def test_a_passing_fault_of_the_bytes_costs_nothing_but_a_retry(
    hub: Hub, workshop: Workshop, fault: Fault, where: str
) -> None:
    _, second = _two_commits(hub)
    if where == "hub-small-file":
        hub.faults.add(fault, "GET */resolve/*/small", times=1)
    else:
        hub.faults.add(fault, "GET *", origin="cdn", times=1)
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.commit) == ("published", second)
    assert workshop.files("acme/x") == {"small": b"2" * 1000, "big": BIG.read()}


@pytest.mark.parametrize("path", ["small", "big"])
def test_bytes_that_stay_wrong_are_named_with_both_digests_and_the_old_snapshot_stays(
    hub: Hub, workshop: Workshop, path: str
) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"small": b"1" * 1000, "big": LFS(b"old")})
    workshop.sync(job("acme/x"))
    before = workshop.blobs()
    repo.commit({"small": b"2" * 1000, "big": LFS(BIG)})
    rule = {"small": ("GET */resolve/*/small", "hub"), "big": ("GET *", "cdn")}[path]
    hub.faults.add(faults.wrong_bytes(7), rule[0], origin=rule[1])  # type: ignore[arg-type]
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("failed", "integrity")
    upstream = hub.model("acme/x").find("main")
    assert upstream is not None
    file = upstream.tree.files[path]
    assert report.reason.startswith(f"{path}: expected {file.content.sha256 if path == 'big' else file.oid}, got ")
    assert workshop.commit("acme/x") == first
    assert workshop.files("acme/x") == {"small": b"1" * 1000, "big": b"old"}
    assert len(workshop.blobs() - before) <= 1, "only the other, proved file may have landed"


def test_bytes_of_a_thrown_away_attempt_are_taken_back_from_the_count(hub: Hub, workshop: Workshop) -> None:
    _two_commits(hub)
    hub.faults.add(faults.wrong_bytes(7), "GET *", origin="cdn", times=1)
    report = workshop.sync_one(job("acme/x"))
    counted = sum(event.count for event in workshop.events if isinstance(event, BytesFetched))
    assert counted == report.fetched_bytes == BIG.size + 1000


def test_every_file_that_starts_finishes_in_the_events(hub: Hub, workshop: Workshop) -> None:
    _two_commits(hub)
    hub.faults.add(faults.wrong_bytes(7), "GET *", origin="cdn")
    workshop.sync(job("acme/x"))
    started = sorted(event.path for event in workshop.events if isinstance(event, FileStarted))
    finished = {event.path: event.error for event in workshop.events if isinstance(event, FileFinished)}
    assert sorted(finished) == started
    assert finished["big"] is not None
    assert finished["big"].startswith("big: expected")


@pytest.mark.parametrize("at", ["blobs/", "hub/"])
def test_a_target_that_fails_at_any_write_leaves_the_old_snapshot(hub: Hub, workshop: Workshop, at: str) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    workshop.sync(job("acme/x"))
    repo.commit({"a": b"2", "b": b"3"})
    for failing in range(8):
        _fail_write(workshop, at, failing)
        report = workshop.sync_one(job("acme/x"))
        if report.outcome == "published":
            break
        assert report.code == "target-unavailable"
        assert workshop.commit("acme/x") == first
        assert workshop.files("acme/x") == {"a": b"1"}
    workshop.store.before_put = lambda key: None
    workshop.sync(job("acme/x"))
    assert workshop.files("acme/x") == {"a": b"2", "b": b"3"}


def _fail_write(workshop: Workshop, prefix: str, number: int) -> None:
    """Let the write `number` (from 0) below `prefix` fail, once."""
    left = [number]

    def before(key: str) -> None:
        if key.startswith(prefix):
            left[0] -= 1
            if left[0] == -1:
                raise StoreUnavailable(f"{key}: 503 SlowDown")

    workshop.store.before_put = before


def test_a_stop_leaves_the_old_snapshot_and_says_what_is_left(hub: Hub, workshop: Workshop) -> None:
    for name in ("acme/a", "acme/b", "acme/c"):
        hub.model(name, license="mit").commit({"big": LFS(Generated(3 * PART, seed=ord(name[-1])))})
    hub.faults.before(lambda _: workshop.stop.set(), lambda request: request.origin == "cdn")
    report = workshop.sync(job("acme/*"))
    assert report.interrupted
    assert not report.ok
    assert report.left == 3
    assert [key for key in workshop.store.written if key.startswith("hub/")] == []
    workshop.stop.clear()
    assert workshop.sync(job("acme/*")).ok


def test_an_index_that_answers_wrongly_publishes_nothing_wrong(hub: Hub, workshop: Workshop) -> None:
    """The index is a cache: what it claims is looked up in the target."""
    _two_commits(hub)
    workshop.index.remember({GitOid.of_blob(b"2" * 1000): Sha256("0" * 64)}, proved=True)
    workshop.index.mark_complete()
    workshop.sync(job("acme/x"))
    assert workshop.files("acme/x")["small"] == b"2" * 1000


def test_a_429_is_waited_out_as_long_as_the_upstream_asks(hub: Hub, workshop: Workshop) -> None:
    _two_commits(hub)
    hub.faults.add(faults.busy(retry_after=7), "GET /api/*", times=1)
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    assert workshop.waits
    assert max(workshop.waits) >= 7


def test_a_first_listing_without_a_file_publishes_nothing(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    hub.faults.add(faults.empty_list(), "GET */tree/*", times=1)
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("failed", "bad-answer")
    assert workshop.store.written == []
    workshop.sync(job("acme/x"))
    assert workshop.files("acme/x") == {"a": b"1"}


def test_small_files_that_landed_in_a_run_that_failed_are_not_fetched_again(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({f"f{n:03}": b"%d" % n for n in range(200)})
    hub.faults.add(faults.status(404), "GET */resolve/*/f199")
    assert workshop.sync_one(job("acme/x", workers=1)).outcome == "failed"
    hub.faults.clear()
    hub.log.clear()
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    assert hub.calls("GET", "*/resolve/*") == 1


def test_what_landed_is_known_before_the_repo_is_published(hub: Hub, workshop: Workshop) -> None:
    """A killed run has no end: its lessons are learned some at a time, while the last file is still on its way."""
    bodies = [b"%d" % number for number in range(200)]
    hub.model("acme/x", license="mit").commit({f"f{body.decode():>03}": body for body in bodies})
    known: list[int] = []

    def wait_until_most_are_known(key: str) -> None:
        if key == blob_key(Sha256.of(bodies[-1])):
            until = time.monotonic() + PATIENCE
            oids = [*map(GitOid.of_blob, bodies)]
            while (count := len(workshop.index.known(oids, proved=True))) < 150 and time.monotonic() < until:
                time.sleep(0.01)
            known.append(count)

    workshop.store.before_put = wait_until_most_are_known
    assert workshop.sync_one(job("acme/x", workers=1)).outcome == "published"
    assert known[0] >= 150
