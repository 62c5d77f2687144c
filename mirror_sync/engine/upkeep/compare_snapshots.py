"""Compares two snapshots that a target publishes. Only the shards that they do not share are read."""

from __future__ import annotations

from mirror_sync.domain.content.difference import Difference, attachment_changes, changes
from mirror_sync.domain.content.manifest import Manifest
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.snapshot import Root, read_shard
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.nearest import did_you_mean
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.published import mirrored_repos, published_at, read_refs, read_root, why_taken_down
from mirror_sync.errors import UsageError
from mirror_sync.ports.store import Store, read_document

_SHORTEST = 4  # digits of a commit id, as git asks for


def difference(store: Store, repo: Repo, before: str | None = None, after: str | None = None) -> Difference:
    """From `before` to `after`: channels, branches, tags, commit ids or beginnings of them.

    Left out, `after` is the branch main, or what was published last where that is not mirrored, and `before` is what
    was published last before it. Raises UsageError for what is not mirrored, DocumentError, StoreError.
    """
    refs = read_refs(store, repo)
    if refs.tombstone is not None:
        raise UsageError(f"{repo} was {why_taken_down(store, refs.tombstone)}")
    if not refs.snapshots:
        known = (RepoPattern(one.kind, one.id) for one in mirrored_repos(store))
        raise UsageError(f"nothing of {repo} is mirrored{did_you_mean(RepoPattern(repo.kind, repo.id), known)}")
    newer = _named(refs, repo, after) if after else _newest(store, refs)
    older = _named(refs, repo, before) if before else _before(store, refs, repo, newer)
    before_root, after_root = (read_root(store, refs.snapshots[commit]) for commit in (older, newer))
    found = tuple(changes(*_own_files(store, before_root, after_root)))
    same = after_root.files - sum(change.after is not None for change in found)
    attached = tuple(attachment_changes(before_root.attachments, after_root.attachments))
    return Difference(repo, older, newer, found, same, attached)


def _named(refs: Refs, repo: Repo, name: str) -> CommitId:
    commit = refs.leads_to(name)
    if commit is not None:
        return commit
    begun = [known for known in refs.snapshots if len(name) >= _SHORTEST and known.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    names = [*refs.channels, *(ref.name for ref in refs.refs)]
    known = ", ".join(names + [commit[:8] for commit in refs.snapshots])
    problem = "stands for several snapshots" if begun else "is not mirrored"
    raise UsageError(f"{name!r} of {repo} {problem}; mirrored are: {known}")


def _newest(store: Store, refs: Refs) -> CommitId:
    return refs.commit_of(DEFAULT_BRANCH) or max(refs.snapshots, key=lambda commit: _published(store, refs, commit))


def _before(store: Store, refs: Refs, repo: Repo, newer: CommitId) -> CommitId:
    """What was published last before `newer`; what came after it, where nothing did."""
    others = [commit for commit in refs.snapshots if commit != newer]
    if not others:
        raise UsageError(f"only one snapshot of {repo} is mirrored, {newer[:8]}: there is nothing to compare it with")
    at = _published(store, refs, newer)
    earlier = [commit for commit in others if _published(store, refs, commit) <= at]
    return max(earlier or others, key=lambda commit: _published(store, refs, commit))


def _published(store: Store, refs: Refs, commit: CommitId) -> float:
    return published_at(store, refs.snapshots[commit]) or 0.0


def _own_files(store: Store, before: Root, after: Root) -> tuple[Manifest, Manifest]:
    """The files in the shards of each that the other does not have: a shared shard holds no difference."""
    shared = {shard.digest for shard in before.shards} & {shard.digest for shard in after.shards}
    older, newer = (
        _files(store, [shard.digest for shard in root.shards if shard.digest not in shared]) for root in (before, after)
    )
    return older, newer


def _files(store: Store, shards: list[Sha256]) -> Manifest:
    return {file.path: file for digest in shards for file in read_shard(read_document(store, digest))}
