"""Expands a job into its work: pairs of a repo and a revision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mirror_sync.domain.job import Job
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.upstream import Resolved
from mirror_sync.errors import MirrorError, NotFoundOrPrivate, RevisionNotFound
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


def gather(job: Job, source: Source) -> Iterator[Task | Unlisted]:
    """The tasks of a job, each pair once; what cannot be listed is data, so that it never stops the rest."""
    seen: set[tuple[Repo, str]] = set()
    for pattern in job.repos:
        for item in _expand(job, pattern, source):
            if isinstance(item, Task):
                if (item.repo, item.revision) in seen:
                    continue
                seen.add((item.repo, item.revision))
            yield item


def _expand(job: Job, pattern: RepoPattern, source: Source) -> Iterator[Task | Unlisted]:
    try:
        listed = list(source.search(pattern)) if pattern.is_glob else [None]
        if not listed:
            raise NotFoundOrPrivate(f"no repo of {pattern.owner} matches {pattern}, or none is visible to this token")
    except MirrorError as error:
        yield Unlisted(job, pattern, "*", error)
        return
    for resolved in listed:
        yield from _revisions(job, pattern if resolved is None else resolved.asked, resolved, source)


def _revisions(
    job: Job, named: RepoPattern | Repo, resolved: Resolved | None, source: Source
) -> Iterator[Task | Unlisted]:
    repo = named.repo if isinstance(named, RepoPattern) else named
    globs = [revision for revision in job.revisions if _GLOB.search(revision)]
    for revision in job.revisions:
        if revision not in globs:
            yield Task(job, repo, revision, resolved if revision == DEFAULT_BRANCH else None)
    if not globs:
        return
    pattern = RepoPattern(repo.kind, repo.id)
    try:
        refs = source.refs(repo)
    except MirrorError as error:
        yield Unlisted(job, pattern, ", ".join(globs), error)
        return
    for glob in globs:
        found = [ref.name for ref in refs if fnmatchcase(ref.name, glob)]
        yield from (Task(job, repo, name) for name in found)
        if not found:
            yield Unlisted(job, pattern, glob, RevisionNotFound(f"no branch or tag of {repo} matches {glob}"))
