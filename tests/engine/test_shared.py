"""Jobs that run side by side share what is on its way into a target, and the memory of the program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import Event, RepoPlanned
from mirror_sync.domain.outcome.report import RunReport
from mirror_sync.engine.memory_budget import MemoryBudget
from mirror_sync.engine.run import sync_jobs
from tests.engine.workshop import Recording, Workshop, job
from tests.standin import LFS, Hub, faults

WEIGHTS = b"z" * 300_000
A, B = job("acme/a", name="a"), job("acme/b", name="b")


def _side_by_side(workshop: Workshop, *jobs: Job) -> list[RunReport]:
    """Each job in a run of its own, all at once."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(lambda one: sync_jobs(workshop.context, [one], jobs), jobs))


def _two_repos(hub: Hub, a: bytes, b: bytes) -> None:
    hub.model("acme/a", license="mit").commit({"w": LFS(a)})
    hub.model("acme/b", license="mit").commit({"w": LFS(b)})


def _fetch_once_both_are_planned(hub: Hub, workshop: Workshop) -> None:
    """No byte comes before both repos are compared: then neither has found in the target what the other brings."""
    planned, both = [], threading.Event()

    def tell(event: Event) -> None:
        workshop.events.append(event)
        if isinstance(event, RepoPlanned):
            planned.append(event)
            if len(planned) == 2:
                both.set()

    workshop.context = replace(workshop.context, tell=tell)
    hub.faults.before(lambda _: both.wait(), lambda request: "/resolve/" in request.path)


def test_two_jobs_at_once_fetch_one_content_once(hub: Hub, workshop: Workshop) -> None:
    _two_repos(hub, WEIGHTS, WEIGHTS)
    _fetch_once_both_are_planned(hub, workshop)
    reports = _side_by_side(workshop, A, B)
    assert [report.ok for report in reports] == [True, True]
    assert sum(repo.fetched_files for report in reports for repo in report.repos) == 1
    assert sum(repo.reused_files for report in reports for repo in report.repos) == 1
    assert workshop.files("acme/a") == workshop.files("acme/b") == {"w": WEIGHTS}


def test_a_repo_that_waited_for_anothers_transfer_brings_the_content_from_its_own_upstream(
    hub: Hub, workshop: Workshop
) -> None:
    _two_repos(hub, WEIGHTS, WEIGHTS)
    flying = threading.Event()
    hub.faults.before(lambda _: flying.wait(), lambda request: "/acme/b/tree/" in request.path)
    hub.faults.before(lambda _: flying.set(), lambda request: "/acme/a/resolve/" in request.path)
    _fetch_once_both_are_planned(hub, workshop)
    missing = faults.status(404, {"X-Error-Code": "EntryNotFound"})
    hub.faults.add(faults.chain(missing, faults.delay(0.3)), "GET /acme/a/resolve/*")
    outcomes = {repo.repo: repo.code for repo in workshop.sync(job("acme/a", "acme/b")).repos}
    assert outcomes == {"acme/a": "file-not-found", "acme/b": ""}
    assert workshop.files("acme/b") == {"w": WEIGHTS}


def test_what_one_run_brought_and_somebody_removed_is_brought_again_by_a_run_beside_it(
    hub: Hub, workshop: Workshop
) -> None:
    _two_repos(hub, WEIGHTS, WEIGHTS)
    key = blob_key(Sha256.of(WEIGHTS))
    with workshop.context.targets["bucket"].single_flight.at_work():
        assert workshop.sync(A, among=[B]).ok
        workshop.store.delete([key])
        assert workshop.sync_one(B, among=[A]).fetched_files == 1
    assert workshop.store.stat(key) is not None


class Counting(Recording):
    """Remembers how many bytes of file content were held by writers at once."""

    def __init__(self, inner: Recording, is_file: Callable[[int], bool]) -> None:
        super().__init__(inner.store)
        self._is_file, self._lock = is_file, threading.Lock()
        self._held = self.peak = 0

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        size = len(body) if self._is_file(len(body)) else 0
        with self._lock:
            self._held += size
            self.peak = max(self.peak, self._held)
        super().put(key, body, digest)
        with self._lock:
            self._held -= size


@pytest.mark.parametrize("rooms", [1, 2])
def test_jobs_at_once_hold_no_more_content_than_the_site_allows(hub: Hub, workshop: Workshop, rooms: int) -> None:
    size = 100_000
    jobs = []
    for name in ("a", "b", "c"):
        files = {f"f{n}": LFS(name.encode() + b"%d" % n * (size - 1)) for n in range(6)}
        hub.model(f"acme/{name}", license="mit").commit(files)
        jobs.append(job(f"acme/{name}", name=name))
    store = Counting(workshop.store, lambda count: count == size)
    workshop.use(store)
    workshop.context = replace(workshop.context, memory=MemoryBudget(rooms * size))
    assert all(report.ok for report in _side_by_side(workshop, *jobs))
    assert size <= store.peak <= rooms * size
