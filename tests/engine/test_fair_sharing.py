"""Small files go on while large ones are on their way, large ones begin while small ones wait, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mirror_sync.domain.outcome.events import Event, FileFinished, FileStarted
from tests.engine.workshop import PART, Workshop, job
from tests.standin import LFS, Answer, Generated, Hub, Request
from tests.waiting import PATIENCE

LARGE = {f"a{number}.bin": LFS(Generated(2 * PART + number)) for number in range(4)}  # listed, and begun, first
SMALL = {f"z{number}.json": f'{{"number": {number}}}' for number in range(12)}


class Told:
    """Waits for what the engine tells."""

    def __init__(self, workshop: Workshop) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()
        workshop.context = replace(workshop.context, tell=self._tell)

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


def test_large_files_begin_while_most_small_ones_still_queue(hub: Hub, workshop: Workshop) -> None:
    small = {f"a{number}.json": f'{{"number": {number}}}' for number in range(30)}
    large = {f"z{number}.bin": LFS(Generated(2 * PART + number)) for number in range(2)}
    hub.model("acme/x", license="mit").commit({**small, **large})
    told, let = Told(workshop), hold(hub, ".json")
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(workshop.sync, job("acme/x", workers=2))
        for done in range(len(small)):
            let.release()
            assert told.wait_for(lambda done=done: len(told.paths(FileFinished, "a")) > done)  # type: ignore[misc]
        assert run.result().ok
    began = next(at for at, event in enumerate(told.events) if isinstance(event, FileStarted) and event.path[0] == "z")
    ended_before = sum(isinstance(event, FileFinished) for event in told.events[:began])
    assert ended_before <= len(small) // 2, "large files waited for small ones"


def test_large_files_advance_together_rather_than_one_after_the_other(hub: Hub, workshop: Workshop) -> None:
    """No third part of any is answered before the first of all of them was asked for."""
    files = {f"a{number}.bin": LFS(Generated(8 * PART + number)) for number in range(3)}
    hub.model("acme/x", license="mit").commit(files)
    begun, changed = set[str](), threading.Condition()
    together: list[bool] = []

    def wait(request: Request, answer: Answer) -> Answer:
        start = int(request.headers["range"].split("=")[1].split("-")[0])
        with changed:
            if start == 0:
                begun.add(request.path)
                changed.notify_all()
            elif start > PART:
                together.append(changed.wait_for(lambda: len(begun) == len(files), PATIENCE))
        return answer

    hub.faults.add(wait, "GET *", origin="cdn")
    assert workshop.sync_one(job("acme/x", workers=8)).outcome == "published"
    assert len(together) > 10
    assert all(together), "one file waited for another"
