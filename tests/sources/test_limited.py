"""A limited source gives the same bytes, no faster than it may, and its waits harm no connection."""

from __future__ import annotations

import time as real
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from mirror_sync.domain.job.bandwidth import Bandwidth, Window
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.turns import Length
from mirror_sync.errors import Interrupted
from mirror_sync.net.transport import Transport
from mirror_sync.ports.source import Source
from mirror_sync.sources.directory.folders import DirectorySource
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.connections import ConnectedSource, Connections
from mirror_sync.sources.wrappers.limited import JobLimits, LimitedSource, Limits
from mirror_sync.sources.wrappers.pacing import Limiter, Timing
from tests.sources.pretended import Passed, PretendedClock, Sums
from tests.sources.raw import QUICK
from tests.sources.reading import FILES, LARGE, TINY, Steps, fetched, fill_hub, published
from tests.standin import Hub

WEIGHTS = "sub/model.safetensors"
BODY = FILES[WEIGHTS].read()


@pytest.mark.parametrize(("limits", "readers"), [((500_000,), 1), ((500_000,), 16), ((500_000, 4_000_000), 4)])
@pytest.mark.parametrize("order", [1, -1])
def test_over_real_connections_ten_seconds_bring_what_the_strictest_limit_says(
    hub: Hub, source: HubSource, limits: tuple[int, ...], readers: int, order: int
) -> None:
    fill_hub(hub)
    commit, files = published(source)
    clock, passed, bodies = PretendedClock(), Passed(), dict[int, bytes]()
    limited = LimitedSource(source, [Limiter(Bandwidth(limit), clock.timing) for limit in limits[::order]])
    step = -(-LARGE // readers)

    def reading(start: int) -> Callable[[], None]:
        def read() -> None:
            body, buffer = bytearray(), memoryview(bytearray(1 << 20))
            with limited.fetch(TINY, commit, files[WEIGHTS], start, min(start + step, LARGE)) as stream:
                while count := stream.readinto(buffer):
                    passed.append((round(clock.seconds, 4), count))
                    body += buffer[:count]
            bodies[start] = bytes(body)

        return read

    clock.run([reading(start) for start in range(0, LARGE, step)])
    assert b"".join(body for _, body in sorted(bodies.items())) == BODY
    found = Sums(sorted(passed))
    for begin in (0, 1, 5):
        assert found.between(begin, begin + 10) == pytest.approx(10 * 500_000, rel=0.05)


def test_waits_count_against_no_least_rate(hub: Hub) -> None:
    """The connection goes by the clock that the waits move on, and wants a hundred times what the limit allows."""
    clock = PretendedClock()
    hasty = replace(QUICK, min_rate=1_000_000, over=0.5, first_byte=1000)
    source = HubSource(hub.url, None, Transport(timeouts=hasty, clock=lambda: clock.seconds))
    fill_hub(hub)
    commit, files = published(source)
    limited = LimitedSource(source, [Limiter(Bandwidth(10_000), clock.timing)])
    found: list[bytes] = []
    clock.run([lambda: found.append(fetched(limited, TINY, commit, files[WEIGHTS], 0, 300_000))])
    assert found == [BODY[:300_000]]
    assert clock.seconds > 25


def test_waits_that_are_longer_than_a_server_may_be_silent_are_no_silence(hub: Hub) -> None:
    fill_hub(hub)
    source = HubSource(hub.url, None, Transport(timeouts=replace(QUICK, stall=2)))
    commit, files = published(source)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        if not slept:
            real.sleep(2.5)
        slept.append(seconds)

    limited = LimitedSource(source, [Limiter(Bandwidth(1_000_000), Timing(sleep))])
    assert fetched(limited, TINY, commit, files[WEIGHTS]) == BODY
    assert len(slept) > 2


@pytest.mark.parametrize("before", [(), (1_000_000,)], ids=["alone", "while waiting for another limit"])
def test_in_a_pause_no_connection_is_held_and_the_file_goes_on_where_it_stopped(
    hub: Hub, source: HubSource, before: tuple[int, ...]
) -> None:
    fill_hub(hub)
    commit, files = published(source)
    clock, places, free = PretendedClock(datetime(2026, 3, 2, 11, 59, 58, tzinfo=UTC)), Connections(1, lambda: None), []

    def sleep(seconds: float) -> None:
        if seconds > 1:
            free.append(places._turns.free)
        clock.sleep(seconds)

    bandwidth = Bandwidth(10_000_000 if before else 1_000_000, (Window(time(12), time(13), 0),))
    limiter = Limiter(bandwidth, replace(clock.timing, sleep=sleep))
    others = [Limiter(Bandwidth(limit), clock.timing) for limit in before]
    limited = LimitedSource(ConnectedSource(source, [places]), [*others, limiter])
    hub.log.clear()
    found: list[bytes] = []
    clock.run([lambda: found.append(fetched(limited, TINY, commit, files[WEIGHTS]))])
    assert found == [BODY]
    assert free
    assert set(free) == {1}
    first, second = (record.range for record in hub.log.records(origin="cdn"))
    assert first is None
    assert second is not None
    assert 1_900_000 < int(second.removeprefix("bytes=").split("-")[0]) < 2_300_000
    assert clock.seconds > 3600


def test_a_stop_in_a_pause_gives_everything_back(hub: Hub, source: HubSource) -> None:
    fill_hub(hub)
    commit, files = published(source)

    def stopped(_: float) -> None:
        raise Interrupted("stopped")

    places = Connections(1, lambda: None)
    limiter = Limiter(Bandwidth(0), Timing(stopped))
    limited = LimitedSource(ConnectedSource(source, [places]), [limiter])
    with pytest.raises(Interrupted), limited.fetch(TINY, commit, files[WEIGHTS]):
        raise AssertionError("a pause opens nothing")
    assert limiter._readers == 0
    with places.one(Length.SHORT):
        pass


def test_without_limits_there_is_no_wrapper(tmp_path: Path) -> None:
    source: Source = DirectorySource(tmp_path)
    timing = Timing(Steps())
    none = Limits.of(Bandwidth(), None, timing, lambda: None)
    assert none.on(source) is source
    assert not none
    assert isinstance(
        Limits.of(Bandwidth(None, (Window(time(1), time(2), 5000),)), None, timing, lambda: None).on(source),
        LimitedSource,
    )


def test_a_job_has_one_ration_until_its_limits_change() -> None:
    """Two runs of a job share its limit; another machine's jobs.yaml may be newer than ours."""
    rations = JobLimits(lambda bandwidth, connections: Limits.of(bandwidth, connections, Timing(Steps()), lambda: None))
    job = Job("a", (), "hub", "bucket", bandwidth=Bandwidth(5000), connections=2)
    assert rations.of(job) is rations.of(replace(job, workers=3))
    assert rations.of(replace(job, bandwidth=Bandwidth(6000))) is not rations.of(job)
    assert rations.of(replace(job, name="b")) is not rations.of(job)
    assert not rations.of(replace(job, bandwidth=Bandwidth(), connections=None))
