"""Small files go on while large ones are on their way, large ones begin while small ones wait, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mirror_sync.domain.events import Event, FileFinished, FileStarted
from tests.engine.workshop import PART, Workshop, job
from tests.standin import LFS, Answer, Generated, Hub, Request

LARGE = {f"a{number}.bin": LFS(Generated(2 * PART + number)) for number in range(4)}  # listed, and begun, first
SMALL = {f"z{number}.json": f'{{"number": {number}}}' for number in range(12)}
PATIENCE = 60  # seconds until a test gives up; nothing is measured


class Told:
    """Waits for what the engine tells."""

    def __init__(self, workshop: Workshop) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()
        workshop.site = replace(workshop.site, tell=self._tell)

    def _tell(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def paths(self, kind: type[FileStarted | FileFinished], begin: str) -> set[str]:
        return {event.path for event in self.events if isinstance(event, kind) and event.path.startswith(begin)}

    def wait_for(self, come: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(come, PATIENCE)


def hold(hub: Hub, ending: str) -> threading.Semaphore:
    """Answers for files of this ending wait for a permit each."""
    let = threading.Semaphore(0)

    def wait(_: Request, answer: Answer) -> Answer:
        let.acquire(timeout=PATIENCE)
        return answer

    hub.faults.add(wait, lambda request: "/resolve/" in request.path and request.path.endswith(ending))
    return let


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_all_small_files_land_while_every_large_one_is_still_on_its_way(
    hub: Hub, workshop: Workshop, workers: int
) -> None:
    hub.model("acme/x", license="mit").commit({**LARGE, **SMALL})
    told, let = Told(workshop), hold(hub, ".bin")
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(workshop.sync, job("acme/x", workers=workers))
        landed = told.wait_for(lambda: len(told.paths(FileFinished, "z")) == len(SMALL))
        large = told.paths(FileStarted, "a"), told.paths(FileFinished, "a")
        let.release(100)
        assert landed, "small files waited for large ones"
        assert run.result().ok
    assert large[0]
    assert not large[1]


def test_large_files_land_while_small_ones_queue(hub: Hub, workshop: Workshop) -> None:
    small = {f"a{number}.json": f'{{"number": {number}}}' for number in range(30)}
    large = {f"z{number}.bin": LFS(Generated(2 * PART + number)) for number in range(2)}
    hub.model("acme/x", license="mit").commit({**small, **large})
    told, let = Told(workshop), hold(hub, ".json")
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(workshop.sync, job("acme/x", workers=2))
        assert told.wait_for(lambda: len(told.paths(FileStarted, "a")) == 2)
        let.release(3)
        landed = told.wait_for(lambda: len(told.paths(FileFinished, "z")) == len(large))
        done = len(told.paths(FileFinished, "a"))
        let.release(100)
        assert run.result().ok
    assert landed, "large files waited for small ones"
    assert done <= 3


def test_large_files_advance_together_rather_than_one_after_the_other(hub: Hub, workshop: Workshop) -> None:
    """Of each the first part is asked for before the last part of any."""
    files = {f"a{number}.bin": LFS(Generated(8 * PART + number)) for number in range(3)}
    hub.model("acme/x", license="mit").commit(files)
    assert workshop.sync_one(job("acme/x", workers=8)).outcome == "published"
    asked = [
        (record.path.rpartition("/")[2], int((record.range or "=0-").split("=")[1].split("-")[0]) // PART)
        for record in hub.log.records("GET *.bin", origin="hub")
    ]
    first = {path: asked.index((path, 0)) for path in files}
    last = {path: asked.index((path, 8)) for path in files if (path, 8) in asked}
    assert max(first.values()) < min(last.values())
