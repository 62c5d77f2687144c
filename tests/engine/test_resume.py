"""A transfer that was cut off goes on where it was, whatever ended it, and never into wrong bytes."""

from __future__ import annotations

import random
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.events import BytesFetched, PartsFound, Retrying
from mirror_sync.engine.transfer import resumable_sha256
from mirror_sync.engine.transfer.multipart import in_flight
from mirror_sync.engine.upkeep.prune import sweep_uploads
from mirror_sync.ports.store import Store
from tests.engine.workshop import PART, Workshop, job
from tests.servers.bucket import S3Server
from tests.standin import LFS, Generated, Hub, faults
from tests.stores.places import Bucket, Folder, Place, child, target_on

PARTS = 24
IN_FLIGHT = in_flight(PARTS)
SMALLEST = 5 * PART  # bytes: what a bucket takes as a part that is not the last
BACK = -60.0  # an age that everything has
KILLS = 4


def promised(content: Generated) -> Sha256:
    return Sha256(content.sha256)


def generated(part_size: int, seed: int = 1) -> Generated:
    return Generated(PARTS * part_size - 12_345, seed)


def offer(hub: Hub, content: Generated) -> None:
    hub.model("acme/x", license="mit").commit({"big": LFS(content)})


def fetched(hub: Hub) -> int:
    """Bytes of large files that the stand-in has sent."""
    return sum(record.sent for record in hub.log.records("GET *", origin="cdn"))


def came(workshop: Workshop) -> int:
    """Bytes that were told to have come in the last run, less those that were thrown away."""
    return sum(event.count for event in workshop.events if isinstance(event, BytesFetched))


def found(workshop: Workshop) -> int:
    return sum(event.count for event in workshop.events if isinstance(event, PartsFound))


def digest_of(store: Store, key: str) -> Sha256:
    running, chunk = resumable_sha256.running_sha256(), memoryview(bytearray(1 << 20))
    with store.read(key) as stream:
        while count := stream.readinto(chunk):
            running.update(chunk[:count])
    return running.digest


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A directory unless a test is given a server's name."""
    if (name := getattr(request, "param", "directory")) == "directory":
        return Folder(tmp_path / "target", PART)
    server: S3Server = request.getfixturevalue(name)
    return Bucket(target_on(server, "some/prefix"), SMALLEST)


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()


@pytest.fixture
def big(store: Store) -> Generated:
    return generated(store.part_size)


@pytest.fixture
def again(hub: Hub, tmp_path: Path, store: Store) -> Workshop:
    """What a later run finds: the same target and state, nothing in memory."""
    return Workshop(hub.url, tmp_path / "state", store=store)


EVERYWHERE = pytest.mark.parametrize("place", ["directory", "moto", "radosgw"], indirect=True)
MOTO = pytest.mark.parametrize("place", ["moto"], indirect=True)
BOTH = pytest.mark.parametrize("place", ["directory", "moto"], indirect=True)


