"""What came of the bound of a target: which repos it let go of, and why others stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from mirror_sync.domain.repo import Repo

LET_GO = "let-go"
"""The code of `absent` in a refs.json, and of a report: nobody had read the repo for long, and room was needed."""


@dataclass(frozen=True, slots=True)
class LetGoRepo:
    """A repo that goes, or would: `bytes` that nothing else names, `read` in ISO 8601, empty for not since counted."""

    repo: str
    snapshots: int
    bytes: int
    read: str
    why: str


@dataclass(frozen=True, slots=True)
class KeepReport:
    """What came of the bound of a target: `bytes` were held of `limit`, `left` are, or would be, afterwards.

    `problem`: why nothing could be let go of. `stays` counts repos by why they stay. `since`: from when
    on reads are counted without a gap, in ISO 8601, None for not.
    """

    target: str
    limit: int
    bytes: int
    left: int
    since: str | None = None
    repos: tuple[LetGoRepo, ...] = ()
    stays: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""

    def of(self, gone: Collection[Repo]) -> KeepReport:
        """The same where only these went: others were read, named or published anew meanwhile."""
        names = set(map(str, gone))
        repos = tuple(one for one in self.repos if one.repo in names)
        spared = sum(one.bytes for one in self.repos if one.repo not in names)
        return replace(self, repos=repos, left=self.left + spared)
