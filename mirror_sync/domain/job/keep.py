"""How many bytes a target may hold, and what has to be known of its readers before anything goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mirror_sync.domain.repo import Repo
from mirror_sync.domain.times import iso_utc, spoken_duration


@dataclass(frozen=True, slots=True)
class Keep:
    """What a target may hold in `bytes`. A repo that was read or published less than `unread` ago stays.

    `logs`: patterns of the files in which fronts say who reads, one pattern for each front; where none of its lines is
    for longer than `quiet`, a log may be lost. `named`: whether repos that jobs spell out may go, when no others can.
    """

    bytes: int
    logs: tuple[str, ...]
    unread: timedelta = timedelta(days=7)
    quiet: timedelta = timedelta(hours=12)
    named: bool = False


@dataclass(frozen=True, slots=True)
class ReadTimes:
    """Who reads what of a target, in seconds since 1970: `read` the last request for each repo that was answered.

    It is whole from `since` on, None where it is whole at no time; what came before is true and has gaps. `doubt` says
    why it is not known what is read now; empty where it is. `asked`: the last request for a repo that was not there.
    """

    since: float | None = None
    doubt: str = "nobody counts who reads"
    read: Mapping[Repo, float] = field(default_factory=dict)
    asked: Mapping[Repo, float] = field(default_factory=dict)

    def why_unsure(self, unread: timedelta, now: float) -> str:
        """Why nothing can be called unread for so long; empty where it can."""
        if self.doubt or self.since is None:
            return self.doubt or "nothing was counted yet"
        if now - self.since < unread.total_seconds():
            begun = iso_utc(datetime.fromtimestamp(self.since, UTC))
            return f"reads are counted without a gap since {begun}, which is less than {spoken_duration(unread)}"
        return ""
