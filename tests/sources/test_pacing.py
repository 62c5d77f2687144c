"""The bytes of all readers together keep to the limit that holds, however many they are and whatever they do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync.domain.job.bandwidth import Bandwidth, Limit, Window
from mirror_sync.errors import Interrupted
from mirror_sync.sources.wrappers.pacing import Limiter, Timing
from tests.sources.pretended import Passed, PretendedClock, Sums
from tests.waiting import PATIENCE

OVER = 10.0  # seconds
SLACK = 0.2  # seconds of a limit that may come at once


def reading(
    limiter: Limiter, clock: PretendedClock, end: float, passed: Passed, slowness: float = 0.0
) -> Callable[[], None]:
    """Reads all it may until `end`; `slowness` in seconds a read, of which it then gets only a half."""

    def read() -> None:
        with limiter.reading():
            while clock.seconds < end:
                size = limiter.share()
                while not limiter.take(size):
                    limiter.wait()
                count = size
                if slowness:
                    clock.sleep(slowness)
                    count = (size + 1) // 2
                    limiter.give_back(size - count)
                passed.append((round(clock.seconds, 4), count))

    return read


def ran(bandwidth: Bandwidth, start: datetime, readers: int, end: float, slow: Sequence[float] = ()) -> Passed:
    clock, passed = PretendedClock(start), Passed()
    limiter = Limiter(bandwidth, clock.timing)
    works = [reading(limiter, clock, end, passed) for _ in range(readers)]
    clock.run([*works, *(reading(limiter, clock, end, passed, slowness) for slowness in slow)])
    return sorted(passed)


@pytest.mark.parametrize("readers", [1, 3, 64])
@pytest.mark.parametrize("limit", [1000, 1_000_000, 100_000_000])
def test_ten_seconds_bring_what_the_limit_says_within_a_twentieth(limit: int, readers: int) -> None:
    found = Sums(ran(Bandwidth(limit), datetime(2026, 3, 2, tzinfo=UTC), readers, 12.0))
    for begin in (0.0, 0.5, 1.97):
        assert found.between(begin, begin + OVER) == pytest.approx(limit * OVER, rel=0.05)


MINUTES = [Window(time(12, minute), time(12, minute + 1), None) for minute in range(3)]
LIMITS = st.sampled_from([0, 1000, 50_000, 1_000_000, 20_000_000])


@settings(max_examples=8, deadline=None)
@given(
    limits=st.tuples(LIMITS, LIMITS, LIMITS),
    readers=st.integers(1, 8),
    slow=st.lists(st.sampled_from([0.01, 0.3, 4.0]), max_size=3),
    second=st.integers(0, 59),
)
def test_whatever_the_windows_and_readers_no_time_brings_more_than_its_limits_and_a_moments_worth(
    limits: tuple[int, int, int], readers: int, slow: Sequence[float], second: int
) -> None:
    windows = tuple(Window(it.start, it.stop, limit) for it, limit in zip(MINUTES, limits, strict=True))
    start, length = datetime(2026, 3, 2, 12, 0, second, tzinfo=UTC), 110.0
    passed = ran(Bandwidth(10_000, windows), start, readers, length, slow)
    found = Sums(passed)

    def limit_at(moment: float) -> int:
        minute = int((second + moment) // 60)
        return limits[minute] if minute < 3 else 10_000

    moments = [tenth / 10 for tenth in range(int(length * 10))]
    allowed = [0.0, *accumulate(limit_at(moment + 0.05) / 10 for moment in moments)]
    for at in range(0, len(moments) - 100, 7):
        begin, end = moments[at], moments[at + 100]
        recent = [limit_at(max(0.0, moments[at] - 4.5)), *(limit_at(moment) for moment in moments[at : at + 100])]
        assert found.between(begin, end) <= allowed[at + 100] - allowed[at] + SLACK * max(recent) + len(slow) + readers
        if len(set(recent)) == 1 and recent[0]:
            assert found.between(begin, end) >= 0.95 * OVER * recent[0] - readers


def test_a_new_limit_holds_from_its_edge_on_while_readers_wait() -> None:
    bandwidth = Bandwidth(1_000_000, (Window(time(12), time(13), 10_000),))
    found = Sums(ran(bandwidth, datetime(2026, 3, 2, 11, 59, 50, tzinfo=UTC), 16, 20.0))
    assert found.between(0, 10) == pytest.approx(10_000_000, rel=0.05)
    assert found.between(10.2, 20) == pytest.approx(98_000, rel=0.05)


def test_in_a_pause_nothing_passes_and_afterwards_it_goes_on() -> None:
    bandwidth = Bandwidth(1_000_000, (Window(time(12), time(12, 1), 0),))
    found = Sums(ran(bandwidth, datetime(2026, 3, 2, 11, 59, 50, tzinfo=UTC), 16, 80.0))
    assert found.between(10.2, 70) == 0
    assert found.between(70, 80) == pytest.approx(10_000_000, rel=0.05)


def test_readers_share_alike() -> None:
    clock, passed = PretendedClock(), [Passed() for _ in range(64)]
    limiter = Limiter(Bandwidth(1_000_000), clock.timing)
    clock.run([reading(limiter, clock, 20.0, mine) for mine in passed])
    sums = [Sums(mine).between(1, 20) for mine in passed]
    assert max(sums) <= 1.1 * min(sums)


def test_a_reader_that_waits_for_its_server_takes_nothing_from_the_others() -> None:
    found = Sums(ran(Bandwidth(1_000_000), datetime(2026, 3, 2, tzinfo=UTC), 2, 30.0, slow=[3.0] * 20))
    assert found.between(10, 20) == pytest.approx(10_000_000, rel=0.05)


def test_a_clock_that_is_set_back_is_believed() -> None:
    now = [datetime(2026, 3, 2, 12, 30, tzinfo=UTC)]
    bandwidth = Bandwidth(5_000, (Window(time(12), time(13), 0),))
    limiter = Limiter(bandwidth, Timing(lambda _: None, lambda: 0.0, lambda: now[0]))
    assert limiter.paused
    now[0] -= timedelta(hours=1)
    assert not limiter.paused


@pytest.mark.parametrize("limit", [0, 1000])
def test_a_stop_ends_every_wait(limit: Limit) -> None:
    """The sleep is the program's own, which a stop ends at once: no other wait holds a reader."""
    stop, ended = threading.Event(), []

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Interrupted("stopped")

    limiter = Limiter(Bandwidth(limit, (Window(time(0), time(0), limit),)), Timing(sleep))

    def wait() -> None:
        with suppress(Interrupted):
            while True:
                if not limiter.take(100_000_000):
                    limiter.wait()
        ended.append(1)

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert not ended
    stop.set()
    for thread in threads:
        thread.join(timeout=PATIENCE)
    assert len(ended) == 8
