"""What a target holds of each repo, under which licence, by whose word, how it can be proved: what an auditor asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mirror_sync.domain.content.held_note import HeldNote
from mirror_sync.domain.content.snapshot import verdict_document
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.domain.policy.decisions import Decision
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.policy.licences import LICENCE
from mirror_sync.domain.policy.rules import Verdict
from mirror_sync.domain.times import iso_utc

NAMED = 10  # files that run code, which are named; all are counted


@dataclass(frozen=True, slots=True)
class FilesReport:
    """What the files of a snapshot may do to who loads them. `classes`: files and bytes of each class, as an inspection
    found them by their bytes; None where none was: then `running` counts files that may run code by their names alone.
    """

    classes: Mapping[str, tuple[int, int]] | None = None
    running: int = 0
    named: tuple[str, ...] = ()

    def encode(self) -> dict[str, Any]:
        """As a part of the report's document."""
        shares = self.classes
        classes = None if shares is None else {of: {"files": n, "bytes": size} for of, (n, size) in shares.items()}
        return {
            "inspected": shares is not None,
            "classes": classes,
            "run_code": self.running,
            "code_files": [*self.named],
        }


@dataclass(frozen=True, slots=True)
class SnapshotCompliance:
    """A commit that is served, and the `names` that lead to it; times in ISO 8601, None where nobody knows.

    `sums_signed`, `model_signed` and `bom` say which documents are there, not that they are right: `prove` tells that.
    `problem`: why what stands here is not all.
    """

    commit: str
    names: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    committed: str | None = None
    published: str | None = None
    files: int | None = None
    bytes: int | None = None
    content: FilesReport | None = None
    sums_signed: bool = False
    model_signed: bool = False
    bom: bool = False
    problem: str = ""

    @property
    def licence_verdict(self) -> Verdict | None:
        """What the rule of licences said when it was published."""
        return next((one for one in self.verdicts if one.rule == LICENCE), None)

    def encode(self) -> dict[str, Any]:
        """As a part of the report's document."""
        verdict = self.licence_verdict
        return {
            "commit": self.commit,
            "names": [*self.names],
            "licences": [*self.licences],
            "licence_verdict": None if verdict is None else verdict.outcome,
            "verdicts": [verdict_document(one) for one in self.verdicts],
            "committed": self.committed,
            "published": self.published,
            "files": self.files,
            "bytes": self.bytes,
            "content": None if self.content is None else self.content.encode(),
            "signed": {"sums": self.sums_signed, "model": self.model_signed, "bom": self.bom},
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class StatedFacts:
    """The newest statement of a repo; `agrees`: it says of names and commits what is served."""

    serial: int
    issued: str
    agrees: bool


@dataclass(frozen=True, slots=True)
class RepoReaders:
    """Who has read a repo, as `traffic` counted; `bytes` that were sent."""

    downloads: int
    bytes: int
    clients: int


@dataclass(frozen=True, slots=True)
class RepoCompliance:
    """All there is to say of a repo. `lines` are those of `status`, `readers` is None where nobody has counted.

    `taken_down`: by a person; `tombstone` has their words where they can be read. `problems` are sentences: what could
    not be read, of which nothing else here says that it is not there.
    """

    kind: str
    repo: str
    snapshots: tuple[SnapshotCompliance, ...] = ()
    decisions: tuple[Decision, ...] = ()
    statement: StatedFacts | None = None
    lines: tuple[RepoStatus, ...] = ()
    held: tuple[HeldNote, ...] = ()
    taken_down: bool = False
    tombstone: Tombstone | None = None
    gone: Gone | None = None
    readers: RepoReaders | None = None
    problems: tuple[str, ...] = ()

    @property
    def spoken(self) -> str:
        """`acme/x`, `dataset:acme/x`."""
        return self.repo if self.kind in ("model", "") else f"{self.kind}:{self.repo}"

    @property
    def every_problem(self) -> tuple[str, ...]:
        """Those of its snapshots, too."""
        found = (f"{one.commit}: {one.problem}" for one in self.snapshots if one.problem)
        return (*self.problems, *found)

    def decisions_on(self, commit: str) -> tuple[Decision, ...]:
        """Those that are about this commit, or about any."""
        return tuple(one for one in self.decisions if one.commit in (None, commit))

    @property
    def last_check(self) -> str | None:
        """When it was last known to be as upstream has it, in any of its revisions; None for never."""
        return max((line.last_success for line in self.lines if line.last_success), default=None)

    def lag_of(self, commit: str) -> float | None:
        """Seconds that readers waited for a commit, where that is known."""
        return next((line.lag_seconds for line in self.lines if line.commit == commit), None)

    def encode(self, now: datetime) -> dict[str, Any]:
        """An entry of `repos` in the report's document; `now` says which decisions have ended."""
        readers, stone = self.readers, self.tombstone
        return {
            "kind": self.kind,
            "repo": self.repo,
            "snapshots": [one.encode() for one in self.snapshots],
            "decisions": [_decision(one, now) for one in self.decisions],
            "statement": None
            if (said := self.statement) is None
            else {"serial": said.serial, "issued": said.issued, "agrees": said.agrees},
            "last_check": self.last_check,
            "checks": [_check(line) for line in self.lines],
            "held": [_held(one) for one in self.held],
            "withdrawn": None
            if not self.taken_down
            else {"at": stone and stone.at, "by": stone and stone.by, "why": stone and stone.why},
            "absent": None if self.gone is None else {"code": self.gone.code, "since": iso_utc(self.gone.since)},
            "readers": None
            if readers is None
            else {"downloads": readers.downloads, "bytes": readers.bytes, "clients": readers.clients},
            "problems": [*self.problems],
        }


@dataclass(frozen=True, slots=True)
class ReportHead:
    """What stands above all repos: `made` is when the report was, `readers_note` what its figures of readers are of."""

    target: str
    made: datetime
    readers_note: str
    counted_from: str | None = None
    counted_to: str | None = None

    def encode(self) -> dict[str, Any]:
        """The beginning of the report's document."""
        readers = {"from": self.counted_from, "to": self.counted_to, "note": self.readers_note}
        return {"target": self.target, "made": iso_utc(self.made), "readers": readers}


@dataclass(slots=True)
class ReportTotals:
    """Counts repos as they pass by, since nobody holds them all; `problems` counts sentences."""

    repos: int = 0
    snapshots: int = 0
    files: int = 0
    bytes: int = 0
    unsigned: int = 0
    held: int = 0
    withdrawn: int = 0
    problems: int = 0
    unread: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all could be read."""
        return not self.problems

    def counting(self, repos: Iterable[RepoCompliance]) -> Iterable[RepoCompliance]:
        """The same repos, each counted when its turn comes."""
        for repo in repos:
            self.repos += 1
            self.snapshots += len(repo.snapshots)
            self.files += sum(one.files or 0 for one in repo.snapshots)
            self.bytes += sum(one.bytes or 0 for one in repo.snapshots)
            self.unsigned += sum(not one.sums_signed for one in repo.snapshots)
            self.held += len(repo.held)
            self.withdrawn += repo.taken_down
            if wrong := len(repo.every_problem):
                self.problems += wrong
                self.unread.append(repo.spoken)
            yield repo

    def encode(self) -> dict[str, Any]:
        """The end of the report's document."""
        names = ("repos", "snapshots", "files", "bytes", "unsigned", "held", "withdrawn", "problems")
        return {name: getattr(self, name) for name in names}


def _decision(one: Decision, now: datetime) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "outcome": one.outcome,
        "repos": str(one.pattern),
        "commit": one.commit or "any",
        "by": one.by,
        "why": one.why,
        "ticket": one.ticket,
        "until": None if one.until is None else iso_utc(one.until),
        "ended": one.has_ended(now),
    }


def _check(line: RepoStatus) -> dict[str, Any]:
    return {
        "job": line.job,
        "revision": line.revision,
        "state": line.state,
        "commit": line.commit,
        "last_attempt": line.last_attempt,
        "last_success": line.last_success,
        "lag_seconds": line.lag_seconds,
        "reason": line.reason,
    }


def _held(one: HeldNote) -> dict[str, Any]:
    verdicts = [verdict_document(verdict) for verdict in one.verdicts]
    return {"commit": one.commit, "since": one.since, "verdicts": verdicts}
