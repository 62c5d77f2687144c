"""Expands a job into its work: pairs of a repo and a revision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mirror_sync.domain.job import Job
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.upstream import Resolved
from mirror_sync.engine.published import Mirrored
from mirror_sync.errors import Disabled, Gated, MirrorError, NotFoundOrPrivate, RevisionNotFound
from mirror_sync.ports import Source

_GLOB = re.compile(r"[*?\[]")
DEFAULT_BRANCH = "main"


@dataclass(frozen=True, slots=True)
class Task:
    """One revision of one repo to bring up to date; `resolved` where a listing has answered already."""

    job: Job
    repo: Repo
    revision: str
    resolved: Resolved | None = None


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Something that a job names and that could not be expanded, with the reason."""

    job: Job
    pattern: RepoPattern
    revision: str
    error: MirrorError


def gather(job: Job, source: Source, mirrored: Mirrored) -> Iterator[Task | Unlisted]:
    """The tasks of a job, each pair once; what cannot be listed is data, so that it never stops the rest.

    What a pattern names and the target publishes is a task also when the upstream lists it no more.
    """
    seen: set[tuple[Repo, str]] = set()
    for pattern in job.repos:
        for item in _expand(job, pattern, source, mirrored):
            if isinstance(item, Task):
                if (item.repo, item.revision) in seen:
                    continue
                seen.add((item.repo, item.revision))
            yield item


def _expand(job: Job, pattern: RepoPattern, source: Source, mirrored: Mirrored) -> Iterator[Task | Unlisted]:
    if not pattern.is_glob:
        yield from _revisions(job, pattern.repo, None, source, mirrored)
        return
    try:
        listed = {resolved.asked: resolved for resolved in source.search(pattern)}
        repos = [*listed, *(repo for repo in mirrored.matching(pattern) if repo not in listed)]
        if not repos:
            raise NotFoundOrPrivate(f"no repo of {pattern.owner} matches {pattern}, or none is visible to this token")
    except MirrorError as error:
        yield Unlisted(job, pattern, "*", error)
        return
    for repo in repos:
        yield from _revisions(job, repo, listed.get(repo), source, mirrored)


def _revisions(
    job: Job, repo: Repo, resolved: Resolved | None, source: Source, mirrored: Mirrored
) -> Iterator[Task | Unlisted]:
    globs = [revision for revision in job.revisions if _GLOB.search(revision)]
    for revision in job.revisions:
        if revision not in globs:
            yield Task(job, repo, revision, resolved if revision == DEFAULT_BRANCH else None)
    if globs:
        yield from _matching(job, repo, globs, source, mirrored)


def _matching(job: Job, repo: Repo, globs: list[str], source: Source, mirrored: Mirrored) -> Iterator[Task | Unlisted]:
    pattern = RepoPattern(repo.kind, repo.id)
    try:
        names = _names(repo, source, mirrored)
    except MirrorError as error:
        yield Unlisted(job, pattern, ", ".join(globs), error)
        return
    for glob in globs:
        found = [name for name in names if fnmatchcase(name, glob)]
        yield from (Task(job, repo, name) for name in found)
        if not found:
            yield Unlisted(job, pattern, glob, RevisionNotFound(f"no branch or tag of {repo} matches {glob}"))


def _names(repo: Repo, source: Source, mirrored: Mirrored) -> list[str]:
    """The upstream's branches and tags; those that are published where the upstream no longer gives the repo."""
    try:
        return [ref.name for ref in source.refs(repo)]
    except (NotFoundOrPrivate, Gated, Disabled):
        names = mirrored.names(repo)
        if not names:
            raise
        return names
