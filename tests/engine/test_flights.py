"""One content, one transfer; bounded memory; both under many threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mirror_sync.domain.digest import Sha256
from mirror_sync.engine.flights import Flights
from mirror_sync.engine.memory import MemoryBudget
from mirror_sync.errors import Unreachable

WANTED = Sha256.of(b"x")


def test_many_who_want_a_content_share_one_transfer() -> None:
    flights, calls, ready = Flights(), [], threading.Barrier(8)

    def want(_: int) -> tuple[Sha256, bool]:
        ready.wait()
        return flights.share(WANTED, lambda: calls.append(1) or WANTED)  # type: ignore[func-returns-value]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(want, range(8)))
    assert calls == [1]
    assert {digest for digest, _ in found} == {WANTED}
    assert sum(mine for _, mine in found) == 1


def test_a_failed_transfer_is_tried_anew_by_the_next() -> None:
    flights = Flights()

    def fail() -> Sha256:
        raise Unreachable("down")

    with pytest.raises(Unreachable):
        flights.share(WANTED, fail)
    assert flights.share(WANTED, lambda: WANTED) == (WANTED, True)


def test_no_more_bytes_are_out_than_the_budget_allows() -> None:
    budget, lock, out, peak = MemoryBudget(100), threading.Lock(), 0, 0

    def work(size: int) -> None:
        nonlocal out, peak
        budget.take(size)
        with lock:
            out += size
            peak = max(peak, out)
        with lock:
            out -= size
        budget.give_back(size)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [30, 70, 10, 100, 55, 45] * 50))
    assert peak <= 100


def test_one_request_larger_than_the_budget_is_granted_alone() -> None:
    budget = MemoryBudget(10)
    budget.take(1000)
    assert not budget.try_take(1)
    budget.give_back(1000)
    assert budget.try_take(1)
