"""A source with other roads to the same bytes: a file comes by the quickest that has its SHA-256, and proof decides.

Nothing but bytes is taken from a road. One that is down, slow or wrong costs what it has cost by then: the file goes on
by the upstream of the job.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, Promise, Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.job.way_gauge import RoadGauge
from mirror_sync.domain.outcome.events import Observer, RoadLeft, RoadTaken
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import IntegrityError, MirrorError, Unreachable, UpstreamError
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Catalogue, Source
from mirror_sync.sources.wrappers.source_wrapper import Wrapper

WORTH = 1024 * 1024  # bytes: a smaller file costs more by asking than any road gains
_WAIT = 5.0  # seconds for which a repo's first large file waits for what a road has of it
_KEPT = 600.0  # seconds for which that is believed, and a road that could not be asked is not asked again
_REPOS, _FILES = 64, 20_000  # that are remembered of a road, and large files of each repo
_DRAGS = 10.0  # seconds after which a road's rate is compared
_CONTENTS = 4096  # whose ways are remembered: those in flight are a few dozen
_FAILURES = (UpstreamError, IntegrityError)


@dataclass(frozen=True, slots=True)
class Road:
    """Another upstream, by its name in jobs.yaml: `lists` may be slow and ask again, `source` asks once."""

    name: str
    source: Source
    lists: Catalogue


@dataclass(slots=True)
class _Offer:
    """What a road has of a repo: each large content by its digest, and where; empty until it is known."""

    at: float
    known: threading.Event = field(default_factory=threading.Event)
    commit: CommitId | None = None
    files: Mapping[Sha256, RemoteFile] = field(default_factory=dict)
    waited: bool = False


class _Offers:
    """Asks one road what it has, beside the transfers. Safe for many threads.

    After one answer that did not come in time nobody waits for the next, until one does.
    """

    def __init__(self, road: Road, clock: Callable[[], float]) -> None:
        self._road, self._clock = road, clock
        self._known: OrderedDict[Repo, _Offer] = OrderedDict()
        self._lock = threading.Lock()
        self._prompt = True

    def find(self, repo: Repo, file: RemoteFile) -> tuple[CommitId, RemoteFile] | None:
        """Where the road has a file. The first who asks of a repo waits a little for the answer, nobody waits twice."""
        with self._lock:
            offer = self._known.get(repo)
            if offer is None or self._clock() - offer.at > _KEPT:
                offer = self._known[repo] = _Offer(self._clock())
                threading.Thread(target=self._ask, args=(repo, offer), name="road", daemon=True).start()
                while len(self._known) > _REPOS:
                    self._known.popitem(last=False)
            waits, offer.waited = not offer.waited and self._prompt, True
        if waits and not offer.known.wait(_WAIT):
            self._prompt = False
        if not offer.known.is_set() or offer.commit is None or file.sha256 is None:
            return None
        found = offer.files.get(file.sha256)
        return None if found is None or found.size != file.size else (offer.commit, found)

    def _ask(self, repo: Repo, offer: _Offer) -> None:
        try:
            commit = self._road.lists.resolve(repo, "main").commit
            worth = (file for file in self._road.lists.list(repo, commit) if file.size >= WORTH)
            offer.files = {file.sha256: file for file in islice(worth, _FILES) if file.sha256 is not None}
            offer.commit = commit
            self._prompt = True
        except Exception:  # noqa: S110  it is no road to this repo, whatever it says
            pass
        finally:
            offer.known.set()


class RoadsSource(Wrapper):
    """Fetches by roads what they have of the repo of the same name. `clock` in seconds, from any start."""

    def __init__(
        self,
        source: Source,
        job: str,
        roads: Sequence[Road],
        tell: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(source)
        self.job, self.tell, self.clock = job, tell, clock
        self.roads = tuple(roads)
        self._offers = [_Offers(road, clock) for road in roads]
        self._gauge, self._lock = RoadGauge(len(roads) + 1), threading.Lock()
        self._served: OrderedDict[Promise, set[int]] = OrderedDict()  # by content, the ways that gave bytes of it
        self._barred: OrderedDict[Promise, None] = OrderedDict()  # contents that come by way 0 alone from now on

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """By way 0, the source itself, or by a road that has the content."""
        own = self._source.fetch(repo, commit, file, start, stop)
        if file.sha256 is None or file.size < WORTH or file.promise in self._barred:
            return own
        offered = dict(self._offered(repo, file, start, stop))
        return RoadFetch(self, repo, file, {0: lambda: own, **offered}) if offered else own

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """Where a road took part, it is the one that is not believed; then the next try has none of them."""
        with self._lock:
            ways = self._served.pop(file.promise, set())
            for way in ways:
                self._gauge.lied(way)
            self._bar(file.promise)
        for way in sorted(ways - {0}):
            self.tell(RoadLeft(self.job, self.roads[way - 1].name, repo, file.path, "its bytes proved wrong"))
        if not ways - {0}:
            self._source.distrust(repo, commit, file)

    def choose(self, offered: Mapping[int, object]) -> int:
        with self._lock:
            return self._gauge.choose(offered)

    def came(self, way: int, promise: Promise, count: int, seconds: float) -> None:
        """Bytes came by a way, after so many seconds of waiting."""
        with self._lock:
            self._gauge.came(way, count, seconds)
            self._served.setdefault(promise, set()).add(way)
            while len(self._served) > _CONTENTS:
                self._served.popitem(last=False)

    def ended(self, way: int, count: int) -> None:
        """A stream was closed after so many bytes."""
        with self._lock:
            self._gauge.ended(way, well=True)
        if count:
            self.tell(RoadTaken(self.job, self.roads[way - 1].name if way else "", count))

    def fell(self, way: int, repo: Repo, file: RemoteFile, error: MirrorError) -> None:
        """A road gave nothing, or no more: this content comes by the source itself from now on."""
        with self._lock:
            self._gauge.ended(way, well=False)
            self._bar(file.promise)
        self.tell(RoadLeft(self.job, self.roads[way - 1].name, repo, file.path, str(error)))

    def drags(self, way: int, count: int, seconds: float) -> bool:
        with self._lock:
            return seconds >= _DRAGS and self._gauge.drags(way, count, seconds)

    def _bar(self, promise: Promise) -> None:
        self._barred[promise] = None
        while len(self._barred) > _CONTENTS:
            self._barred.popitem(last=False)

    def _offered(
        self, repo: Repo, file: RemoteFile, start: int, stop: int | None
    ) -> Iterator[tuple[int, Callable[[], AbstractContextManager[ByteStream]]]]:
        for way, (road, offers) in enumerate(zip(self.roads, self._offers, strict=True), 1):
            found = offers.find(repo, file)
            if found is not None:
                yield way, _opener(road.source, repo, found, (start, stop))


def _opener(
    source: Source, repo: Repo, found: tuple[CommitId, RemoteFile], part: tuple[int, int | None]
) -> Callable[[], AbstractContextManager[ByteStream]]:
    return lambda: source.fetch(repo, *found, *part)


class RoadFetch(AbstractContextManager[ByteStream]):
    """The stream of the way that was chosen. One of a road that breaks is an Unreachable, after which another way is
    opened at the byte that was reached.
    """

    def __init__(
        self,
        roads: RoadsSource,
        repo: Repo,
        file: RemoteFile,
        ways: Mapping[int, Callable[[], AbstractContextManager[ByteStream]]],
    ) -> None:
        self._roads, self._repo, self._file, self._ways = roads, repo, file, ways
        self._way = self._count = 0
        self._seconds = 0.0
        self._broken = False

    def __enter__(self) -> ByteStream:
        self._way = self._roads.choose(self._ways)
        try:
            self._open()
        except _FAILURES as error:
            if not self._way:
                self._roads.ended(0, 0)
                raise
            self._roads.fell(self._way, self._repo, self._file, error)
            self._way = 0
            self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._broken:
            self._roads.ended(self._way, self._count)
        elif self._count:
            self._roads.tell(RoadTaken(self._roads.job, self._roads.roads[self._way - 1].name, self._count))
        self._given.__exit__(kind, error, trace)

    def readinto(self, buffer: memoryview) -> int:
        if self._roads.drags(self._way, self._count, self._seconds):  # what came by then is kept
            raise self._left(Unreachable(f"{_DRAGS:.0f} s of it were far slower than the upstream"))
        before = self._roads.clock()
        try:
            count = self._stream.readinto(buffer)
        except _FAILURES as error:
            raise self._left(error) from error
        took = self._roads.clock() - before
        self._count, self._seconds = self._count + count, self._seconds + took
        self._roads.came(self._way, self._file.promise, count, took)
        return count

    def _open(self) -> None:
        self._given = self._ways[self._way]()
        self._stream = self._given.__enter__()

    def _left(self, error: MirrorError) -> MirrorError:
        if not self._way:
            return error
        self._broken = True
        self._roads.fell(self._way, self._repo, self._file, error)
        return Unreachable(f"{error}; it goes on by the job's own upstream")


class JobRoads:
    """Gives each job its upstream with its roads, always the same one: what was measured is remembered.

    `plain` are all upstreams by name; `asking` makes of one a source that asks again. Safe for many threads.
    """

    def __init__(self, plain: Mapping[str, Source], asking: Callable[[Source], Source], tell: Observer) -> None:
        self._plain, self._asking, self._tell = plain, asking, tell
        self._made: dict[tuple[str, str, tuple[str, ...]], Source] = {}
        self._lock = threading.Lock()

    def of(self, job: Job) -> Source:
        """KeyError for an upstream that is none; a road that this machine does not know is none."""
        if not job.roads:
            return self._plain[job.upstream]
        key = (job.name, job.upstream, job.roads)
        with self._lock:
            if key not in self._made:
                named = [name for name in job.roads if name in self._plain]
                roads = [Road(name, self._plain[name], self._asking(self._plain[name])) for name in named]
                self._made[key] = RoadsSource(self._plain[job.upstream], job.name, roads, self._tell)
            return self._made[key]
