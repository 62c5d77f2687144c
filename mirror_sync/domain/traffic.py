"""Who reads the mirror: downloads by repo and day, snapshots that nobody reads, repos that are asked for in vain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc

_OK, _MULTIPLE, _NOT_FOUND = 200, 300, 404
COLD = timedelta(days=30)
USUAL_DAYS = 3  # days with traffic before the last one, of which a client's usual can be told
FAR_ABOVE = 10  # times the usual
WORTH_TELLING = 1_000_000_000  # bytes of a day: below, nobody is far above anything


@dataclass(frozen=True, slots=True)
class Hit:
    """A request for something of a repo; `bytes` that were sent, `begins` whether from a file's first byte on."""

    at: datetime
    client: str
    repo: Repo
    commit: CommitId | None
    status: int
    bytes: int
    is_file: bool
    begins: bool

    @property
    def given(self) -> bool:
        return _OK <= self.status < _MULTIPLE


@dataclass(slots=True)
class Reads:
    """Of one repo or one day. A download is a file that was read from its first byte on."""

    downloads: int = 0
    bytes: int = 0
    clients: set[str] = field(default_factory=set)

    def add(self, hit: Hit) -> None:
        self.downloads += hit.is_file and hit.begins
        self.bytes += hit.bytes
        self.clients.add(hit.client)

    def encode(self) -> dict[str, int]:
        return {"downloads": self.downloads, "bytes": self.bytes, "clients": len(self.clients)}


@dataclass(slots=True)
class Misses:
    """A repo that is asked for and not mirrored."""

    requests: int = 0
    clients: set[str] = field(default_factory=set)
    last: datetime | None = None

    def add(self, hit: Hit) -> None:
        self.requests += 1
        self.clients.add(hit.client)
        self.last = max(self.last or hit.at, hit.at)


@dataclass(frozen=True, slots=True)
class Published:
    """A mirrored snapshot, and since when."""

    repo: Repo
    commit: CommitId
    since: datetime


@dataclass(frozen=True, slots=True)
class Surge:
    """A client that read far more on the last day than on its usual ones; both in bytes a day."""

    client: str
    bytes: int
    usual: int


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """`first` and `last` are the times of the first and the last request; None where there was none.

    `cold` is None where the logs are younger than 30 days: then nobody can know.
    """

    first: datetime | None
    last: datetime | None
    repos: Mapping[Repo, Reads]
    days: Mapping[date, Reads]
    misses: Mapping[Repo, Misses]
    surges: tuple[Surge, ...]
    cold: tuple[Published, ...] | None
    unread: int  # lines that are none of a front's log

    def encode(self) -> dict[str, Any]:
        """The document of `traffic --json`; sizes in bytes, times in ISO 8601, days in UTC."""
        cold = (
            None
            if self.cold is None
            else [
                {"repo": str(item.repo), "commit": item.commit, "published": _spoken(item.since)} for item in self.cold
            ]
        )
        return {
            "first": _spoken(self.first),
            "last": _spoken(self.last),
            "repos": [{"repo": str(repo), **reads.encode()} for repo, reads in self.repos.items()],
            "days": [{"day": day.isoformat(), **reads.encode()} for day, reads in self.days.items()],
            "misses": [
                {"repo": str(repo), "requests": miss.requests, "clients": len(miss.clients), "last": _spoken(miss.last)}
                for repo, miss in self.misses.items()
            ],
            "surges": [{"client": item.client, "bytes": item.bytes, "usual_bytes": item.usual} for item in self.surges],
            "cold": cold,
            "lines_not_understood": self.unread,
        }


class Traffic:
    """Counts hits, in any order; `mirrored` are the repos of which something is published."""

    def __init__(self, mirrored: Iterable[Repo]) -> None:
        self._mirrored = frozenset(mirrored)
        self._repos: defaultdict[Repo, Reads] = defaultdict(Reads)
        self._days: defaultdict[date, Reads] = defaultdict(Reads)
        self._misses: defaultdict[Repo, Misses] = defaultdict(Misses)
        self._by_client: defaultdict[str, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
        self._read: dict[tuple[Repo, CommitId], datetime] = {}
        self._first: datetime | None = None
        self._last: datetime | None = None

    def add(self, hit: Hit) -> None:
        self._first, self._last = min(self._first or hit.at, hit.at), max(self._last or hit.at, hit.at)
        if hit.repo not in self._mirrored:
            if hit.status == _NOT_FOUND:
                self._misses[hit.repo].add(hit)
        elif hit.given:
            self._count(hit)

    def report(self, published: Iterable[Published], now: datetime, unread: int = 0) -> TrafficReport:
        """What was counted; the most read, the most missed and the oldest come first."""
        return TrafficReport(
            first=self._first,
            last=self._last,
            repos=dict(sorted(self._repos.items(), key=lambda item: (-item[1].bytes, item[0]))),
            days=dict(sorted(self._days.items())),
            misses=dict(
                sorted(self._misses.items(), key=lambda item: (-len(item[1].clients), -item[1].requests, item[0]))
            ),
            surges=tuple(sorted(self._surges(), key=lambda surge: -surge.bytes)),
            cold=self._cold(published, now),
            unread=unread,
        )

    def _count(self, hit: Hit) -> None:
        day = hit.at.date()
        self._repos[hit.repo].add(hit)
        self._days[day].add(hit)
        self._by_client[hit.client][day] += hit.bytes
        if hit.is_file and hit.commit is not None:
            read = (hit.repo, hit.commit)
            self._read[read] = max(self._read.get(read, hit.at), hit.at)

    def _cold(self, published: Iterable[Published], now: datetime) -> tuple[Published, ...] | None:
        if self._first is None or now - self._first < COLD:
            return None
        limit = now - COLD
        cold = [
            item
            for item in published
            if item.since < limit and self._read.get((item.repo, item.commit), item.since) < limit
        ]
        return tuple(sorted(cold, key=lambda item: item.since))

    def _surges(self) -> Iterator[Surge]:
        if self._last is None:
            return
        today = self._last.date()
        for client, days in self._by_client.items():
            before = [size for day, size in days.items() if day < today]
            if len(before) < USUAL_DAYS or days.get(today, 0) < WORTH_TELLING:
                continue
            usual = round(median(before))
            if days[today] > FAR_ABOVE * usual:
                yield Surge(client, days[today], usual)


def _spoken(at: datetime | None) -> str | None:
    return None if at is None else iso_utc(at)
