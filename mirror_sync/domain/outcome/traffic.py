"""Who reads the mirror: downloads by repo and day, snapshots that nobody reads, repos that are asked for in vain."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import Any

from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc

_OK, _MULTIPLE = 200, 300
LED = 307  # elsewhere: to the name of a repo here, or to the upstream of one that is not here
_IN_VAIN = (404, LED, 503)  # the last one: it is brought, since somebody asks
_REFUSED = {401: "token", 403: "role"}  # why, by the status: no good token; a repo that is not for who asks
NOBODY, UNKNOWN_ROLE = "(no token)", "(a role that tokens.yaml does not know)"
COLD = timedelta(days=30)
USUAL_DAYS = 3  # days with traffic before the last one, of which what is usual can be told
FAR_ABOVE = 10  # times a client's usual
_LARGE = 20  # one part in so many of what all read on a usual day is worth telling of one client,
_OF_A_NEWCOMER = 5  # and so much of one that was never seen
SWEEP = 20  # names that one client asks for in a day, mirrored or not,
_TIMES = 3  # and so many times its usual


@dataclass(frozen=True, slots=True)
class Hit:
    """A request for something of a repo; `bytes` that were sent, `begins` whether from a file's first byte on.

    `user` is the name of the token, empty where none of ours was sent. `digest`: of what was asked for by it.
    `any_letters`: whether the id stands as clients of registries write it, which no redirect mends.
    """

    at: datetime
    client: str
    repo: Repo
    commit: CommitId | None
    status: int
    bytes: int
    is_file: bool
    begins: bool
    user: str = ""
    digest: Sha256 | None = None
    any_letters: bool = False

    @property
    def who(self) -> str:
        """Who asked: a token's name stands for its holder, from whatever address."""
        return self.user or self.client

    @property
    def given(self) -> bool:
        """Whether the front gave what was asked for."""
        return _OK <= self.status < _MULTIPLE


@dataclass(slots=True)
class Reads:
    """Of one repo or one day. A download is a file that was read from its first byte on."""

    downloads: int = 0
    bytes: int = 0
    clients: set[str] = field(default_factory=set)

    def add(self, hit: Hit) -> None:
        """Count one request."""
        self.downloads += hit.is_file and hit.begins
        self.bytes += hit.bytes
        self.clients.add(hit.who)

    def join(self, other: Reads) -> None:
        """Count what another one has counted."""
        self.downloads += other.downloads
        self.bytes += other.bytes
        self.clients |= other.clients

    def encode(self) -> dict[str, int]:
        """The figures as JSON; clients are counted, not named."""
        return {"downloads": self.downloads, "bytes": self.bytes, "clients": len(self.clients)}


@dataclass(slots=True)
class Misses:
    """A repo that is asked for and not mirrored."""

    requests: int = 0
    clients: set[str] = field(default_factory=set)
    last: datetime | None = None

    def add(self, hit: Hit) -> None:
        """Count one request."""
        self.requests += 1
        self.clients.add(hit.who)
        self.last = max(self.last or hit.at, hit.at)


@dataclass(frozen=True, slots=True)
class WantedRepo:
    """A repo that readers asked for: by so many requests, or downloads where it is mirrored, the last one about `last`
    (ISO 8601). `missed`: it is not mirrored.
    """

    repo: Repo
    requests: int
    clients: int
    last: str
    missed: bool

    @property
    def text(self) -> str:
        """Why it is wanted, for a person."""
        asked = (
            f"missed: {_many(self.requests, 'request')}" if self.missed else f"read: {_many(self.requests, 'download')}"
        )
        return f"{asked} of {_many(self.clients, 'reader')}, last at {self.last}"


@dataclass(frozen=True, slots=True)
class PublishedSnapshot:
    """A mirrored snapshot, and since when."""

    repo: Repo
    commit: CommitId
    since: datetime


class Oddity(StrEnum):
    """What is unusual about a client on the last day, however many bytes these are."""

    SURGE = "surge"  # far more bytes than on its usual days, and a part of what all read
    NEWCOMER = "newcomer"  # never seen before, and a large part of what all read on a usual day
    SWEEP = "sweep"  # many names, and many more than it usually asks for


@dataclass(frozen=True, slots=True)
class Unusual:
    """A client on the last day, UTC, beside its usual ones: in bytes and in names of repos a day."""

    kind: Oddity
    client: str
    day: date
    bytes: int
    usual: int
    names: int
    usual_names: int

    @property
    def text(self) -> str:
        """One line for a person."""
        much = f"{self.bytes:,} bytes of {self.names:,} repos on {self.day}"
        return f"{self.kind}: client {self.client}, {much}; usually {self.usual:,} of {self.usual_names:,} a day"

    def encode(self) -> dict[str, Any]:
        """An entry of `unusual` in the document of `traffic --json`."""
        return {
            "kind": self.kind,
            "client": self.client,
            "day": self.day.isoformat(),
            "bytes": self.bytes,
            "usual_bytes": self.usual,
            "repos": self.names,
            "usual_repos": self.usual_names,
        }


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
    unusual: tuple[Unusual, ...]
    cold: tuple[PublishedSnapshot, ...] | None
    unread: int  # lines that are none of a front's log
    users: Mapping[str, Reads] = field(default_factory=dict)  # by the name of the token, "" for those without
    refused: Mapping[str, int] = field(default_factory=dict)  # requests for repos, by why

    def readers(self, role_of: Mapping[str, str] | None = None) -> dict[str, Reads]:
        """By the name of the token, or, where the role of each name is given, by that; who reads most comes first."""
        found: defaultdict[str, Reads] = defaultdict(Reads)
        for name, reads in self.users.items():
            whose = NOBODY if not name else name if role_of is None else role_of.get(name, UNKNOWN_ROLE)
            found[whose].join(reads)
        return dict(sorted(found.items(), key=lambda item: (-item[1].bytes, item[0])))

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
            "users": [{"user": name, **reads.encode()} for name, reads in self.readers().items()],
            "refused": dict(self.refused),
            "unusual": [item.encode() for item in self.unusual],
            "cold": cold,
            "lines_not_understood": self.unread,
        }


