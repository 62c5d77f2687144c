"""One line of what jobs.yaml asks for, and what has become of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Kind


class RepoState(StrEnum):
    """Of a line; what needs a person comes first."""

    FAILED = "failed"
    GATED = "gated"  # the upstream wants a token that was granted access
    GONE = "gone"  # upstream no longer gives it; what was published before stays
    HELD = "held"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"  # in the midst of its first publication: what came is kept
    ELSEWHERE = "elsewhere"  # published into what was the job's target before
    NEVER = "never"  # no run has looked at it
    PUBLISHED = "published"
    UNCHANGED = "unchanged"

    @property
    def mirrored(self) -> bool:
        return self in (RepoState.PUBLISHED, RepoState.UNCHANGED)


@dataclass(frozen=True, slots=True)
class RepoLine:
    """One revision of one repo that a job asks for, or a pattern that no run has listed.

    Times are ISO 8601 in UTC, None for never; `next_try` is when the daemon runs it again before the job's next time.
    The other fields are those of `RepoStatus`.
    """

    state: RepoState
    job: str
    kind: Kind
    repo: str
    revision: str
    outcome: RepoOutcome | None = None
    commit: str | None = None
    reason: str = ""
    code: str = ""
    files: int = 0
    bytes: int = 0
    last_attempt: str | None = None
    last_success: str | None = None
    committed: str | None = None
    published: str | None = None
    lag_seconds: float | None = None
    next_try: str | None = None
