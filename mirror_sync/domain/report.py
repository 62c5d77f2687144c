"""What became of a run: data for a person, a script, a metric, a history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from mirror_sync.domain.repo import Kind


class RepoOutcome(StrEnum):
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    REFUSED = "refused"  # by policy: nothing of it is mirrored
    HELD = "held"  # by policy: waits for a person; what was published before stays
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RepoReport:
    """One revision of one repo in one run. `code` is `reason` in a word: an error's code, `license`, or empty."""

    job: str
    kind: Kind
    repo: str
    revision: str
    outcome: RepoOutcome
    commit: str | None = None
    reason: str = ""
    code: str = ""
    files: int = 0
    fetched_files: int = 0
    fetched_bytes: int = 0
    reused_files: int = 0
    reused_bytes: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return self.outcome is RepoOutcome.FAILED


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run; `started` and `finished` are ISO 8601 in UTC.

    `interrupted` when it was asked to stop before its end; `left` repos are undone then.
    """

    run: str
    started: str
    finished: str
    repos: tuple[RepoReport, ...]
    interrupted: bool = False
    left: int = 0

    @property
    def ok(self) -> bool:
        return not self.interrupted and not any(report.failed for report in self.repos)

    def count(self, outcome: RepoOutcome) -> int:
        return sum(report.outcome is outcome for report in self.repos)

    def encode(self) -> dict[str, Any]:
        """The document of `sync --json`."""
        return {
            "run": self.run,
            "started": self.started,
            "finished": self.finished,
            "ok": self.ok,
            "interrupted": self.interrupted,
            "left": self.left,
            "repos": [asdict(report) for report in self.repos],
        }


@dataclass(frozen=True, slots=True)
class RepoPlan:
    """What a sync would do for one revision of one repo. `outcome` published means: it would be."""

    job: str
    kind: Kind
    repo: str
    revision: str
    outcome: RepoOutcome
    commit: str | None = None
    reason: str = ""
    code: str = ""
    fetch_files: int = 0
    fetch_bytes: int = 0
    reuse_files: int = 0
    reuse_bytes: int = 0
    remove_files: int = 0
    remove_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PlanReport:
    repos: tuple[RepoPlan, ...]

    @property
    def ok(self) -> bool:
        return all(repo.outcome is not RepoOutcome.FAILED for repo in self.repos)

    def encode(self) -> dict[str, Any]:
        """The document of `plan --json`."""
        return {"ok": self.ok, "repos": [asdict(repo) for repo in self.repos]}


@dataclass(frozen=True, slots=True)
class BlobFault:
    """Something that is published and is not right; `path` is empty for a document of the snapshot itself."""

    target: str
    kind: Kind
    repo: str
    commit: str
    path: str
    sha256: str
    problem: str  # missing, wrong size, wrong digest, not readable: one line


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` looked at; blobs are counted once however often they are referred to."""

    repos: int
    snapshots: int
    blobs: int
    bytes: int
    faults: tuple[BlobFault, ...]
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        return not self.interrupted and not self.faults

    def encode(self) -> dict[str, Any]:
        """The document of `verify --json`."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True, slots=True)
class RepoStatus:
    """What is known of one revision of one repo of one job; times are ISO 8601 in UTC, None for never."""

    job: str
    kind: Kind
    repo: str
    revision: str
    outcome: RepoOutcome
    commit: str | None
    reason: str
    files: int
    last_attempt: str | None
    last_success: str | None


def worst_first(reports: Iterable[RepoReport]) -> list[RepoReport]:
    """For tables: what needs a person comes first."""
    order = (RepoOutcome.FAILED, RepoOutcome.HELD, RepoOutcome.REFUSED, RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED)
    return sorted(reports, key=lambda report: (order.index(report.outcome), report.job, report.repo, report.revision))
