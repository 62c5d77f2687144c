"""Moves names of a repo by a person's word: one PUT of refs.json, with a line in the repo's own history of names.

Another machine may write the same refs.json at the same moment, and stores give no conditional write. So whoever moved
a name looks again when all calls have landed that were made before its own (the settling time), and where its line
is not there any more, moves the name once more: see docs/design/decisions/0053-names-of-ours.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.refs import PINNED, VERSIONS, Refs
from mirror_sync.domain.content.snapshot import Document
from mirror_sync.domain.content.versions import NameMove, decode_history, decode_pin, encode_history, encode_pin
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import put_document, put_refs, read_refs
from mirror_sync.errors import DocumentError, KeyMissing, StoreUnavailable
from mirror_sync.ports.store import Store, read_document

_TRIES = 5  # to have a line in the history, where others write the same repo again and again
_MOST = 4 * 1024 * 1024  # bytes of a history


@dataclass(frozen=True, slots=True)
class WantedNames:
    """The names of a repo as they shall be, and the line that tells of it.

    `attached` names an attachment whose document is that line, and `dropped` those that are none any more.
    """

    refs: Refs
    move: NameMove
    attached: str = ""
    dropped: tuple[str, ...] = ()


Decide = Callable[[Refs], WantedNames]
"""What a person wants of what stands there, which may be another at each call. UsageError."""


@dataclass(frozen=True, slots=True)
class MovedName:
    """What was done: the line in the history. `anew`: the history before could not be read, and begins with it."""

    move: NameMove
    anew: bool = False


def move_name(
    context: RunContext,
    target: Target,
    repo: Repo,
    decide: Decide,
    on_moved: Callable[[MovedName], None] = lambda moved: None,
    *,
    wait: bool = True,
) -> MovedName:
    """Move a name as `decide` says. It counts when `on_moved` is called; then it is waited whether that stays so.

    UsageError of `decide`; StoreError, DocumentError; Interrupted after a stop while it waits.
    """
    done: MovedName | None = None
    for _ in range(_TRIES):
        with target.lock(repo):
            if done is not None and _is_there(target.store, repo, done.move):
                return done
            done = _moved(context, target, repo, decide)
        on_moved(done)
        if not wait:
            return done
        context.pause(target.settling_time)
    with target.lock(repo):
        if done is not None and _is_there(target.store, repo, done.move):
            return done
    raise StoreUnavailable(f"another machine writes {repo} again and again: stop its sync, and run this again")


def history_of(store: Store, refs: Refs) -> tuple[NameMove, ...]:
    """Who moved which name of a repo, and why, oldest first. StoreError; DocumentError where it cannot be read."""
    digest = refs.attachments.get(VERSIONS)
    try:
        return () if digest is None else decode_history(read_document(store, digest, _MOST))
    except KeyMissing as error:
        raise DocumentError(f"the history of names is missing: {error}") from error


def pin_of(store: Store, refs: Refs) -> NameMove | None:
    """Who has pinned main, and why; None where it is not pinned. StoreError, DocumentError."""
    digest = refs.attachments.get(PINNED)
    try:
        return None if digest is None else decode_pin(read_document(store, digest))
    except KeyMissing as error:
        raise DocumentError(f"what pinned main is missing: {error}") from error


def _moved(context: RunContext, target: Target, repo: Repo, decide: Decide) -> MovedName:
    """The caller holds the repo's lock."""
    asked = decide(read_refs(target.store, repo)).move
    act = Act(Verb(asked.verb), target.name, str(repo), asked.name, asked.after or "", reason=asked.why)
    with recorded(context, target, [act]):  # which may take long: so it is decided again
        before = read_refs(target.store, repo)
        wanted = decide(before)
        known, anew = _known(target.store, before)
        documents = {VERSIONS: Document.of(encode_history((*known, wanted.move)))}
        after = wanted.refs
        for name in wanted.dropped:
            after = after.without_attachment(name)
        if wanted.attached:
            documents[wanted.attached] = Document.of(encode_pin(wanted.move))
        for one in documents.values():  # first: a refs.json never names what is not there
            put_document(target.store, one)
        after = after.with_attachments({name: one.digest for name, one in documents.items()})
        put_refs(target, repo, after.logged(before, wanted.move.at, f"{wanted.move.verb} by {wanted.move.by}"))
    return MovedName(wanted.move, anew)


def _known(store: Store, refs: Refs) -> tuple[tuple[NameMove, ...], bool]:
    """The history so far, and whether one begins anew: a lost one is no reason not to roll back."""
    try:
        return history_of(store, refs), False
    except DocumentError:
        return (), True


def _is_there(store: Store, repo: Repo, move: NameMove) -> bool:
    try:
        return move in history_of(store, read_refs(store, repo))
    except DocumentError:
        return False
