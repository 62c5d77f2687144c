"""`prefer: fastest`: files come by the endpoint that is measured to be quickest; by an injected clock, over sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.upstreams import Prefer
from mirror_sync.domain.job.way_gauge import AGAIN, PROBE, EndpointGauge
from mirror_sync.domain.outcome.events import EndpointTaken, Event
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import UpstreamError
from mirror_sync.net.transport import Transport
from mirror_sync.observe.metrics.families import Families
from mirror_sync.observe.metrics.ledger import Ledger
from mirror_sync.observe.metrics.readings import Readings
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.sources.hub.hub_source import HubSource
from mirror_sync.sources.wrappers.failover import FailoverSource
from mirror_sync.sources.wrappers.source_wrapper import Wrapper
from mirror_sync.state.ways_file import kept_ways
from mirror_sync.wiring.program import Mirror
from tests.cli.program import Program
from tests.sources.reading import FILES, TINY, fetched, fill_hub, published
from tests.standin import Hub, faults

LARGE, SMALL = "sub/model.safetensors", "config.json"
MIB = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Paced(Wrapper):
    """Takes as long as it says by the clock: `first` seconds until the first byte, then `rate` bytes a second."""

    def __init__(self, source: HubSource, clock: Clock) -> None:
        super().__init__(source)
        self.clock, self.first, self.rate = clock, 0.1, 100.0 * MIB

    def __str__(self) -> str:
        return str(self._source)

    @contextmanager
    def _paced(self, given: AbstractContextManager[ByteStream]) -> Iterator[ByteStream]:
        self.clock.now += self.first
        with given as stream:
            yield _Paced(stream, self)

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        return self._paced(super().fetch(repo, commit, file, start, stop))


class _Paced:
    def __init__(self, stream: ByteStream, source: Paced) -> None:
        self._stream, self._source, self._begun = stream, source, False

    def readinto(self, buffer: memoryview) -> int:
        count = self._stream.readinto(buffer)
        if self._begun:
            self._source.clock.now += count / self._source.rate
        self._begun = True
        return count


class Pair:
    def __init__(self, hubs: tuple[Hub, Hub], transport: Transport, prefer: Prefer = Prefer.FASTEST) -> None:
        self.hubs, self.clock = hubs, Clock()
        self.paced = [Paced(HubSource(hub.url, None, transport), self.clock) for hub in hubs]
        self.told: list[Event] = []
        self.source = FailoverSource(self.paced, clock=self.clock, prefer=prefer, tell=self.told.append)
        self.commit, self.files = published(self.source)
        self.served()

    def fetch(self, path: str = LARGE) -> int:
        """Which of the two gave it."""
        assert fetched(self.source, TINY, self.commit, self.files[path]) == FILES[path].read()
        first, second = self.served()
        assert first != second
        return int(second)

    def served(self) -> tuple[bool, bool]:
        first, second = (bool(hub.calls("GET", "/acme/tiny/resolve/*")) for hub in self.hubs)
        for hub in self.hubs:
            hub.log.clear()
        return first, second


@pytest.fixture
def pair(hub: Hub, transport: Transport) -> Iterator[Pair]:
    with Hub() as second:
        fill_hub(hub)
        fill_hub(second)
        yield Pair((hub, second), transport)


def test_each_is_measured_once_and_the_first_stays_unless_another_is_clearly_quicker(pair: Pair) -> None:
    assert [pair.fetch() for _ in range(8)] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert pair.told == []


@pytest.mark.parametrize(("first", "rate"), [(0.02, 100), (0.1, 500)], ids=["first byte", "rate"])
def test_one_that_is_quicker_is_taken_and_it_is_told_once(pair: Pair, first: float, rate: float) -> None:
    pair.paced[0].first, pair.paced[0].rate = 0.5, 50.0 * MIB
    pair.paced[1].first, pair.paced[1].rate = first, rate * MIB
    assert [pair.fetch() for _ in range(8)] == [0, 1, 1, 1, 1, 1, 1, 1]
    (told,) = [event for event in pair.told if isinstance(event, EndpointTaken)]
    assert (told.endpoint, told.before) == (pair.hubs[1].url, pair.hubs[0].url)
    assert told.first_byte == pytest.approx(first)


def test_small_files_measure_the_first_byte_alone(pair: Pair) -> None:
    pair.paced[0].first = 0.5
    assert [pair.fetch(SMALL) for _ in range(4)] == [0, 1, 1, 1]
    slow, quick = pair.source.speeds().values()
    assert slow.first_byte == pytest.approx(0.5)
    assert (slow.rate, quick.rate) == (0.0, 0.0)
    assert (slow.taken, quick.taken) == (False, True)


def test_what_a_name_stands_for_is_asked_of_the_first_however_slow_it_is(pair: Pair) -> None:
    pair.paced[0].first = 9.0
    for _ in range(3):
        pair.fetch()
    assert pair.source.resolve(TINY, "main").fallback is None
    assert [hub.calls("GET", "/api/*") for hub in pair.hubs] == [1, 0]
    list(pair.source.list(TINY, pair.commit))
    assert [hub.calls("GET", "*/tree/*") for hub in pair.hubs] == [0, 1]


def test_one_that_fails_is_left_alone_and_tried_again_later(pair: Pair) -> None:
    pair.paced[0].first = 9.0
    for _ in range(3):
        pair.fetch()
    pair.hubs[1].faults.add(faults.status(500), "/acme/*", times=1)
    assert fetched(pair.source, TINY, pair.commit, pair.files[LARGE]) == FILES[LARGE].read()
    assert pair.served() == (True, True)
    came = [pair.fetch() for _ in range(20)]
    assert came[:10] == [0] * 10
    assert came[-1] == 1
    assert pair.source.speeds()[pair.hubs[1].url].errors == 1


def test_one_that_has_not_the_file_is_left_alone_too(pair: Pair) -> None:
    pair.hubs[1].remove("acme/tiny")
    pair.paced[0].first = 9.0
    for _ in range(3):
        assert fetched(pair.source, TINY, pair.commit, pair.files[LARGE]) == FILES[LARGE].read()
    assert pair.hubs[1].calls("GET", "/acme/tiny/resolve/*") == 1


def test_one_that_lies_is_left_alone_for_long(pair: Pair) -> None:
    pair.paced[0].first = 9.0
    for _ in range(3):
        pair.fetch()
    assert pair.fetch(SMALL) == 1
    pair.source.distrust(TINY, pair.commit, pair.files[SMALL])
    assert 1 not in [pair.fetch("README.md") for _ in range(2 * AGAIN)]


def test_in_their_order_they_are_measured_and_not_chosen(hub: Hub, transport: Transport) -> None:
    with Hub() as second:
        fill_hub(hub)
        fill_hub(second)
        pair = Pair((hub, second), transport, Prefer.ORDER)
        pair.paced[0].first = 9.0
        assert [pair.fetch() for _ in range(3)] == [0, 0, 0]
        slow, unknown = pair.source.speeds().values()
        assert slow.first_byte == pytest.approx(9.0)
        assert (slow.taken, slow.asked) == (True, 3)
        assert (unknown.first_byte, unknown.taken, unknown.asked) == (0.0, False, 0)


def gauge(*measured: tuple[float, float]) -> EndpointGauge:
    """Each by its first byte in seconds and its MiB a second; way 0 is taken."""
    found = EndpointGauge(len(measured))
    for way, (first, rate) in enumerate(measured):
        assert found.choose(range(len(measured))) == way
        found.opened(way, first)
        found.came(way, int(rate * MIB), 1.0)
        found.ended(way, well=True)
    return found


@pytest.mark.parametrize(
    ("measured", "taken"),
    [
        (((0.10, 50), (0.10, 50)), 0),
        (((0.40, 50), (0.24, 50)), 0),  # by less than 300 ms, and less than twice
        (((0.55, 50), (0.20, 50)), 1),  # by more than 300 ms
        (((0.02, 100), (0.01, 400)), 1),  # three times as quick for a part
        (((0.005, 1000), (0.001, 4000)), 0),  # by next to nothing
        (((0.1, 1), (0.1, 1.1)), 0),  # by more than 300 ms, and less than a quarter
        (((0.9, 50), (0.5, 50), (0.1, 50)), 2),
    ],
)
def test_another_is_taken_from_300_ms_or_twice_as_quick_on(
    measured: tuple[tuple[float, float], ...], taken: int
) -> None:
    assert gauge(*measured).choose(range(len(measured))) == taken


def test_between_two_that_change_places_by_little_nobody_is_left() -> None:
    found = gauge((0.60, 50), (0.20, 50))
    assert found.choose([0, 1]) == 1
    for first in (0.55, 0.6, 0.5, 0.58):  # the one that is taken is slower now, and not clearly
        found.opened(1, first)
        assert found.choose([0, 1]) == 1
    for _ in range(9):
        found.opened(1, 2.0)
    assert found.choose([0, 1]) == 0


def test_nothing_large_is_sent_by_one_that_is_to_be_measured() -> None:
    found = EndpointGauge(2)
    assert found.choose([0, 1]) == 0
    assert found.choose([0, 1], probes=False) == 0
    assert found.choose([0, 1]) == 1
    assert PROBE == 64 * MIB


def test_status_and_metrics_tell_how_quick_each_is(hub: Hub, tmp_path: Path) -> None:
    with Hub() as second:
        fill_hub(hub)
        fill_hub(second)
        document = {
            "state_dir": str(tmp_path / "state"),
            "upstreams": {"hf": {"kind": "huggingface", "endpoints": [hub.url, second.url], "prefer": "fastest"}},
            "targets": {"mirror": {"url": (tmp_path / "mirror").as_uri()}},
            "licenses": {"allow": ["mit", "apache-2.0"]},
            "site": {"enabled": False},
            "jobs": [{"name": "a", "repos": ["acme/tiny", "acme/second"]}],
        }
        (tmp_path / "jobs.yaml").write_text(json.dumps(document), encoding="utf-8")
        mirror = Mirror(load(tmp_path / "jobs.yaml", {}))
        try:
            assert mirror.sync(BY_DAEMON).ok
            speeds = mirror.speeds()
        finally:
            mirror.close()
    assert kept_ways(tmp_path / "state").endpoints == speeds
    assert all(pace.asked for pace in speeds["hf"].values())
    families = Families(Ledger(lambda: 0.0), lambda: Readings(speeds=speeds), lambda: 0.0)
    told = {family.name: family.samples for family in families.collect()}
    assert {sample.labels["endpoint"] for sample in told["mirror_sync_endpoint_streams"]} == {hub.url, second.url}
    assert sum(sample.value for sample in told["mirror_sync_endpoint_taken"]) == 1
    shown = Program(tmp_path)("status", "--config", str(tmp_path / "jobs.yaml")).out
    assert "upstream hf: files come first by http://127.0.0.1" in " ".join(shown.split())
    assert "first byte after" in " ".join(shown.split())


def test_a_server_that_is_down_is_no_way(pair: Pair) -> None:
    pair.hubs[0].faults.add(faults.refuse(), "/acme/*")
    for _ in range(3):
        with suppress(UpstreamError):
            fetched(pair.source, TINY, pair.commit, pair.files[SMALL])
    assert pair.source.speeds()[pair.hubs[0].url].errors >= 1
    assert pair.served()[1]
