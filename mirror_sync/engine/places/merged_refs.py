"""What a refs.json becomes when a bundle comes: a merge of three, as of branches that went apart.

The base is the refs.json that was imported last, kept as the attachment IMPORTED. What the bundle says otherwise than
the base has changed where it comes from, and is followed. What stands here otherwise than the base was set here, and
stays where the bundle says what the base said. Where both have changed: names of ours, a pinned main and a share stay
as people have set them here; branches, tags and snapshots follow the bundle. A snapshot that any name leads to stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from mirror_sync.domain.content.refs import (
    CLOSED,
    LEFT_BEHIND,
    MAIN,
    OURS,
    PINNED,
    STATEMENT,
    STATEMENT_SIGNATURE,
    TOMBSTONE,
    VERSIONS,
    Ref,
    Refs,
)
from mirror_sync.domain.content.rewritten import PUBLISHED
from mirror_sync.domain.content.share import SHARE
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.outcome.keep_report import LET_GO

IMPORTED, IMPORTED_STATEMENT, IMPORTED_SIGNATURE = "imported", "imported.statement", "imported.statement.sig"
"""Attachments: the refs.json that was imported last, byte for byte, and the statement that it named."""
_NOT_CARRIED = frozenset(
    {STATEMENT, STATEMENT_SIGNATURE, PUBLISHED, TOMBSTONE, LEFT_BEHIND, VERSIONS, CLOSED}
    | {IMPORTED, IMPORTED_STATEMENT, IMPORTED_SIGNATURE}
)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class MergedRefs:
    """What stands here then, without a statement; `kept` are the names that the bundle leads elsewhere."""

    refs: Refs
    kept: tuple[str, ...]


def merge(base: Refs, theirs: Refs, ours: Refs) -> MergedRefs:
    """Merge the refs.json of a bundle into ours; neither has a tombstone. Its log is ours.

    What was let go of here comes again as a whole: whoever imports it asks for it.
    """
    if is_let_go_of(ours):
        base, ours = Refs(), replace(ours, gone=None)
    attachments = {name: digest for name, digest in ours.attachments.items() if name in _NOT_CARRIED}
    for name in sorted({*base.attachments, *theirs.attachments, *ours.attachments} - _NOT_CARRIED):
        trio = base.attachments.get(name), theirs.attachments.get(name), ours.attachments.get(name)
        found = _ours_first(*trio) if name == PINNED else _theirs_first(*trio)
        if found is not None and not name.startswith(SHARE):
            attachments[name] = found
    attachments |= _ours_first(_shares(base), _shares(theirs), _shares(ours)) or {}
    if CLOSED in theirs.attachments:  # any word closes, and what was closed here stays so
        attachments[CLOSED] = theirs.attachments[CLOSED]
    elif CLOSED in base.attachments:
        attachments.pop(CLOSED, None)
    pinned_here = PINNED in attachments and attachments[PINNED] != theirs.attachments.get(PINNED)
    refs = _refs(base, theirs, ours, pinned_here=pinned_here)
    channels = _channels(base, theirs, ours)
    named = {*(ref.target for ref in refs), *channels.values()}
    snapshots = _snapshots(base, theirs, ours, named)
    made = replace(
        ours,
        refs=tuple(ref for ref in refs if ref.target in snapshots),
        channels={name: to for name, to in channels.items() if to in snapshots},
        snapshots=snapshots,
        attachments={name: one for name, one in attachments.items() if name not in (STATEMENT, STATEMENT_SIGNATURE)},
        gone=_theirs_first(base.gone, theirs.gone, ours.gone),
    )
    return MergedRefs(made, tuple(_kept(theirs, made, pinned_here=pinned_here)))


def is_let_go_of(refs: Refs) -> bool:
    """Whether nothing is published for want of room alone, by the readers of one target: no word about the repo."""
    return refs.gone is not None and refs.gone.code == LET_GO and not refs.snapshots


def _theirs_first(base: Value | None, theirs: Value | None, ours: Value | None) -> Value | None:
    return ours if theirs == base else theirs


def _ours_first(base: Value | None, theirs: Value | None, ours: Value | None) -> Value | None:
    return theirs if ours == base else ours


def _shares(refs: Refs) -> dict[str, Sha256]:
    return {name: digest for name, digest in refs.attachments.items() if name.startswith(SHARE)}


def _refs(base: Refs, theirs: Refs, ours: Refs, *, pinned_here: bool) -> tuple[Ref, ...]:
    trios = tuple({(ref.group, ref.name): ref for ref in one.refs} for one in (base, theirs, ours))
    known, told, here = trios
    found = list[Ref]()
    for key in sorted({*known, *told, *here}):
        there, mine = told.get(key), here.get(key)
        if mine is not None and mine.ref == MAIN and pinned_here:
            one: Ref | None = mine
        elif key not in known and there is not None and mine is not None and there.target in ours.snapshots:
            one = mine  # never imported, and here it has gone on from there
        else:
            one = _theirs_first(known.get(key), there, mine)
        if one is not None:
            found.append(one)
    return tuple(found)


def _channels(base: Refs, theirs: Refs, ours: Refs) -> dict[str, CommitId]:
    found = dict[str, CommitId]()
    for name in sorted({*base.channels, *theirs.channels, *ours.channels}):
        to = _ours_first(base.channels.get(name), theirs.channels.get(name), ours.channels.get(name))
        if to is not None:
            found[name] = to
    return found


def _snapshots(base: Refs, theirs: Refs, ours: Refs, named: set[CommitId]) -> dict[CommitId, Sha256]:
    """What was let go here stays so, unless a name leads to it."""
    found = dict[CommitId, Sha256]()
    for commit in sorted({*base.snapshots, *theirs.snapshots, *ours.snapshots}):
        there, mine = theirs.snapshots.get(commit), ours.snapshots.get(commit)
        root = _theirs_first(base.snapshots.get(commit), there, mine)
        if root is None and commit in named:
            root = mine or there
        if root is not None:
            found[commit] = root
    return found


def _kept(theirs: Refs, made: Refs, *, pinned_here: bool) -> Iterable[str]:
    led = {ref.ref: ref.target for ref in made.refs}
    for ref in theirs.refs:
        if ref.target != led.get(ref.ref):
            yield "main, which is pinned here" if ref.ref == MAIN and pinned_here else ref.ref
    for name in theirs.channels:
        if theirs.channels[name] != made.channels.get(name):
            yield f"{OURS}{name}"
