"""One content, one transfer; bounded memory; both under many threads."""

import random
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mirror_sync.domain.content.manifest import Content
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.repo import Kind
from mirror_sync.engine.memory_budget import MemoryBudget
from mirror_sync.engine.run import _for_each
from mirror_sync.engine.single_flight import SingleFlight, StoredContent
from mirror_sync.errors import Interrupted, Unreachable

WANTED = Content(Sha256.of(b"x"), 1)
LANDED = StoredContent(Sha256.of(b"x"))
MIB = 1024 * 1024


def test_many_who_want_a_content_share_one_transfer() -> None:
    single_flight, calls, ready = SingleFlight(), [], threading.Barrier(8)

    def want(_: int) -> tuple[StoredContent, bool]:
        ready.wait()
        return single_flight.share(WANTED, lambda: calls.append(1) or LANDED)  # type: ignore[func-returns-value]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(want, range(8)))
    assert calls == [1]
    assert {landed for landed, _ in found} == {LANDED}
    assert sum(mine for _, mine in found) == 1


def test_a_failed_transfer_is_tried_anew_by_the_next() -> None:
    single_flight = SingleFlight()

    def fail() -> StoredContent:
        raise Unreachable("down")

    with pytest.raises(Unreachable):
        single_flight.share(WANTED, fail)
    assert single_flight.share(WANTED, lambda: LANDED) == (LANDED, True)


def test_no_more_bytes_are_out_than_the_budget_allows() -> None:
    budget, lock, out, peak = MemoryBudget(100), threading.Lock(), 0, 0

    def work(size: int) -> None:
        nonlocal out, peak
        body = budget.take(size)
        with lock:
            out += size
            peak = max(peak, out)
        with lock:
            out -= size
        budget.give_back(body)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [30, 70, 10, 100, 55, 45] * 50))
    assert peak <= 100


def test_one_request_larger_than_the_budget_is_granted_alone() -> None:
    budget = MemoryBudget(10)
    body = budget.take(1000)
    assert not budget.try_take(1)
    budget.give_back(body)
    assert budget.try_take(1)


def test_a_buffer_that_came_back_is_lent_again_where_it_fits() -> None:
    budget = MemoryBudget(64 * MIB)
    held, body = budget.take(MIB), budget.take(8 * MIB)
    whole = body.obj
    budget.give_back(body)
    smaller = budget.take(5 * MIB)
    assert smaller.obj is whole
    assert len(smaller) == 5 * MIB
    budget.give_back(smaller)
    assert budget.take(2 * MIB).obj is not whole, "a small body would hold a large buffer"
    budget.give_back(held)


def test_buffers_that_are_lent_and_that_wait_for_it_stay_within_the_budget_together() -> None:
    budget, chance = MemoryBudget(32 * MIB), random.Random(7)
    tracemalloc.start()
    try:
        held = [budget.take(MIB)]
        for _ in range(300):
            if (body := budget.try_take(chance.randrange(MIB, 12 * MIB))) is not None:
                held.append(body)
            elif len(held) > 1:
                budget.give_back(held.pop(chance.randrange(1, len(held))))
            del body
        assert tracemalloc.get_traced_memory()[1] <= 33 * MIB
    finally:
        tracemalloc.stop()


def _while_flying(
    single_flight: SingleFlight, error: Exception, want: Callable[[], tuple[StoredContent, bool]]
) -> tuple[StoredContent, bool]:
    """What `want` gives, called while somebody else's flight of the same content is under way, which then fails."""
    flying, asked = threading.Event(), threading.Event()

    def fail() -> StoredContent:
        flying.set()
        asked.wait()
        raise error

    with ThreadPoolExecutor(2) as pool:
        theirs = pool.submit(single_flight.share, WANTED, fail)
        flying.wait()
        ours = pool.submit(want)
        asked.set()
        assert theirs.exception() is error
        return ours.result()


def test_a_flight_that_fails_is_no_failure_of_who_waited_for_it() -> None:
    single_flight = SingleFlight()
    assert _while_flying(
        single_flight, Unreachable("their upstream"), lambda: single_flight.share(WANTED, lambda: LANDED)
    ) == (
        LANDED,
        True,
    )


def test_a_flight_that_was_stopped_stops_nobody_who_waited_for_it() -> None:
    """The hours of one job end, those of another that wants the same content do not."""
    single_flight = SingleFlight()
    flying, joined = threading.Event(), threading.Event()

    def stopped() -> StoredContent:
        flying.set()
        joined.wait()
        raise Interrupted("stopped")

    with ThreadPoolExecutor(2) as pool:
        theirs = pool.submit(single_flight.share, WANTED, stopped)
        flying.wait()
        ours = pool.submit(_wait_for, single_flight, lambda: LANDED, joined)
        assert ours.result() == (LANDED, True)
        with pytest.raises(Interrupted):
            theirs.result()


def _wait_for(
    single_flight: SingleFlight, bring: Callable[[], StoredContent], joined: threading.Event
) -> tuple[StoredContent, bool]:
    """Share a content whose flight is under way and ends once we have joined it."""
    threading.Timer(0.2, joined.set).start()
    return single_flight.share(WANTED, bring)


def test_a_repo_that_is_interrupted_counts_as_left_and_the_others_are_done() -> None:
    def work(item: Any) -> RepoReport:
        if item is items[0]:
            raise Interrupted("somebody else's hours ended")
        return reports[items.index(item)]

    ends = (RepoOutcome.PUBLISHED, RepoOutcome.PUBLISHED, RepoOutcome.INTERRUPTED)
    reports = [RepoReport("job", Kind.MODEL, f"acme/{number}", "main", end) for number, end in enumerate(ends)]
    items: list[Any] = [object(), object(), object()]
    done: list[RepoReport] = []
    assert _for_each(threading.Event(), items, work, done) == 2
    assert {report.repo for report in done} == {"acme/1", "acme/2"}, "one had not begun, and has nothing to tell"


def test_what_landed_before_is_looked_up_and_brought_again_when_it_is_gone() -> None:
    single_flight = SingleFlight()
    single_flight.share(WANTED, lambda: LANDED)
    assert single_flight.share(WANTED, lambda: LANDED, lambda landed: True) == (LANDED, False)
    assert single_flight.share(WANTED, lambda: LANDED, lambda landed: False) == (LANDED, True)


def test_what_landed_is_remembered_while_any_run_is_at_work_and_no_longer() -> None:
    single_flight = SingleFlight()
    with single_flight.at_work():
        with single_flight.at_work():
            single_flight.share(WANTED, lambda: LANDED)
        assert single_flight.share(WANTED, lambda: LANDED) == (LANDED, False)
    assert single_flight.share(WANTED, lambda: LANDED) == (LANDED, True)


def test_another_epoch_forgets_what_landed_in_the_last() -> None:
    single_flight = SingleFlight()
    single_flight.enter("one")
    single_flight.share(WANTED, lambda: LANDED)
    single_flight.enter("one")
    assert single_flight.share(WANTED, lambda: LANDED) == (LANDED, False)
    single_flight.enter("two")
    assert single_flight.share(WANTED, lambda: LANDED) == (LANDED, True)


def test_one_digest_in_two_sizes_is_never_one_flight() -> None:
    single_flight = SingleFlight()
    single_flight.share(WANTED, lambda: LANDED)
    assert single_flight.share(Content(WANTED.promise, 2), lambda: LANDED) == (LANDED, True)
