"""What a front has answered, counted: numbers in a fixed number of cells, so that processes can share them.

Nothing here names a reader, a token or a repo, and no request can make another cell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

STATUSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "gone")
"""Classes of status; `gone`: the reader went away before there was one (nginx's 499)."""
ZONES = ("answers", "pointers", "documents", "refs", "blobs", "slices")
"""Caches: of a front of nginx's by the names of its zones, of `serve` the documents that it keeps in memory."""
OUTCOMES = ("hit", "stale", "updating", "revalidated", "miss", "expired", "bypass")
"""nginx's words for what a cache did (ngx_http_upstream_module, $upstream_cache_status)."""
HITS = frozenset(OUTCOMES[:4])
UNASKED = "bypass"  # nobody looked into the cache
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds, in seconds, of the buckets for the time to the first byte; the last bucket has none."""

HOURS = 24
_HOUR = "%Y-%m-%dT%H"
_GONE = 499
_BYTES, _SECONDS = 0, 1
_STATUS = 2
_BUCKETS = _STATUS + len(STATUSES)
_CACHES = _BUCKETS + len(EDGES) + 1
_CACHE = {
    (zone, outcome): _CACHES + row * len(OUTCOMES) + column
    for row, zone in enumerate(ZONES)
    for column, outcome in enumerate(OUTCOMES)
}
CELLS = _CACHES + len(_CACHE)


class FrontCounts:
    """Counts in `cells`, CELLS numbers; of one writer, as adding is no atomic step."""

    def __init__(self, cells: MutableSequence[float] | None = None) -> None:
        self.cells: MutableSequence[float] = [0.0] * CELLS if cells is None else cells

    def add(self, status: int, sent: int, first_byte: float | None) -> None:
        """An answer: its status, the bytes of its body, and the seconds to its first byte, None where none was sent."""
        kind = len(STATUSES) - 1 if status == _GONE else min(max(status // 100, 1), 5) - 1
        self.cells[_STATUS + kind] += 1
        self.cells[_BYTES] += sent
        if first_byte is not None:
            self.cells[_SECONDS] += first_byte
            self.cells[_BUCKETS + bisect_left(EDGES, first_byte)] += 1

    def add_cached(self, zone: str, outcome: str, count: float = 1) -> None:
        """What a cache did, in any case of letters; other words than ours are nothing."""
        at = _CACHE.get((zone, outcome.lower()))
        if at is not None:
            self.cells[at] += count

    def add_all(self, other: FrontCounts) -> None:
        """All that others have counted."""
        for at, count in enumerate(other.cells):
            self.cells[at] += count

    def since(self, before: FrontCounts) -> FrontCounts:
        """What came after `before`: all, where the counting began anew in between."""
        if any(now < then for now, then in zip(self.cells, before.cells, strict=True)):
            return self
        return FrontCounts([now - then for now, then in zip(self.cells, before.cells, strict=True)])

    @property
    def bytes(self) -> float:
        """Of bodies that were sent."""
        return self.cells[_BYTES]

    @property
    def statuses(self) -> dict[str, float]:
        """Requests by class of status."""
        return {name: self.cells[_STATUS + at] for at, name in enumerate(STATUSES)}

    @property
    def requests(self) -> float:
        """All of them."""
        return sum(self.statuses.values())

    @property
    def first_bytes(self) -> list[tuple[float, float]]:
        """For each upper bound how many answers began within it, infinity last."""
        counts = self.cells[_BUCKETS : _BUCKETS + len(EDGES) + 1]
        return list(zip((*EDGES, float("inf")), accumulate(counts), strict=True))

    @property
    def first_byte_seconds(self) -> float:
        """The sum of all times to a first byte."""
        return self.cells[_SECONDS]

    def within(self, share: float) -> float | None:
        """The bound within which at least this share of answers began; None without any, infinity above the last."""
        buckets = self.first_bytes
        if not buckets[-1][1]:
            return None
        return next(bound for bound, count in buckets if count >= share * buckets[-1][1])

    @property
    def caches(self) -> dict[tuple[str, str], float]:
        """Requests by zone and what its cache did, of zones that were asked."""
        used = {zone for (zone, _), at in _CACHE.items() if self.cells[at]}
        return {key: self.cells[at] for key, at in _CACHE.items() if key[0] in used}

    @property
    def hit_ratios(self) -> dict[str, float]:
        """By zone that was looked into, from 0 to 1."""
        hits: dict[str, float] = {}
        looks: dict[str, float] = {}
        for (zone, outcome), count in self.caches.items():
            if outcome != UNASKED:
                looks[zone] = looks.get(zone, 0) + count
                hits[zone] = hits.get(zone, 0) + (count if outcome in HITS else 0)
        return {zone: hits[zone] / count for zone, count in looks.items() if count}

    def encode(self) -> dict[str, Any]:
        """As JSON has it: names and numbers, without what is 0."""
        return {name: self.cells[at] for at, name in enumerate(NAMES) if self.cells[at]}

    @classmethod
    def of_parts(
        cls,
        sent: float,
        seconds: float,
        statuses: Mapping[str, float],
        buckets: Mapping[float, float],
        caches: Mapping[tuple[str, str], float],
    ) -> FrontCounts:
        """Of what the properties give: `buckets` are `first_bytes`. Words that are not ours are nothing."""
        found = cls()
        found.cells[_BYTES], found.cells[_SECONDS] = sent, seconds
        for at, name in enumerate(STATUSES):
            found.cells[_STATUS + at] = statuses.get(name, 0.0)
        before = 0.0
        for at, bound in enumerate((*EDGES, float("inf"))):
            count = buckets.get(bound, before)
            found.cells[_BUCKETS + at], before = count - before, count
        for (zone, outcome), count in caches.items():
            found.add_cached(zone, outcome, count)
        return found

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> FrontCounts:
        """What `encode` gave; names of other versions are nothing. ValueError, TypeError for what is no number."""
        return cls([float(document.get(name, 0)) for name in NAMES])


@dataclass(frozen=True, slots=True)
class FrontFigures:
    """A front at one moment: `transfers` are the requests that are being answered, `limit` how many may be at once.

    `watched`: whether all could be read that jobs.yaml says of it; `gaps` how often lines of its log were lost,
    `unread` how many were of no such log. None for what nobody tells.
    """

    counts: FrontCounts | None = None
    transfers: float | None = None
    limit: float | None = None
    watched: bool | None = None
    gaps: int | None = None
    unread: int | None = None


class FrontHours:
    """What was counted in the last day, by the hour: hours in which nobody counted are not there, or are short."""

    def __init__(self, hours: Mapping[str, tuple[float, FrontCounts]] | None = None) -> None:
        self._hours = dict(hours or {})

    def add(self, at: datetime, seconds: float, counts: FrontCounts) -> None:
        """What came in so many seconds that ended at this time."""
        name = at.astimezone(UTC).strftime(_HOUR)
        known, before = self._hours.setdefault(name, (0.0, FrontCounts()))
        before.add_all(counts)
        self._hours[name] = min(known + seconds, 3600.0), before
        oldest = (at.astimezone(UTC) - timedelta(hours=HOURS - 1)).strftime(_HOUR)
        self._hours = {hour: found for hour, found in self._hours.items() if hour >= oldest}

    def day(self, now: datetime) -> FrontDay | None:
        """All of the last day; None where nobody counted in it."""
        oldest = (now.astimezone(UTC) - timedelta(hours=HOURS - 1)).strftime(_HOUR)
        found = [one for hour, one in self._hours.items() if hour >= oldest]
        return FrontDay(sum(seconds for seconds, _ in found), total(one for _, one in found)) if found else None

    def encode(self) -> dict[str, Any]:
        """As JSON has it."""
        return {hour: {"seconds": seconds, **one.encode()} for hour, (seconds, one) in self._hours.items()}

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> FrontHours:
        """What `encode` gave. ValueError, TypeError, AttributeError for what it did not give."""
        return cls(
            {
                datetime.strptime(hour, _HOUR).replace(tzinfo=UTC).strftime(_HOUR): (
                    float(one.get("seconds", 0)),
                    FrontCounts.decode(one),
                )
                for hour, one in document.items()
            }
        )


@dataclass(frozen=True, slots=True)
class FrontDay:
    """The last day of a front, of which so many `seconds` were watched."""

    seconds: float
    counts: FrontCounts


def _names() -> Iterator[str]:
    yield from ("bytes", "first_byte_seconds")
    yield from (f"status {name}" for name in STATUSES)
    yield from (f"within {bound:g}" for bound in (*EDGES, float("inf")))
    yield from (f"{zone} {outcome}" for zone, outcome in _CACHE)


NAMES = tuple(_names())


def total(counts: Iterable[FrontCounts]) -> FrontCounts:
    """All of them together."""
    found = FrontCounts()
    for one in counts:
        found.add_all(one)
    return found
