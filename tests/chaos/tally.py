"""Counts: what was found wrong, and how many bytes were fetched again.

**Fetched again.** For every distinct content (by SHA-256) of a world let `sent` be the body bytes of files that the
stand-in gave to sockets for it, and `size` its size. Needed are `min(sent, size)`, again are `max(0, sent - size)`, and
the figure is the sum of the latter over the sum of the former, in percent. Everything that a kill costs is in it: bytes
that lay in sockets, in memory and in parts that were not noted yet, up to 1 MiB beyond what the client ever got.

Left out, from both sums, is a content

- that met a lying answer (wrong bytes, truncated, longer, a web page): what cannot be told from a lie must be fetched
  anew, whole; a cut, a stall, a trickle, a refusal or an expired URL leaves nothing out, since a transfer resumes;
- that was asked for while two machines synced at once: they share no notes, and each may fetch it;
- that a prune may have removed, from that moment on: it begins as if it had never been sent.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tests.chaos.truth import Truth
from tests.standin import Record, Request
from tests.standin.log import Log

WRONG = "wrong bytes"
MIXED = "mixed snapshots"
LOST = "lost snapshots"
FALSE = "false successes"
GONE = "false withdrawals"
MISSED = "missed damage"
STUCK = "not converged"
TWICE = "run by two daemons"
KINDS = (WRONG, MIXED, LOST, FALSE, GONE, MISSED, STUCK, TWICE)
MOST_AGAIN = 10.0
"""Percent of the needed bytes that may be fetched again."""


@dataclass(frozen=True)
class Finding:
    """Something that must not be: what kind, in which world and round, and what was seen."""

    kind: str
    world: int
    round: int
    seen: str

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells it from others: not the run that showed it, which stands in brackets."""
        return self.kind, self.world, self.seen.partition(" (")[0]


@dataclass
class Traffic:
    """The bytes of one world's contents."""

    sent: dict[str, int] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    by_round: dict[str, dict[int, int]] = field(default_factory=dict)
    """For every content, the bytes sent in each round."""
    settled_needed: int = 0
    settled_again: int = 0

    def add(self, truth: Truth, records: Iterable[Record], number: int, *, doubled: bool) -> None:
        """Count the requests of round `number`; `doubled`: two machines synced."""
        for record in records:
            content = truth.content_at(record.path) if is_content(record.request) else None
            if content is None or record.status not in (200, 206):
                continue
            self.size[content.sha256] = content.size
            self.sent[content.sha256] = self.sent.get(content.sha256, 0) + record.sent
            rounds = self.by_round.setdefault(content.sha256, {})
            rounds[number] = rounds.get(number, 0) + record.sent
            if doubled:
                self.left_out.add(content.sha256)

    def removed(self, present: Collection[str]) -> None:
        """A prune ran; contents that had come whole and are not `present` begin anew."""
        whole = [digest for digest in self.sent if self.sent[digest] >= self.size[digest]]
        for digest in [digest for digest in whole if digest not in present]:
            if digest not in self.left_out:
                self.settled_needed += min(self.sent[digest], self.size[digest])
                self.settled_again += max(0, self.sent[digest] - self.size[digest])
            del self.sent[digest]

    @property
    def needed(self) -> int:
        """Bytes that had to come."""
        return self.settled_needed + sum(min(self.sent[one], self.size[one]) for one in self._counted())

    @property
    def again(self) -> int:
        """Bytes that came although they had come before."""
        return self.settled_again + sum(max(0, self.sent[one] - self.size[one]) for one in self._counted())

    def worst(self, most: int = 5) -> list[str]:
        """The contents that were fetched again most, in words."""
        found = sorted(((self.sent[one] - self.size[one], one) for one in self._counted()), reverse=True)
        return [
            f"{again} bytes again of {one[:12]} with {self.size[one]}; by rounds: {self.by_round[one]}"
            for again, one in found[:most]
            if again > 0
        ]

    def _counted(self) -> list[str]:
        return [digest for digest in self.sent if digest not in self.left_out]


class Tally:
    """All findings of all worlds, and the traffic. Safe for many threads."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.rounds = self.checks = self.raced = self.needed = self.again = 0
        self.kills = self.converged = self.damages = self.lies = 0
        self.outages: list[float] = []
        """For each outage that was made up for, the seconds that took after its end."""
        self._lock = threading.Lock()

    def found(self, finding: Finding) -> None:
        """Count something that must not be; once, however often it is seen again."""
        with self._lock:
            if all(known.key != finding.key for known in self.findings):
                self.findings.append(finding)

    def count(self, kind: str) -> int:
        """How often something was found."""
        with self._lock:
            return sum(finding.kind == kind for finding in self.findings)

    def close(self, traffic: Traffic) -> None:
        """Add a world's bytes."""
        self.needed += traffic.needed
        self.again += traffic.again

    @property
    def percent(self) -> float:
        """Bytes fetched again, in percent of those needed."""
        return 100 * self.again / self.needed if self.needed else 0.0

    @property
    def ok(self) -> bool:
        """Whether the promises held."""
        return not self.findings and self.percent <= MOST_AGAIN

    def lines(self, seed: int) -> list[str]:
        """The last words; the very last one is the sentence that counts."""
        more = f"{self.checks} snapshots read, {self.kills} kills, {self.damages} damages, {self.lies} lies"
        runs = f"{self.converged} clean runs, {self.raced} raced, {self.needed / (1 << 20):.0f} MiB needed"
        counts = ", ".join(f"{kind} {self.count(kind)}" for kind in KINDS)
        slowest = f", the slowest in {max(self.outages):.0f} s" if self.outages else ""
        outages = f"outages made up for {len(self.outages)}{slowest}"
        return [
            f"{more}, {runs}",
            f"rounds {self.rounds}, seed {seed}, {counts}, {outages}, refetched {self.percent:.1f} %",
        ]


def is_content(request: Request) -> bool:
    """Whether a request asks for a file's bytes."""
    path = request.path
    return request.method == "GET" and (request.origin == "cdn" or "/resolve/" in path)


class Meter(Log):
    """The stand-in's log, which also says when so many bytes of files have left since it was set."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self._left = 0
        self._files: set[int] = set()

    def watch(self, count: int) -> None:
        """Set `reached` after `count` more bytes of large or small files."""
        self.reached.clear()
        self._left = count

    def add_sent(self, number: int, count: int) -> None:
        """Add body bytes to a record, and count down."""
        super().add_sent(number, count)
        with self._lock:
            record = self._records.get(number)
            if record is not None and is_content(record.request):
                self._left -= count
                if self._left <= 0:
                    self.reached.set()
