"""No more is open at an upstream than there are places, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mirror_sync.domain.turns import Length
from mirror_sync.errors import FileNotFound, Interrupted
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.connections import ConnectedSource, Connections
from tests.sources.reading import FILES, LARGE, TINY, fetched, fill_hub, published
from tests.standin import Hub
from tests.waiting import PATIENCE


def _free(connections: Connections, count: int) -> bool:
    """Whether so many places can be had at once."""
    with ThreadPoolExecutor(count) as threads:
        barrier = threading.Barrier(count)

        def take(_: int) -> bool:
            with connections.one(Length.SHORT):
                try:
                    barrier.wait(timeout=PATIENCE)
                except threading.BrokenBarrierError:
                    return False
                return True

        return all(threads.map(take, range(count)))


@pytest.mark.parametrize("count", [1, 3])
def test_the_server_never_sees_more_connections_than_places(hub: Hub, source: HubSource, count: int) -> None:
    fill_hub(hub)
    bounded = ConnectedSource(source, [Connections(count, lambda: None)])
    commit, files = published(bounded)
    with ThreadPoolExecutor(12) as threads:
        ranges = [(start, start + LARGE // 8) for start in range(0, LARGE - LARGE // 8, LARGE // 8)]
        large = files["sub/model.safetensors"]
        parts = [threads.submit(fetched, bounded, TINY, commit, large, *each) for each in ranges]
        small = [threads.submit(fetched, bounded, TINY, commit, files["config.json"]) for _ in range(30)]
        looks = [threads.submit(bounded.resolve, TINY, "main") for _ in range(10)]
    assert [each.result() for each in parts] == [FILES[large.path].read(*each) for each in ranges]
    assert {each.result() for each in small} == {FILES["config.json"].read()}
    assert {each.result().commit for each in looks} == {commit}
    assert 0 < hub.most_connections("hub") <= count
    assert 0 < hub.most_connections("cdn") <= count


def test_places_come_back_whatever_happens(hub: Hub, source: HubSource) -> None:
    fill_hub(hub)
    connections = Connections(2, lambda: None)
    bounded = ConnectedSource(source, [connections])
    commit, files = published(bounded)
    missing = type(files["config.json"])("nope.json", 5, files["config.json"].oid)
    for _ in range(5):
        with pytest.raises(FileNotFound):
            fetched(bounded, TINY, commit, missing)
        with bounded.fetch(TINY, commit, files["sub/model.safetensors"]):
            pass
    assert _free(connections, 2)


def test_a_place_that_frees_goes_to_whoever_has_fewer() -> None:
    connections, order = Connections(1, lambda: None), list[Length]()

    def take(length: Length) -> None:
        with connections.one(length):
            order.append(length)

    with ThreadPoolExecutor(8) as threads, connections.one(Length.LONG):
        for length in [Length.LONG] * 4 + [Length.SHORT] * 4:
            threads.submit(take, length)
        while connections._turns.waiting < 8:
            time.sleep(0.01)
    assert order == [Length.SHORT, Length.LONG] * 4


def test_a_stop_ends_the_waiting_and_loses_no_place() -> None:
    stop = threading.Event()

    def go_on() -> None:
        if stop.is_set():
            raise Interrupted("stopped")

    def take() -> None:
        with connections.one(Length.SHORT):
            raise AssertionError("there was no place")

    connections = Connections(1, go_on)
    with ThreadPoolExecutor(4) as threads, connections.one(Length.LONG):
        waiting = [threads.submit(take) for _ in range(4)]
        stop.set()
        assert {type(each.exception(timeout=PATIENCE)) for each in waiting} == {Interrupted}
    stop.clear()
    assert _free(connections, 1)
