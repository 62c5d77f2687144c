"""One pool, two lanes: so many calls at once, none of them starved."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait

import pytest

from mirror_sync.engine.transfer.lanes import Lanes
from tests.waiting import PATIENCE


class Gate:
    """Calls that begin, say so, and end when they are let."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def call(self) -> None:
        self.begun.release()
        assert self.let.acquire(timeout=PATIENCE)

    def many(self, lane: Executor, count: int) -> list[Future[None]]:
        return [lane.submit(self.call) for _ in range(count)]

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.begun.acquire(timeout=PATIENCE), "did not begin"


def test_short_work_that_comes_later_ends_while_all_long_work_is_still_on_its_way() -> None:
    slow = Gate()
    with Lanes(4, "file") as lanes:
        long = slow.many(lanes.long, 20)
        slow.wait_for(3)
        assert list(lanes.short.map(abs, range(-50, 0))) == [*range(50, 0, -1)]
        assert not any(future.done() for future in long)
        slow.let.release(20)


def test_long_work_begins_when_the_next_short_one_ends_however_many_of_those_wait() -> None:
    quick, slow = Gate(), Gate()
    with Lanes(2, "file") as lanes:
        short = quick.many(lanes.short, 50)
        quick.wait_for(2)
        (long,) = slow.many(lanes.long, 1)
        quick.let.release()
        slow.wait_for(1)
        assert sum(future.done() for future in short) <= 1
        quick.let.release(49)
        wait(short, timeout=PATIENCE)
        assert not long.done()
        slow.let.release()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_no_more_calls_run_at_once_than_there_are_workers_and_every_call_is_made(workers: int) -> None:
    running, peak, lock = 0, 0, threading.Lock()
    made: Counter[int] = Counter()

    def call(number: int) -> int:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        with lock:
            made[number] += 1
            running -= 1
        return number

    with Lanes(workers, "file") as lanes:
        futures = [(lanes.long if number % 3 else lanes.short).submit(call, number) for number in range(600)]
    assert [future.result() for future in futures] == [*range(600)]
    assert set(made.values()) == {1}
    assert peak <= workers


def test_one_worker_serves_both_lanes_in_turn() -> None:
    order: list[str] = []
    first = Gate()
    with Lanes(1, "file") as lanes:
        first.many(lanes.short, 1)
        first.wait_for(1)
        for _ in range(3):
            lanes.short.submit(order.append, "short")
            lanes.long.submit(order.append, "long")
        first.let.release()
    assert order == ["long", "short"] * 3


def test_what_fails_is_told_to_who_waits_and_stops_nothing() -> None:
    def fail() -> None:
        raise ValueError("no")

    with Lanes(2, "file") as lanes:
        failed = [lane.submit(fail) for lane in (lanes.short, lanes.long)]
        assert lanes.short.submit(lambda: 7).result() == 7
    assert [type(future.exception()) for future in failed] == [ValueError, ValueError]


@pytest.mark.parametrize("of", [lambda lanes: lanes.short, lambda lanes: lanes.long])
def test_what_is_cancelled_before_its_turn_is_not_made(of: Callable[[Lanes], Executor]) -> None:
    made: list[int] = []
    gate = Gate()
    with Lanes(1, "file") as lanes:
        gate.many(of(lanes), 1)
        gate.wait_for(1)
        late = of(lanes).submit(made.append, 1)
        assert late.cancel()
        gate.let.release()
        assert wait([late], timeout=PATIENCE).done == {late}
    assert made == []
