"""What came of the tiers of a target: which repos went cold or came back, and how much lies where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Move(StrEnum):
    """Which way the files of a repo went."""

    ARCHIVED = "archived"
    THAWED = "thawed"


@dataclass(frozen=True, slots=True)
class MovedRepo:
    """A repo of which `blobs` of `bytes` were moved, or would be; `waiting` were asked for, and take hours."""

    repo: str
    move: Move
    blobs: int
    bytes: int
    why: str
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class TierReport:
    """What came of the tiers of a target. `warm` and `cold` are bytes of blobs, as they lie afterwards; a rehearsal
    (`dry_run`) says how they would.

    `unsure`: why nothing can be called unread, empty where it can. `faults`: what could not be moved, and why.
    `later`: repos that are read and stay cold, since a pass brings no more of them back.
    """

    target: str
    warm: int
    cold: int
    repos: tuple[MovedRepo, ...] = ()
    unsure: str = ""
    faults: tuple[str, ...] = ()
    dry_run: bool = False
    later: int = 0

    @property
    def ok(self) -> bool:
        """Whether all went as it should."""
        return not self.faults
