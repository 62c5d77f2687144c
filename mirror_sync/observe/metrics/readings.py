"""What is read at the moment of a scrape, since no event tells of it: clocks, disks, budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirror_sync.domain.content.upstream import BudgetState
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.outcome.front_counts import FrontFigures


@dataclass(frozen=True, slots=True)
class Due:
    """When a job runs next, in seconds since 1970, and for how many seconds a complete run has been missing."""

    target: str
    running: bool = False
    next_run: float | None = None
    overdue: float = 0.0


@dataclass(frozen=True, slots=True)
class Disk:
    """In bytes, as `df` counts: `size` is what is used and what we may still use."""

    free: int
    size: int


@dataclass(frozen=True, slots=True)
class ReplicaFigures:
    """How far a replica is, times in seconds since 1970, None for never; `alert_behind` seconds are far behind."""

    published: float | None
    behind: float
    snapshots: int
    failing: bool
    alert_behind: float | None


@dataclass(frozen=True, slots=True)
class LeaseFigures:
    """How a daemon of several stands: `since` in seconds since 1970, `contact` in seconds since it last reached the
    lease, `changes` of its role since it began.
    """

    leads: bool
    since: float
    contact: float
    changes: int


@dataclass(frozen=True, slots=True)
class Readings:
    """One moment. `budgets` by upstream and kind of call, `speeds` by upstream and endpoint; `heartbeat`: seconds since
    the scheduler's last one.

    `unusual`: clients by target and what is unusual about them; `counted`: the last request that was, by target.
    `signing`: of each target in which jobs.yaml has a key sign, the fingerprint of the one that signed last, and since
    when, in ISO 8601; empty before the first time. `refused`: requests by target and why.
    `hindrance` is what keeps us from writing the state folder, empty for nothing, None before the first look.
    `replicas` by target and name.
    `keeps`: of each target with a bound what its last prune came to, by a word of that report: `limit` and `left` in
    bytes, `repos` that went, and `since` in seconds since 1970 where reads are counted.
    `tiers`: of each target with tiers the bytes that its last pass left in each.
    `certificate_ends`: when that of the front does, in seconds since 1970; None where there is none that can be read.
    `front`: what is known of the front that is watched.
    `wishes`: repos that are asked for in vain, by target.
    `ha`: of several daemons, by the target that holds their lease; nothing for one alone.
    """

    jobs: Mapping[str, Due] = field(default_factory=dict)
    budgets: Mapping[str, Mapping[str, BudgetState]] = field(default_factory=dict)
    disks: Mapping[str, Disk] = field(default_factory=dict)
    heartbeat: float = 0.0
    unusual: Mapping[tuple[str, str], int] = field(default_factory=dict)
    counted: Mapping[str, float] = field(default_factory=dict)
    hindrance: str | None = None
    signing: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    refused: Mapping[tuple[str, str], int] = field(default_factory=dict)
    certificate_ends: float | None = None
    speeds: Mapping[str, Mapping[str, WayPace]] = field(default_factory=dict)
    replicas: Mapping[tuple[str, str], ReplicaFigures] = field(default_factory=dict)
    wishes: Mapping[str, int] = field(default_factory=dict)
    keeps: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    ha: Mapping[str, LeaseFigures] = field(default_factory=dict)
    front: FrontFigures = FrontFigures()
    tiers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
