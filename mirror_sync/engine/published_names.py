"""Under which id a repo is published: the upstream's own, whatever a job calls it. Other names lead there.

An alias.json is written after the refs.json that it leads to, is small, and may be lost: the next run writes it again.
One that is damaged is not lost: it says that the name was another repo's once, and by now the upstream may give it to a
stranger. It is written anew where the upstream says itself that the name leads to a repo that is published here; else
its repo fails, until a person deletes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress

from mirror_sync.domain.content import alias
from mirror_sync.domain.content.keys import alias_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.work import Task
from mirror_sync.engine.context import Target
from mirror_sync.engine.published import mirrored_repos
from mirror_sync.errors import DocumentError, KeyMissing, StoreError
from mirror_sync.ports.store import Store, read_all


def alias_target(store: Store, repo: Repo) -> Repo | None:
    """The repo that an alias says is meant by an id; None without one. Raises StoreError, DocumentError."""
    key = alias_key(repo)
    try:
        return alias.decode(repo.kind, read_all(store, key, alias.MAX_ALIAS))
    except KeyMissing:
        return None
    except DocumentError as error:
        raise DocumentError(
            f"{key} is damaged, so that nobody knows which repo is published for {repo}: if it is the one that the "
            f"upstream calls so now, delete that key, and the next run goes by the upstream ({error})"
        ) from error


def case_folded(repo: Repo) -> tuple[Kind, str]:
    """An upstream knows no two repos whose ids differ in capitals only."""
    return repo.kind, repo.id.lower()


def published_as(store: Store, asked: Repo, known: Collection[Repo]) -> Repo | None:
    """Which of the known repos a name means: that one, where an alias leads, or the same in other letters.

    Raises StoreError. Nothing is asked where the name is known as it is.
    """
    if asked in known:
        return asked
    aliased: Repo | None = None
    with suppress(DocumentError):
        aliased = alias_target(store, asked)
    spelled = {case_folded(repo): repo for repo in known}
    return (aliased and spelled.get(case_folded(aliased))) or spelled.get(case_folded(asked))


def jobs_by_other_names(target: Target, jobs: Iterable[Job]) -> dict[Repo, list[tuple[Job, Repo]]]:
    """Which jobs spell out another name of a published repo, and which, as aliases tell: by the repo. StoreError.

    One list, and one small read for each name that nothing is published under.
    """
    published, found = frozenset(mirrored_repos(target.store)), defaultdict[Repo, list[tuple[Job, Repo]]](list)
    for job in jobs:
        names = (pattern.repo for pattern in job.repos if not pattern.is_glob) if job.target == target.name else ()
        for name in names:
            if name not in published and job.names(name):
                with suppress(DocumentError):
                    aliased = alias_target(target.store, name)
                    if aliased is not None:
                        found[aliased].append((job, name))
    return found


def write_aliases(target: Target, task: Task, new_name: Repo | None = None) -> None:
    """Let every other name of a published repo lead to it: other letters, what the job calls it, and the
    upstream's `new_name` of what stays published under its old one.

    What was written once is not looked at again while this machine remembers it, unless no alias led this task: then
    it was lost. A target that takes no alias now is asked again by the next run: what is published is there under its
    id.
    """
    repo = task.repo
    others = [other for other in (repo, task.requested_as, new_name) if other is not None and _needs_alias(other, repo)]
    body = alias.encode(repo)
    for key in {alias_key(other) for other in others}:
        with suppress(StoreError):
            if not task.lacks_alias and target.read_cache.recall(key, repo.id) == body:
                continue
        with suppress(StoreError):
            if not _stands(target.store, key, body):
                target.store.put(key, body, Sha256.of(body))
            target.read_cache.remember(key, repo.id, body)


def write_alias(store: Store, repo: Repo) -> None:
    """Let a repo that is published be found by other letters. StoreError."""
    body, key = alias.encode(repo), alias_key(repo)
    if _needs_alias(repo, repo) and not _stands(store, key, body):
        store.put(key, body, Sha256.of(body))


def _needs_alias(other: Repo, repo: Repo) -> bool:
    """An id in small letters is found as it is, by whatever letters."""
    return other != repo or repo.id != repo.id.lower()


def _stands(store: Store, key: str, body: bytes) -> bool:
    try:
        return read_all(store, key, alias.MAX_ALIAS) == body
    except KeyMissing:
        return False
