"""What targets publish of the repos that nothing local is remembered of: the bucket is the truth, and state_dir can be
lost."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial

from mirror_sync.app.inventory import Inventory, unread, with_found
from mirror_sync.domain.content.assurance import assured
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import WITHDRAWN, RepoState, RepoStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.subject import Subject
from mirror_sync.domain.times import iso_utc
from mirror_sync.engine.published import mirrored_repos, published_at, read_refs, read_root, why_taken_down
from mirror_sync.errors import DocumentError, StoreError
from mirror_sync.observe.figures import counted
from mirror_sync.ports.store import Store

_KEPT = 60.0  # seconds
_AT_ONCE = 16  # small documents, each a request


@dataclass(frozen=True, slots=True)
class _UnknownLine:
    """One line that nothing is remembered of, and a repo that may be what it stands for."""

    job: Job
    line: RepoStatus
    repo: Repo


class PublishedFinder:
    """What targets publish, remembered for a minute: a page that is redrawn lists no bucket each time."""

    def __init__(
        self, jobs: Sequence[Job], store_of: Callable[[str], Store], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._store_of, self._clock = store_of, clock
        self._asked: tuple[list[RepoStatus], float] = ([], 0.0)
        self._found: list[RepoStatus] = []
        self._notes: list[str] = []

    def complete(self, inventory: Inventory) -> Inventory:
        """The inventory with what is published of the lines that nothing is remembered of.

        What cannot be read is a note.
        """
        lines, now = unread(inventory), self._clock()
        asked, at = self._asked
        if lines != asked or now - at >= _KEPT:
            self._found, self._notes = [], []
            self._ask(lines)
            self._asked = (lines, now)
        return with_found(inventory, self._found, self._notes)

    def _ask(self, lines: Sequence[RepoStatus]) -> None:
        by_target: dict[str, list[tuple[Job, RepoStatus]]] = defaultdict(list)
        for line in lines:
            job = self._jobs[line.job]
            by_target[job.target].append((job, line))
        for target, wanted in by_target.items():
            try:
                here = _found(self._store_of(target), wanted)
            except (StoreError, DocumentError, OSError) as error:
                self._notes.append(f"what target {target} publishes cannot be read: {error}")
                continue
            self._found += here
            if here:
                self._notes.append(
                    f"{counted(len(here), 'snapshot is', 'snapshots are')} read from target {target}, since nothing is "
                    "remembered here: AGE counts from the publication, and the next sync asks upstream"
                )


def _found(store: Store, lines: Sequence[tuple[Job, RepoStatus]]) -> list[RepoStatus]:
    mirrored = frozenset(mirrored_repos(store))
    wanted = [
        _UnknownLine(job, line, repo) for job, line in lines for repo in _repos(line, mirrored) if job.names(repo)
    ]
    with ThreadPoolExecutor(_AT_ONCE, "status") as pool:
        repos = list(dict.fromkeys(each.repo for each in wanted))
        refs = dict(zip(repos, pool.map(partial(read_refs, store), repos), strict=True))
        lists = pool.map(lambda each: list(_lines(store, each, refs)), wanted)
        return [line for each in lists for line in each]


def _repos(line: RepoStatus, mirrored: frozenset[Repo]) -> Iterator[Repo]:
    pattern = line.pattern
    if pattern.is_glob:
        yield from sorted(filter(pattern.matches, mirrored))
    elif pattern.repo in mirrored:
        yield pattern.repo


def _lines(store: Store, wanted: _UnknownLine, by_repo: Mapping[Repo, Refs]) -> Iterator[RepoStatus]:
    refs, line = by_repo[wanted.repo], wanted.line
    if refs.tombstone is not None:
        told = Subject.of(line.job, wanted.repo, line.revision).parts
        yield RepoStatus(*told, RepoState.HELD, reason=why_taken_down(store, refs.tombstone), code=WITHDRAWN)
        return
    patterns = wanted.job.revisions if line.pattern.is_glob else (line.revision,)
    for revision in dict.fromkeys(_revisions(refs, patterns)):
        commit, root = refs.commit_of(revision), refs.root_of(revision)
        if commit is not None and root is not None:
            yield replace(_line(store, wanted, root), revision=revision, commit=commit)


def _revisions(refs: Refs, patterns: Sequence[str]) -> Iterator[str]:
    """The published names that a job's revisions stand for, and those that it spells out."""
    names = [ref.shortest for ref in refs.refs]
    for pattern in patterns:
        yield from (name for name in names if fnmatchcase(name, pattern))
        yield pattern


def _line(store: Store, wanted: _UnknownLine, digest: Sha256) -> RepoStatus:
    root = read_root(store, digest)
    at = published_at(store, digest)
    when = None if at is None else iso_utc(datetime.fromtimestamp(at, UTC))
    return RepoStatus(
        *Subject.of(wanted.line.job, wanted.repo, wanted.line.revision).parts,
        state=RepoState.PUBLISHED,
        files=root.files,
        bytes=root.size,
        published=when,
        last_success=when,
        assurance=assured(root.attachments, None, None),
    )
