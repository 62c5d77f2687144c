"""What targets publish of the repos that nothing local is remembered of: the bucket is the truth, and state_dir can be
lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial

from mirror_sync.cli.inventory import Inventory, Line, State, unread, with_found
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job import Job
from mirror_sync.domain.refs import Refs
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.published import mirrored_repos, published_at, read_refs, read_root
from mirror_sync.errors import DocumentError, StoreError
from mirror_sync.observers.figures import counted
from mirror_sync.ports import Store

_AT_ONCE = 16  # small documents, each a request


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One line that nothing is remembered of, and a repo that may be what it stands for."""

    job: Job
    line: Line
    repo: Repo


def completed(inventory: Inventory, jobs: Sequence[Job], store_of: Callable[[str], Store]) -> Inventory:
    """The inventory with what the targets publish of those lines; what cannot be read is a note."""
    by_target: dict[str, list[tuple[Job, Line]]] = defaultdict(list)
    named = {job.name: job for job in jobs}
    for line in unread(inventory):
        by_target[named[line.job].target].append((named[line.job], line))
    found: list[Line] = []
    notes: list[str] = []
    for target, lines in by_target.items():
        try:
            here = _found(store_of(target), lines)
        except (StoreError, DocumentError, OSError) as error:
            notes.append(f"what target {target} publishes cannot be read: {error}")
            continue
        found += here
        if here:
            what = counted(len(here), "snapshot is", "snapshots are")
            notes.append(
                f"{what} read from target {target}, since nothing is remembered here: AGE counts from the publication, "
                "and the next sync asks upstream"
            )
    return with_found(inventory, found, notes)


def _found(store: Store, lines: Sequence[tuple[Job, Line]]) -> list[Line]:
    mirrored = frozenset(mirrored_repos(store))
    wanted = [_Wanted(job, line, repo) for job, line in lines for repo in _repos(line, mirrored)]
    with ThreadPoolExecutor(_AT_ONCE, "status") as pool:
        repos = list(dict.fromkeys(each.repo for each in wanted))
        refs = dict(zip(repos, pool.map(partial(read_refs, store), repos), strict=True))
        lists = pool.map(lambda each: list(_lines(store, each, refs)), wanted)
        return [line for each in lists for line in each]


def _repos(line: Line, mirrored: frozenset[Repo]) -> Iterator[Repo]:
    pattern = RepoPattern(line.kind, line.repo)
    if pattern.is_glob:
        yield from sorted(filter(pattern.matches, mirrored))
    elif pattern.repo in mirrored:
        yield pattern.repo


def _lines(store: Store, wanted: _Wanted, by_repo: Mapping[Repo, Refs]) -> Iterator[Line]:
    refs, line = by_repo[wanted.repo], wanted.line
    patterns = wanted.job.revisions if RepoPattern(line.kind, line.repo).is_glob else (line.revision,)
    for revision in dict.fromkeys(_revisions(refs, patterns)):
        commit, root = refs.commit_of(revision), refs.root_of(revision)
        if commit is not None and root is not None:
            yield replace(_line(store, wanted, root), revision=revision, commit=commit)


def _revisions(refs: Refs, patterns: Sequence[str]) -> Iterator[str]:
    """The published names that a job's revisions stand for, and those that it spells out."""
    names = [ref.ref if ref.group == "converts" else ref.name for ref in refs.refs]
    for pattern in patterns:
        yield from (name for name in names if fnmatchcase(name, pattern))
        yield pattern


def _line(store: Store, wanted: _Wanted, digest: Sha256) -> Line:
    root = read_root(store, digest)
    at = published_at(store, digest)
    when = None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Line(
        State.PUBLISHED,
        wanted.line.job,
        wanted.repo.kind,
        wanted.repo.id,
        wanted.line.revision,
        files=root.files,
        bytes=root.size,
        published=when,
        last_success=when,
    )
