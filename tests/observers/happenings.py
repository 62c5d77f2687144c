"""A run as the engine would tell it."""

from __future__ import annotations

from mirror_sync.domain.outcome.events import (
    BytesFetched,
    FileFinished,
    FileStarted,
    RepoFinished,
    RepoPlanned,
    RunStarted,
)
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport
from mirror_sync.domain.repo import Kind, Repo

RUN = "run-1"
REPO = Repo(Kind.MODEL, "acme/one")
STARTED = RunStarted(RUN, ("job",), "2026-01-01T00:00:00Z")


def planned(files: int, size: int, repo: Repo = REPO) -> RepoPlanned:
    return RepoPlanned(RUN, "job", repo, "main", "c" * 40, files, size, 0, 0, 0)


def began(path: str, size: int, repo: Repo = REPO) -> FileStarted:
    return FileStarted(RUN, repo, path, size)


def came(path: str, count: int, repo: Repo = REPO) -> BytesFetched:
    return BytesFetched(RUN, repo, path, count)


def stored(path: str, size: int, repo: Repo = REPO) -> FileFinished:
    return FileFinished(RUN, repo, path, size)


def finished(outcome: RepoOutcome, repo: Repo = REPO, reason: str = "") -> RepoFinished:
    return RepoFinished(RUN, RepoReport("job", repo.kind, repo.id, "main", outcome, reason=reason))
