"""`verify` looks at a part, goes on after an interrupt, spares the target, and tells refusals from faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.content.keys import blob_key, blob_of
from mirror_sync.domain.digest import Sha256
from mirror_sync.engine.upkeep.throttle import Throttle
from mirror_sync.errors import StoreUnavailable
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat, Store
from tests.engine.workshop import Recording, Workshop, job
from tests.standin import Hub

FILES = {f"f{number:03}": b"content %d" % number for number in range(200)}


class Page:
    """A Checkpoint in memory, through JSON; `written` is all that ever went into it."""

    def __init__(self) -> None:
        self.text = ""
        self.notes: list[str] = []
        self.written: list[str] = []

    def load(self) -> Mapping[str, Any] | None:
        document = json.loads(self.text) if self.text else None
        if isinstance(document, dict) and self.notes:
            document["notes"] = [json.loads(note) for note in self.notes]
        return document

    def begin(self, document: Mapping[str, Any]) -> None:
        self.notes.clear()
        self.save(document, [])

    def save(self, document: Mapping[str, Any], notes: Sequence[Mapping[str, Any]]) -> None:
        new = [json.dumps(note) for note in notes]
        self.notes += new
        self.text = json.dumps(document)
        self.written += [*new, self.text]


class Reading(Recording):
    """Remembers which blobs were read; refuses some, and stops everything after so many."""

    def __init__(self, store: Store, stop: threading.Event) -> None:
        super().__init__(store)
        self.read_keys: list[str] = []
        self.refused: dict[str, int] = {}
        self.stop_after = -1
        self._stop = stop

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        self.read_keys.append(key)
        if len(self.read_keys) == self.stop_after:
            self._stop.set()
        if self.refused.get(key, 0) > 0:
            self.refused[key] -= 1
            raise StoreUnavailable(f"{key}: 503 SlowDown")
        return super().read(key, start, stop)

    def files(self) -> list[str]:
        contents = {blob_key(Sha256.of(body)) for body in FILES.values()}
        return [key for key in self.read_keys if key in contents]


class Foldered(Reading):
    """Lists as SeaweedFS does: folder by folder, `a/b` before `a-b`."""

    def list(self, prefix: str) -> Iterator[Stat]:
        return iter(sorted(super().list(prefix), key=lambda stat: stat.key.split("/")))


@pytest.fixture
def mirror(hub: Hub, tmp_path: Path) -> Workshop:
    workshop = Workshop(hub.url, tmp_path)
    hub.model("acme/a", license="mit").commit(dict(list(FILES.items())[:20]))
    hub.model("acme/b", license="mit").commit(FILES)
    workshop.sync(job("acme/*"))
    return workshop


def _reading(mirror: Workshop) -> Reading:
    store = Reading(mirror.store.store, mirror.stop)
    mirror.use(store)
    return store


def test_an_interrupted_verify_goes_on_where_it_was_and_counts_everything_once(mirror: Workshop) -> None:
    whole = mirror.verify()
    page, store = Page(), _reading(mirror)
    mirror.path(Sha256.of(FILES["f000"])).unlink()
    store.stop_after = 120
    first = mirror.verify(checkpoint=page)
    assert first.interrupted
    before = len(store.files())
    mirror.stop.clear()
    second = mirror.verify(checkpoint=page)
    assert (second.interrupted, second.resumed) == (False, True)
    assert (second.blobs, second.repos, second.snapshots) == (whole.blobs, whole.repos, whole.snapshots)
    assert [fault.problem for fault in second.faults] == ["missing"]
    assert len(store.files()) - before < 200, "what was verified before the interrupt was verified again"
    assert {blob_key(Sha256.of(body)) for body in FILES.values()} <= set(store.read_keys)
    assert not mirror.verify(checkpoint=page).resumed


def test_no_repo_is_passed_over_in_whatever_order_a_store_lists(hub: Hub, tmp_path: Path) -> None:
    mirror = Workshop(hub.url, tmp_path)
    for repo, part in (("acme/a", slice(100)), ("acme/a-1", slice(100, 200))):
        hub.model(repo, license="mit").commit(dict(list(FILES.items())[part]))
    assert mirror.sync(job("acme/*")).ok
    page, store = Page(), Foldered(mirror.store.store, mirror.stop)
    mirror.use(store)
    store.stop_after = 130
    assert mirror.verify(checkpoint=page).interrupted
    mirror.stop.clear()
    assert mirror.verify(checkpoint=page).resumed
    assert set(store.files()) == {blob_key(Sha256.of(body)) for body in FILES.values()}


def test_another_question_begins_anew(mirror: Workshop) -> None:
    page, store = Page(), _reading(mirror)
    store.stop_after = 150
    mirror.verify(checkpoint=page)
    mirror.stop.clear()
    assert not mirror.verify(checkpoint=page, sample=0.5).resumed


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', '{"format": 1, "question": 7}', '{"round": "x"}'])
def test_a_checkpoint_that_is_none_costs_a_verify_from_the_start(mirror: Workshop, text: str) -> None:
    page = Page()
    page.text = text
    report = mirror.verify(checkpoint=page)
    assert report.ok
    assert not report.resumed


def test_samples_of_successive_runs_look_at_every_file(mirror: Workshop) -> None:
    page, store = Page(), _reading(mirror)
    for _ in range(4):
        store_before = len(store.files())
        report = mirror.verify(checkpoint=page, sample=0.25)
        assert report.ok
        assert report.sampled == 0.25
        assert len(store.files()) - store_before + report.skipped == 200
    assert len(set(store.files())) == 200
    assert len(store.files()) == 200


def test_a_sample_finds_every_damaged_document(mirror: Workshop) -> None:
    mirror.path(mirror.root("acme/b").shards[0].digest).unlink()
    assert [fault.path for fault in mirror.verify(sample=0.01).faults] == [""]


def test_since_looks_at_younger_snapshots_only(mirror: Workshop) -> None:
    assert mirror.verify(since=datetime.now(UTC) + timedelta(hours=1)).snapshots == 0
    assert mirror.verify(since=datetime.now(UTC) - timedelta(hours=1)).snapshots == 2


def test_what_the_target_refuses_for_a_moment_is_asked_again(mirror: Workshop) -> None:
    store = _reading(mirror)
    store.refused = dict.fromkeys([stat.key for stat in store.list("blobs/")], 2)
    assert mirror.verify().ok
    assert set(mirror.waits) == {1.0, 2.0}


def test_what_the_target_keeps_refusing_is_no_fault_of_the_blob(mirror: Workshop) -> None:
    store = _reading(mirror)
    key = blob_key(Sha256.of(FILES["f001"]))
    store.refused = {key: 99}
    report = mirror.verify()
    assert not report.ok
    assert report.faults == ()
    (refused,) = report.unreadable
    assert (refused.sha256, refused.problem) == (blob_of(key), f"not readable: {key}: 503 SlowDown")


def test_reading_is_spread_over_time_at_the_given_rate() -> None:
    now, waits = [100.0], list[float]()
    throttle = Throttle(1000.0, lambda: now[0], waits.append)
    throttle.passed(500)
    throttle.passed(500)
    now[0] += 10
    throttle.passed(100)
    assert waits == [0.5, 1.0, pytest.approx(0.1)]
    Throttle(None, lambda: now[0], waits.append).passed(10**12)
    assert len(waits) == 3


def test_a_verify_with_a_rate_waits_as_long_as_its_bytes_should_take(mirror: Workshop) -> None:
    report = mirror.verify(rate=1.0)
    assert max(mirror.waits) == pytest.approx(report.bytes, rel=0.1)


def test_each_fault_is_written_once_however_many_there_are(mirror: Workshop) -> None:
    for body in FILES.values():
        mirror.path(Sha256.of(body)).unlink()
    page = Page()
    report = mirror.verify(checkpoint=page)
    assert len(report.faults) == len(FILES)
    written = "".join(page.written)
    assert {written.count(fault.sha256) for fault in report.faults} == {1}


def test_faults_that_were_found_before_an_interrupt_are_told_after_it(mirror: Workshop) -> None:
    for body in FILES.values():
        mirror.path(Sha256.of(body)).unlink()
    page, store = Page(), _reading(mirror)
    store.stop_after = 120
    first = mirror.verify(checkpoint=page)
    mirror.stop.clear()
    second = mirror.verify(checkpoint=page)
    assert (first.interrupted, second.resumed) == (True, True)
    assert 0 < len(first.faults) < len(second.faults) == len(FILES)
    assert len({fault.sha256 for fault in second.faults}) == len(FILES)