class TestKilled:
    @EVERYWHERE
    def test_each_kill_costs_at_most_the_parts_in_flight(
        self, hub: Hub, tmp_path: Path, place: Place, again: Workshop, big: Generated
    ) -> None:
        offer(hub, big)
        hub.faults.add(faults.trickle(6 * again.store.part_size), "GET *", origin="cdn")
        chance = random.Random(20)
        kills = sum(
            _sync_killed(hub, tmp_path / "state", place, chance.randrange(big.size // KILLS)) for _ in range(KILLS)
        )
        hub.faults.clear()
        assert kills, "each run was quicker than its killer"
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert digest_of(again.store, blob_key(promised(big))) == promised(big)
        assert fetched(hub) - big.size <= kills * IN_FLIGHT * again.store.part_size
        assert again.notes.stale(BACK) == ()

    def test_killed_after_its_last_part_it_only_ends(
        self, hub: Hub, again: Workshop, big: Generated, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A completion that never happens is a kill just before it."""
        offer(hub, big)
        with monkeypatch.context() as patch:
            patch.setattr("mirror_sync.stores.directory.staged.StagedUpload.complete", _killed)
            with pytest.raises(_Killed):
                again.sync(job("acme/x"))
        assert again.blobs() == set()
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert fetched(hub) == big.size


class TestFailed:
    @BOTH
    def test_an_upstream_that_fails_costs_the_parts_in_flight(self, hub: Hub, again: Workshop, big: Generated) -> None:
        offer(hub, big)
        _fail(hub, again)
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert digest_of(again.store, blob_key(promised(big))) == promised(big)
        assert fetched(hub) - big.size <= IN_FLIGHT * again.store.part_size
        assert again.store.sweep(BACK) == 0

    def test_a_stop_costs_the_parts_in_flight(self, hub: Hub, again: Workshop, big: Generated) -> None:
        offer(hub, big)
        hub.faults.before(lambda _: again.stop.set(), lambda _: hub.calls("GET", origin="cdn") > 8, origin="cdn")
        assert again.sync(job("acme/x")).interrupted
        again.stop.clear()
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert fetched(hub) - big.size <= IN_FLIGHT * PART

    def test_a_stop_says_what_was_kept_and_the_next_run_what_it_found(
        self, hub: Hub, again: Workshop, big: Generated
    ) -> None:
        offer(hub, big)
        hub.faults.before(lambda _: again.stop.set(), lambda _: hub.calls("GET", origin="cdn") > 8, origin="cdn")
        report = again.sync(job("acme/x"))
        (cut,) = report.repos
        assert (report.left, cut.outcome, cut.code, cut.files) == (1, "interrupted", "interrupted", 0)
        assert PART <= cut.fetched_bytes == came(again) < big.size
        assert f"{cut.fetched_bytes:,} bytes" in cut.reason
        again.stop.clear()
        whole = again.sync_one(job("acme/x"))
        assert whole.resumed_bytes == cut.fetched_bytes == found(again)
        assert whole.fetched_bytes == came(again) == big.size - cut.fetched_bytes
        assert whole.reused_bytes == 0

    def test_a_stop_before_anything_was_planned_leaves_a_repo_untold(self, hub: Hub, again: Workshop) -> None:
        hub.model("acme/x", license="mit").commit({"a": b"1"})
        hub.faults.before(lambda _: again.stop.set(), lambda request: "/tree/" in request.path)
        report = again.sync(job("acme/x"))
        assert (report.left, report.repos) == (1, ())

    def test_what_is_gone_on_with_counts_as_fetched_once(self, hub: Hub, again: Workshop, big: Generated) -> None:
        offer(hub, big)
        _fail(hub, again)
        before = sum(event.count for event in again.events if isinstance(event, BytesFetched))
        again.sync(job("acme/x"))
        after = sum(event.count for event in again.events if isinstance(event, BytesFetched))
        assert 0 < before < big.size
        assert before + after == big.size

    def test_a_changed_file_is_fetched_anew_and_the_old_parts_are_swept(
        self, hub: Hub, again: Workshop, big: Generated
    ) -> None:
        offer(hub, big)
        _fail(hub, again)
        other = generated(PART, seed=2)
        offer(hub, other)
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert again.blobs() > {promised(other)}
        assert promised(big) not in again.blobs()
        target = again.context.targets["bucket"]
        assert sweep_uploads(target) == 0
        assert again.notes.stale(BACK) == (blob_key(promised(big)),)
        assert sweep_uploads(target, BACK) == 1
        assert again.notes.stale(BACK) == ()

    def test_what_another_has_claimed_is_brought_without_notes(self, hub: Hub, again: Workshop, big: Generated) -> None:
        offer(hub, big)
        _fail(hub, again)
        hub.log.clear()
        with again.notes.claim(blob_key(promised(big))):
            assert again.sync_one(job("acme/x")).outcome == "published"
        assert fetched(hub) == big.size
        assert again.notes.load(blob_key(promised(big))) is not None

    def test_two_that_want_one_content_at_once_both_publish_it(self, hub: Hub, tmp_path: Path, big: Generated) -> None:
        for name in ("acme/a", "acme/b"):
            hub.model(name, license="mit").commit({"big": LFS(big)})
        place = Folder(tmp_path / "target", PART)
        workshops = {name: Workshop(hub.url, tmp_path / "state", store=place.open()) for name in ("acme/a", "acme/b")}
        threads = [threading.Thread(target=shop.sync, args=(job(name),)) for name, shop in workshops.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, shop in workshops.items():
            assert shop.manifest(name)["big"].sha256 == promised(big)
        assert digest_of(place.open(), blob_key(promised(big))) == promised(big)


class TestDisbelieved:
    def test_kept_bytes_that_changed_are_detected_and_fetched_anew(
        self, hub: Hub, again: Workshop, place: Folder, big: Generated
    ) -> None:
        offer(hub, big)
        _fail(hub, again)
        (path,) = (place.root / ".staging").iterdir()
        with path.open("r+b") as file:
            file.write(b"changed")
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert [event.cause for event in again.events if isinstance(event, Retrying)] == ["integrity"]
        assert digest_of(again.store, blob_key(promised(big))) == promised(big)

    @BOTH
    def test_wrong_bytes_are_never_gone_on_with(self, hub: Hub, again: Workshop, big: Generated) -> None:
        offer(hub, big)
        hub.faults.add(faults.wrong_bytes(big.size // 2), "GET *", origin="cdn")
        assert again.sync_one(job("acme/x")).code == "integrity"
        assert (again.notes.stale(BACK), again.store.sweep(BACK), again.blobs()) == ((), 0, set())

    @MOTO
    def test_an_upload_that_was_aborted_meanwhile_starts_anew(
        self, hub: Hub, moto: S3Server, place: Bucket, again: Workshop, big: Generated
    ) -> None:
        offer(hub, big)
        _fail(hub, again)
        moto.empty(place.target.bucket)
        hub.log.clear()
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert fetched(hub) == big.size
        assert digest_of(again.store, blob_key(promised(big))) == promised(big)

    @BOTH
    def test_without_the_notes_it_starts_anew(self, hub: Hub, tmp_path: Path, again: Workshop, big: Generated) -> None:
        offer(hub, big)
        _fail(hub, again)
        again.notes.close()
        for path in (tmp_path / "state").glob("uploads.db*"):
            path.unlink()
        hub.log.clear()
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert fetched(hub) == big.size
        assert again.store.sweep(BACK) == 1

    def test_notes_that_cannot_be_written_cost_no_run(self, hub: Hub, tmp_path: Path, big: Generated) -> None:
        offer(hub, big)
        shop = Workshop(hub.url, tmp_path / "state", store=Folder(tmp_path / "target", PART).open())
        (tmp_path / "state" / "uploads.db").mkdir(parents=True)
        (tmp_path / "state" / "uploads.db.claims").mkdir()
        assert shop.sync_one(job("acme/x")).outcome == "published"


class TestWithoutMidstate:
    """Where no library gives its hash's state: a directory reads what it kept, a bucket starts anew."""

    @pytest.fixture(autouse=True)
    def _no_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resumable_sha256, "_library", None)

    @BOTH
    def test_a_directory_goes_on_and_a_bucket_starts_anew(
        self, hub: Hub, place: Place, again: Workshop, big: Generated
    ) -> None:
        offer(hub, big)
        _fail(hub, again)
        refetched = fetched(hub)
        hub.log.clear()
        assert again.sync_one(job("acme/x")).outcome == "published"
        assert digest_of(again.store, blob_key(promised(big))) == promised(big)
        anew = isinstance(place, Bucket)
        assert fetched(hub) == big.size if anew else fetched(hub) <= big.size - refetched + IN_FLIGHT * PART
        assert again.store.sweep(BACK) == 0

    def test_a_changed_prefix_is_detected_at_the_end(
        self, hub: Hub, again: Workshop, place: Folder, big: Generated
    ) -> None:
        offer(hub, big)
        _fail(hub, again)
        (path,) = (place.root / ".staging").iterdir()
        with path.open("r+b") as file:
            file.write(b"changed")
        report = again.sync_one(job("acme/x"))
        assert (report.outcome, report.resumed_bytes, found(again)) == ("published", 0, 0)
        assert report.fetched_bytes == came(again) == big.size
        assert [event.cause for event in again.events if isinstance(event, Retrying)] == ["integrity"]
        assert digest_of(again.store, blob_key(promised(big))) == promised(big)


class _Killed(BaseException):
    pass


def _killed(_: object) -> None:
    raise _Killed


def _fail(hub: Hub, shop: Workshop) -> None:
    """A run that the upstream ends after some parts."""
    hub.faults.add(faults.status(503), "GET *", origin="cdn", skip=3 * IN_FLIGHT)
    report = shop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("failed", "unreachable")
    hub.faults.clear()


def _sync_killed(hub: Hub, state: Path, place: Place, after: int) -> bool:
    """Starts a sync and kills it when so many more bytes were sent; false when it ended before."""
    goal = fetched(hub) + after
    with child(_sync, hub.url, state, place) as (process, answers):
        while not answers.poll(0.001) and fetched(hub) < goal:
            assert process.is_alive()
        ended = answers.poll()
        process.kill()
        process.join()
    return not ended


def _sync(answers: Connection, url: str, state: Path, place: Place) -> None:
    answers.send(Workshop(url, state, store=place.open()).sync_one(job("acme/x")).outcome)
