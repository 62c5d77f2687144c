"""Notes in refs.json of the commits that rules hold: decides whether one has to be written, and what it says."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from mirror_sync.domain.content.held_note import CLOSED_MARK, MOST_HELD, HeldNote, held_commits, with_note
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import CLOSED, Refs, held_name
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.policy.gone import PRIVATE
from mirror_sync.domain.policy.rules import Outcome
from mirror_sync.domain.repo import Repo
from mirror_sync.domain.work import Edit, Task, TaskResult
from mirror_sync.engine.context import Target
from mirror_sync.engine.vanished import Presence
from mirror_sync.errors import DocumentError, KeyMissing, StoreError
from mirror_sync.ports.store import MAX_DOCUMENT, read_document


def is_noted(result: TaskResult) -> bool:
    """Whether it is a hold of a commit by rules. A private repo that nobody has named is a secret, and leaves none."""
    holds = any(verdict.outcome is Outcome.HELD for verdict in result.verdicts)
    secret = any(verdict.code == PRIVATE for verdict in result.verdicts)
    return result.outcome is RepoOutcome.HELD and result.commit is not None and holds and not secret


def with_held_note(
    target: Target, presence: Presence, task: Task, refs: Refs, result: TaskResult, at: str
) -> TaskResult:
    """The same with the edit by which refs.json, as it was read, gets the note; unchanged where it says so already.

    Where nothing of the repo is known and something was published, there is no note: a refs.json without snapshots
    would look as if nothing had been lost. Raises Vanished where all of the target is, StoreError.
    """
    commit = CommitId(result.commit or "") if is_noted(result) else None
    if commit is None or commit in refs.snapshots:
        return result
    if result.edit is not None and result.edit.before != refs:  # of what is not there any more: see `amend_refs`
        return result
    if not refs.is_known:
        if presence.is_expected(task.repo) or presence.is_expected(task.requested):
            return result
        presence.expect()
    after = refs if result.edit is None else result.edit.after
    before = _read(target, task.repo, after, commit)
    note = HeldNote(str(task.repo), commit, at if before is None else before.since, result.verdicts)
    document = note.encode()
    shut = result.closed and not after.snapshots and CLOSED not in after.attachments  # else: closed_repos.py
    if after.attachments.get(held_name(commit)) == document.digest and not shut:
        return result
    _remember(target, task.repo, note)
    others = held_commits(after) if len(held_commits(after)) >= MOST_HELD else ()
    since = {one: other.since for one in others if (other := _read(target, task.repo, after, one)) is not None}
    documents = (*(() if result.edit is None else result.edit.documents), document)
    noted = with_note(after, note, document.digest, since)
    if shut:
        noted, documents = noted.with_attachments({CLOSED: CLOSED_MARK.digest}), (*documents, CLOSED_MARK)
    return replace(result, edit=Edit(refs, noted, documents))


def _read(target: Target, repo: Repo, refs: Refs, commit: CommitId) -> HeldNote | None:
    """None where there is no note, or none that can be read. StoreError."""
    digest = refs.attachments.get(held_name(commit))
    if digest is None:
        return None
    with suppress(StoreError, DocumentError):
        known = target.read_cache.recall(_cached(repo, commit), digest)
        if known is not None:
            return HeldNote.decode(known)
    try:
        note = HeldNote.decode(read_document(target.store, digest, MAX_DOCUMENT))
    except (KeyMissing, DocumentError):
        return None
    _remember(target, repo, note)
    return note


def _remember(target: Target, repo: Repo, note: HeldNote) -> None:
    document = note.encode()
    with suppress(StoreError):
        target.read_cache.remember(_cached(repo, note.commit), document.digest, document.body)


def _cached(repo: Repo, commit: CommitId) -> str:
    return f"{refs_key(repo)}#{held_name(commit)}"
