"""Which repos of a target go cold, which come back, and which stay where they are.

What nobody has read for long goes, whatever jobs say of it: it is there still, and can be read. "Not counted" is never
"not read": see docs/design/decisions/0076-tiers.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from mirror_sync.domain.job.keep import ReadTimes
from mirror_sync.domain.job.targets import Tiers
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc

LEAST = 128 * 1024
"""Bytes of a file that is moved, at the least: smaller ones weigh nothing, and cold classes charge them as so many.
Source: https://aws.amazon.com/s3/pricing/.
"""


class Heat(Enum):
    """What becomes of a repo's files."""

    COLD = "goes"
    WANTED = "comes back"
    STAYS = "stays"


@dataclass(frozen=True, slots=True)
class ByHand:
    """When a person, or a reader by way of the daemon, had a repo archived or thawed, in seconds since 1970."""

    archived: Mapping[Repo, float] = field(default_factory=dict)
    thawed: Mapping[Repo, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cooling:
    """Decides about the repos of a target; `now` in seconds by its clock."""

    tiers: Tiers
    reads: ReadTimes
    by_hand: ByHand
    now: float

    @property
    def unsure(self) -> str:
        """Why nothing can be called unread; empty where it can."""
        return self.reads.why_unsure(self.tiers.after_unread, self.now)

    def heat(self, repo: Repo, published: float) -> Heat:
        """`published`: when its newest snapshot was, in seconds; one that cannot be told is taken for now."""
        thawed, archived = self.by_hand.thawed.get(repo, 0.0), self.by_hand.archived.get(repo, 0.0)
        used = max(published, thawed, self.reads.read.get(repo, 0.0))
        if archived and archived >= used:
            return Heat.COLD
        if self.now - used < self.tiers.after_unread.total_seconds():
            # where nothing comes back by itself, only a word of somebody's brings it
            return Heat.WANTED if self.tiers.warm_back or thawed else Heat.STAYS
        return Heat.STAYS if self.unsure else Heat.COLD

    def last_read(self, repo: Repo) -> float:
        """When somebody did, in seconds; 0 where nobody was seen to."""
        return self.reads.read.get(repo, 0.0)

    def is_asked_for(self, repo: Repo) -> bool:
        """Whether somebody said that it is to come back, since it was read last."""
        return self.by_hand.thawed.get(repo, 0.0) > self.last_read(repo)

    def why(self, repo: Repo, heat: Heat) -> str:
        """In words, of one that goes or comes."""
        read = self.reads.read.get(repo)
        if heat is Heat.COLD:
            if self.by_hand.archived.get(repo, 0.0) > max(read or 0.0, self.by_hand.thawed.get(repo, 0.0)):
                return "archived by hand"
            since = read if read is not None else self.reads.since or self.now
            return f"nobody has read it since {_spoken(since)}"
        if self.is_asked_for(repo):
            return "asked for"
        return f"read at {_spoken(read)}" if read is not None else "published not long ago"


def _spoken(at: float) -> str:
    return iso_utc(datetime.fromtimestamp(at, UTC))