class Traffic:
    """Counts hits, in any order; `mirrored` are the repos of which something is published."""

    def __init__(self, mirrored: Iterable[Repo]) -> None:
        self._mirrored = frozenset(mirrored)
        self._repos: defaultdict[Repo, Reads] = defaultdict(Reads)
        self._days: defaultdict[date, Reads] = defaultdict(Reads)
        self._users: defaultdict[str, Reads] = defaultdict(Reads)
        self._refused: Counter[str] = Counter()
        self._misses: defaultdict[Repo, Misses] = defaultdict(Misses)
        self._by_client: defaultdict[str, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
        self._names: defaultdict[str, defaultdict[date, set[Repo]]] = defaultdict(lambda: defaultdict(set))
        self._read: dict[tuple[Repo, CommitId], datetime] = {}
        self._first: datetime | None = None
        self._last: datetime | None = None

    def add(self, hit: Hit) -> None:
        """Count one request; the order of requests does not matter."""
        self._first, self._last = min(self._first or hit.at, hit.at), max(self._last or hit.at, hit.at)
        self._names[hit.who][hit.at.date()].add(hit.repo)
        if hit.status in _REFUSED:
            self._refused[_REFUSED[hit.status]] += 1
        if hit.repo not in self._mirrored:
            if hit.status in _IN_VAIN:
                self._misses[hit.repo].add(hit)
        elif hit.given:
            self._count(hit)

    def report(self, published: Iterable[PublishedSnapshot], now: datetime, unread: int = 0) -> TrafficReport:
        """What was counted; the most read, the most missed and the oldest come first."""
        return TrafficReport(
            first=self._first,
            last=self._last,
            repos=dict(sorted(self._repos.items(), key=lambda item: (-item[1].bytes, item[0]))),
            days=dict(sorted(self._days.items())),
            misses=dict(
                sorted(self._misses.items(), key=lambda item: (-len(item[1].clients), -item[1].requests, item[0]))
            ),
            unusual=tuple(sorted(self._unusual(), key=lambda one: (-one.bytes, -one.names, one.client, one.kind))),
            cold=self._cold(published, now),
            unread=unread,
            users=dict(self._users),
            refused=dict(sorted(self._refused.items())),
        )

    def _count(self, hit: Hit) -> None:
        day = hit.at.date()
        self._repos[hit.repo].add(hit)
        self._days[day].add(hit)
        self._users[hit.user].add(hit)
        self._by_client[hit.who][day] += hit.bytes
        if hit.is_file and hit.commit is not None:
            read = (hit.repo, hit.commit)
            self._read[read] = max(self._read.get(read, hit.at), hit.at)

    def _cold(self, published: Iterable[PublishedSnapshot], now: datetime) -> tuple[PublishedSnapshot, ...] | None:
        if self._first is None or now - self._first < COLD:
            return None
        limit = now - COLD
        cold = [
            item
            for item in published
            if item.since < limit and self._read.get((item.repo, item.commit), item.since) < limit
        ]
        return tuple(sorted(cold, key=lambda item: item.since))

    def _unusual(self) -> Iterator[Unusual]:
        """Nothing while the log tells of fewer days than what is usual takes."""
        if self._last is None:
            return
        today = self._last.date()
        whole = [reads.bytes for day, reads in self._days.items() if day < today]
        if len(whole) < USUAL_DAYS:
            return
        usual = median(whole)
        for client in self._names:
            one = self._client(client, today)
            yield from (replace(one, kind=kind) for kind in self._oddities(one, usual))

    def _client(self, client: str, today: date) -> Unusual:
        sizes: Mapping[date, int] = self._by_client.get(client, {})
        names = self._names[client]
        usual = _median(size for day, size in sizes.items() if day < today)
        usual_names = _median(len(found) for day, found in names.items() if day < today)
        asked = len(names.get(today, ()))
        return Unusual(Oddity.SURGE, client, today, sizes.get(today, 0), usual, asked, usual_names)

    def _oddities(self, one: Unusual, usual: float) -> Iterator[Oddity]:
        """`usual`: bytes that all clients read on a usual day."""
        before = sum(day < one.day for day in self._names[one.client])
        if not before and one.bytes and one.bytes * _OF_A_NEWCOMER >= usual:
            yield Oddity.NEWCOMER
        if before >= USUAL_DAYS and one.bytes > FAR_ABOVE * one.usual and one.bytes * _LARGE >= usual:
            yield Oddity.SURGE
        if one.names >= SWEEP and one.names > _TIMES * one.usual_names:
            yield Oddity.SWEEP


def _median(figures: Iterable[int]) -> int:
    """0 of none."""
    return round(median(list(figures) or [0]))


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _spoken(at: datetime | None) -> str | None:
    return None if at is None else iso_utc(at)
