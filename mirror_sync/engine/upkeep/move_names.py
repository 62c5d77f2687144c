"""Moves names of a repo by a person's word: one PUT of refs.json, with a line in the repo's own history of names.

Another machine may write the same refs.json at the same moment, and stores give no conditional write. So whoever moved
a name checks again when all calls have landed that were made before its own (the settling time), and where its line
is not there any more, moves the name once more: see docs/design/decisions/0053-names-of-ours.md.

A prune on another machine may let go what a name is led to, between the read and the write of a machine that stands
still. So a move lists prunes, as a sync does, and takes the name back where it came too late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mirror_sync.domain.access.rights import closed_by
from mirror_sync.domain.audit_record import Act, Verb
from mirror_sync.domain.content.held_note import CLOSED_MARK
from mirror_sync.domain.content.refs import CLOSED, DEFAULT_BRANCH, PINNED, VERSIONS, Refs
from mirror_sync.domain.content.snapshot import Document
from mirror_sync.domain.content.versions import NameMove, decode_history, decode_pin, encode_history, encode_pin
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.acts import recorded
from mirror_sync.engine.beside_prune import MoveNotice, PruneGuard
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import (
    change_refs,
    only_from,
    put_document,
    read_description,
    read_refs,
    read_root,
)
from mirror_sync.errors import DocumentError, KeyMissing, PruneConflict, StoreUnavailable
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
    for _ in range(_TRIES):
        done = _moved(context, target, repo, decide)
        on_moved(done)
        if not wait:
            return done
        context.pause(target.settling_time)
        if _is_there(target.store, repo, done.move):
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
    guard = PruneGuard(context, target, repo)
    asked = decide(read_refs(target.store, repo)).move
    act = Act(Verb(asked.verb), target.name, str(repo), asked.name, asked.after or "", reason=asked.why)
    with recorded(context, target, [act]):  # which may take long: so it is decided again
        made = _prepared(target, repo, decide)

        def put() -> Refs:
            nonlocal made
            while (there := _put(context, target, repo, made)) is None:  # to put documents took a while
                context.go_on()
                made = _prepared(target, repo, decide)
            return there

        try:
            if made.new_commit is None:
                put()
            else:
                guard.publish_name(made.new_commit, put)
        except PruneConflict:
            _take_back(target, repo, made, context.now())
            raise
    return MovedName(made.move, made.anew)


def _put(context: RunContext, target: Target, repo: Repo, made: _Prepared) -> Refs | None:
    """What stands there then; None where it is another refs.json by now than this was made from."""
    after = made.after.logged(made.before, made.move.at, f"{made.move.verb} by {made.move.by}")
    with MoveNotice(context, target, repo, after) as notice:
        return change_refs(target, repo, lambda now: after if now == made.before and notice.is_young else None)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A move whose documents are put: all that is left is to write `after` where `before` stands."""

    before: Refs
    after: Refs
    move: NameMove
    anew: bool

    @property
    def new_commit(self) -> CommitId | None:
        """The commit that a name is led to; None where it is taken away, or a pin."""
        return None if self.move.after == self.move.before else self.move.after


def _prepared(target: Target, repo: Repo, decide: Decide) -> _Prepared:
    before = read_refs(target.store, repo)
    wanted = decide(before)
    known, anew = _known(target.store, before)
    documents = {VERSIONS: Document.of(encode_history((*known, wanted.move)))}
    after = wanted.refs
    for name in wanted.dropped:
        after = after.without_attachment(name)
    if PINNED in before.attachments and wanted.attached != PINNED and _closes_beside_main(target.store, before, after):
        documents[CLOSED] = CLOSED_MARK  # else it would be open until the next sync has led main there
    if wanted.attached:
        documents[wanted.attached] = Document.of(encode_pin(wanted.move))
    for one in documents.values():  # first: a refs.json never names what is not there
        put_document(target.store, one)
    return _Prepared(
        before, after.with_attachments({name: one.digest for name, one in documents.items()}), wanted.move, anew
    )


def _closes_beside_main(store: Store, before: Refs, after: Refs) -> bool:
    """Whether the upstream has closed a repo by words that only a pinned main lets count, and main is pinned no more.

    What cannot be read closes it.
    """
    if PINNED in after.attachments or CLOSED in after.attachments:
        return False
    return any(_closes(store, root) for root in before.telling if root not in after.telling)


def _closes(store: Store, root: Sha256) -> bool:
    try:
        return closed_by(read_description(store, read_root(store, root).info))
    except (KeyMissing, DocumentError):
        return True


def _take_back(target: Target, repo: Repo, made: _Prepared, at: str) -> None:
    """Let a name stand for what it did before where it was led to what a prune had removed; the history says both."""
    while (now := read_refs(target.store, repo)).tombstone is None:
        after = _taken_back(target, made, now, at)
        if after is None or change_refs(target, repo, only_from(now, after)) is not None:
            return


def _taken_back(target: Target, made: _Prepared, now: Refs, at: str) -> Refs | None:
    move, after = made.move, now
    earlier = move.before if move.before in now.snapshots else None
    if move.name == DEFAULT_BRANCH and earlier is not None and now.commit_of(DEFAULT_BRANCH) == move.after:
        after = now.moving_main(earlier)
        pin = made.before.attachments.get(PINNED)
        after = after.without_attachment(PINNED) if pin is None else after.with_attachments({PINNED: pin})
    elif move.after is not None and now.channels.get(move.name) == move.after:
        kept = {name: to for name, to in now.channels.items() if name != move.name}
        after = replace(now, channels=kept if earlier is None else {**kept, move.name: earlier})
    if after == now or move.after is None:
        return None
    if move.after not in after.named:
        after = after.without((move.after,))
    told = replace(move, at=at, before=move.after, after=earlier, why="a prune had removed what it was led to")
    history = Document.of(encode_history((*_known(target.store, now)[0], told)))
    put_document(target.store, history)
    return after.with_attachments({VERSIONS: history.digest}).logged(now, at, f"{told.verb} undone")


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
