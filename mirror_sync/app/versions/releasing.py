"""Moves names of a repo by the word of a person or a rule, promote, tag, rollback, unpin, and shows their history.

Each is one PUT of refs.json (engine/upkeep/move_names.py), told to everybody who watches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from mirror_sync.app.catalogues import Catalogues
from mirror_sync.app.configured import Configured
from mirror_sync.app.trust.auditing import acting
from mirror_sync.app.trust.taking_down import in_one_line, published_repo
from mirror_sync.domain.audit_record import Actor, Verb
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, PINNED, Refs
from mirror_sync.domain.content.share import NOTICE, SHARE, ReaderShare
from mirror_sync.domain.content.versions import (
    CHANNELS,
    LONGEST_WHY,
    NameMove,
    earlier_mains,
    rivals_of,
    tag_fault,
)
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.outcome.events import RepoNameMoved
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import read_refs, why_taken_down
from mirror_sync.engine.sync.selecting import Concerned
from mirror_sync.engine.upkeep.move_names import MovedName, WantedNames, history_of, move_name, pin_of
from mirror_sync.errors import DocumentError, MirrorError, NoSuchCall, UsageError

_SHORTEST = 7  # digits by which a commit may be named
_TOLD = 5  # commits that a message names


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person wants moved, of which repo, where; `why` is kept in the history, `wait` whether it stays so."""

    actor: Actor
    target: str
    repo: Repo
    why: str = ""
    wait: bool = True


@dataclass(frozen=True, slots=True)
class NameReport:
    """What became of it. `changed` false: it was so already, and nothing was written; `notes` are for a person."""

    target: str
    repo: Repo
    move: NameMove
    changed: bool = True
    notes: tuple[str, ...] = ()

    def encode(self) -> dict[str, Any]:
        """As JSON."""
        said = {"target": self.target, "kind": self.repo.kind, "repo": self.repo.id, "changed": self.changed}
        return said | self.move.encode() | {"notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class RepoNames:
    """The names that a target gives commits of a repo, and who moved them, newest last.

    `main` is its commit, None without one; `pinned` why it stays there; `share`: how many of its readers get
    something else; `earlier` what it stood for before.
    """

    target: str
    repo: Repo
    names: dict[str, CommitId]
    main: CommitId | None
    pinned: NameMove | None
    share: ReaderShare | None
    earlier: tuple[CommitId, ...]
    history: tuple[NameMove, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def encode(self) -> dict[str, Any]:
        """The document of `channel --json`."""
        return {
            "target": self.target,
            "kind": self.repo.kind,
            "repo": self.repo.id,
            "channels": {name: to for name, to in self.names.items() if name in CHANNELS},
            "tags": {name: to for name, to in self.names.items() if name not in CHANNELS},
            "main": self.main,
            "pinned": None if self.pinned is None else self.pinned.encode(),
            "share": None if self.share is None else self.share.encode(),
            "earlier": list(self.earlier),
            "history": [move.encode() for move in self.history],
            "notes": list(self.notes),
        }


class ReleaseNames:
    """Safe for many threads. All raise UsageError for what cannot be, StoreError and DocumentError."""

    def __init__(
        self, configured: Configured, context: Callable[[], RunContext], catalogues: Callable[[], Catalogues]
    ) -> None:
        self._configured, self._context, self._catalogues = configured, context, catalogues

    def promote(self, wanted: Wanted, source: str, channel: str) -> NameReport:
        """Let a channel stand for what `source` does, which is whatever a reader may ask for."""
        if channel not in CHANNELS:
            raise UsageError(f"{channel!r} is no channel; they are: {', '.join(CHANNELS)}")
        _expect_said(wanted)
        return self._name(wanted, channel, source, Verb.PROMOTE)

    def tag(self, wanted: Wanted, name: str, revision: str = DEFAULT_BRANCH) -> NameReport:
        """Give a commit a name that never moves."""
        fault = tag_fault(name)
        if fault:
            raise UsageError(f"{name!r} can be no tag: {fault}")
        return self._name(wanted, name, revision, Verb.TAG)

    def untag(self, wanted: Wanted, name: str) -> NameReport:
        """Take a name of ours away, a channel or a tag; its commit stays readable by its id."""
        _expect_said(wanted)

        def decide(refs: Refs) -> WantedNames:
            if name not in refs.channels:
                known = ", ".join(refs.channels) or "none"
                raise UsageError(f"{repo} has no {name!r} of ours; there are: {known}")
            kept = {known: to for known, to in refs.channels.items() if known != name}
            move = self._move(wanted, Verb.UNTAG, name, refs.channels[name], None)
            return WantedNames(replace(refs, channels=kept), move)

        repo, _ = self._repo(wanted)
        return self._done(wanted, repo, decide)

    def rollback(self, wanted: Wanted, commit: str | None = None, steps: int = 1) -> NameReport:
        """Let main stand for what it stood for before, or for `commit`, and stay there until it is unpinned."""
        _expect_said(wanted)
        repo, refs = self._repo(wanted)
        to = _commit(refs, repo, commit) if commit else _steps_back(refs, repo, steps)
        if PINNED in refs.attachments and refs.commit_of(DEFAULT_BRANCH) == to:
            return NameReport(wanted.target, repo, self._move(wanted, Verb.ROLLBACK, DEFAULT_BRANCH, to, to), False)

        def decide(now: Refs) -> WantedNames:
            _expect_published(now, repo, to)
            before = now.commit_of(DEFAULT_BRANCH)
            if before is None:
                raise UsageError(f"{repo} has no main that could go back")
            move = self._move(wanted, Verb.ROLLBACK, DEFAULT_BRANCH, before, to)
            return WantedNames(now.moving_main(to), move, PINNED, (PINNED,))

        return self._done(wanted, repo, decide)

    def unpin(self, wanted: Wanted) -> NameReport:
        """Let main follow the upstream again, from the next sync on."""

        def decide(refs: Refs) -> WantedNames:
            if PINNED not in refs.attachments:
                raise UsageError(f"main of {repo} is not pinned")
            at = refs.commit_of(DEFAULT_BRANCH)
            return WantedNames(refs, self._move(wanted, Verb.UNPIN, DEFAULT_BRANCH, at, at), dropped=(PINNED,))

        repo, _ = self._repo(wanted)
        return self._done(wanted, repo, decide)

    def share(
        self, wanted: Wanted, channel: str, hundredths: int, seen: tuple[ReaderShare, CommitId | None] | None = None
    ) -> NameReport:
        """Give so many hundredths of a percent of those who ask for main what a channel stands for; 0 ends it.

        Where it was `seen` which share there is, of which commit, and it is another by now: UsageError.
        """
        _expect_said(wanted)
        if channel not in CHANNELS:
            raise UsageError(f"{channel!r} is no channel; they are: {', '.join(CHANNELS)}")
        repo, refs = self._repo(wanted)
        share, on = ReaderShare(channel, hundredths), ReaderShare.of(refs.attachments)
        if (None if on is None else replace(on, begins=0)) == (share if hundredths else None):
            told = self._move(wanted, Verb.SHARE, channel, refs.channels.get(channel), refs.channels.get(channel))
            return NameReport(wanted.target, repo, told, changed=False)
        told_why = replace(wanted, why=f"{share.said} of the readers of main: {wanted.why}")

        def decide(now: Refs) -> WantedNames:
            to = now.channels.get(channel)
            if to is None and hundredths:
                raise UsageError(f"{repo} has no {channel}; write mirror-sync promote {repo} main {channel} --why TEXT")
            if seen is not None and (ReaderShare.of(now.attachments), to) != seen:
                raise UsageError(f"the share of {repo}, or its {channel}, was changed meanwhile")
            before = tuple(name for name in now.attachments if name.startswith(SHARE))
            move = self._move(told_why, Verb.SHARE, channel, to, to)
            there = ReaderShare.of(now.attachments)
            begins = int(self._context().clock().timestamp()) + NOTICE if there is None else there.begins
            return WantedNames(now, move, replace(share, begins=begins).name if hundredths else "", before)

        return self._done(wanted, repo, decide)

    def end_rollout(self, wanted: Wanted, share: ReaderShare, to: CommitId) -> NameReport:
        """Let main, and so all its readers, get what a share of them had, pinned there; UsageError where either has
        changed.
        """

        def decide(now: Refs) -> WantedNames:
            if ReaderShare.of(now.attachments) != share or now.channels.get(share.channel) != to:
                raise UsageError(f"the share of {repo}, or its {share.channel}, was changed meanwhile")
            return self._leading_main(wanted, now, Verb.PROMOTE, to)

        repo, _ = self._repo(wanted)
        return self._done(wanted, repo, decide)

    def take_back(self, wanted: Wanted, bad: CommitId, to: CommitId) -> NameReport:
        """Let main stand for `to` in the place of `bad`, pinned there, and end a share; UsageError where it stands for
        something else by now.
        """

        def decide(now: Refs) -> WantedNames:
            _expect_published(now, repo, to)
            if now.commit_of(DEFAULT_BRANCH) != bad:
                raise UsageError(f"main of {repo} was moved meanwhile")
            return self._leading_main(wanted, now, Verb.ROLLBACK, to)

        repo, _ = self._repo(wanted)
        return self._done(wanted, repo, decide)

    def _leading_main(self, wanted: Wanted, now: Refs, verb: Verb, to: CommitId) -> WantedNames:
        """In one step for all readers: main there, pinned, and no share."""
        shares = (name for name in now.attachments if name.startswith(SHARE))
        move = self._move(wanted, verb, DEFAULT_BRANCH, now.commit_of(DEFAULT_BRANCH), to)
        return WantedNames(now.moving_main(to), move, PINNED, (PINNED, *shares))

    def names(self, target: str, repo: Repo) -> RepoNames:
        """What `channel` shows; it changes nothing."""
        place = self._place(target)
        meant = published_repo(place, repo)
        refs = read_refs(place.store, meant)
        notes = [_told_rival(name, rivals) for name in refs.channels if (rivals := rivals_of(refs, name))]
        pinned: NameMove | None = None
        history: tuple[NameMove, ...] = ()
        try:
            history = history_of(place.store, refs)
            pinned = pin_of(place.store, refs)
        except DocumentError as error:
            notes.append(f"the history cannot be read: {error}")
        names = dict(sorted(refs.channels.items(), key=lambda one: (one[0] not in CHANNELS, one[0])))
        main = refs.commit_of(DEFAULT_BRANCH)
        share = ReaderShare.of(refs.attachments)
        return RepoNames(target, meant, names, main, pinned, share, earlier_mains(refs), history, tuple(notes))

    def _name(self, wanted: Wanted, name: str, source: str, verb: Verb) -> NameReport:
        """Let a name of ours stand for what `source` does now."""
        repo, refs = self._repo(wanted)
        to, stands = _commit(refs, repo, source), refs.channels.get(name)
        if stands == to:
            return NameReport(wanted.target, repo, self._move(wanted, verb, name, to, to), changed=False)
        notes = () if stands is not None else self._expect_free(wanted.target, repo, refs, name)

        def decide(now: Refs) -> WantedNames:
            _expect_published(now, repo, to)
            before = now.channels.get(name)
            if verb is Verb.TAG and before not in (None, to):
                raise UsageError(
                    f"{name} stands for {before} already, and a tag never moves: choose another name, or take it away "
                    f"first with mirror-sync tag {repo} {name} --remove --why TEXT"
                )
            move = self._move(wanted, verb, name, before, to)
            return WantedNames(replace(now, channels={**now.channels, name: to}), move)

        return self._done(wanted, repo, decide, notes)

    def _done(
        self, wanted: Wanted, repo: Repo, decide: Callable[[Refs], WantedNames], notes: tuple[str, ...] = ()
    ) -> NameReport:
        context, place = self._context(), self._place(wanted.target)

        def decide_there(now: Refs) -> WantedNames:
            _expect_there(place, repo, now)  # it may be taken down at this moment
            return decide(now)

        def tell(moved: MovedName) -> None:
            one = moved.move
            told = one.name, one.verb, one.before, one.after, one.by, one.why, one.at
            context.tell(RepoNameMoved(wanted.target, repo, *told))
            self._catalogues().publish(place)

        with acting(context, wanted.actor, [wanted.target]) as acting_context:
            moved = move_name(acting_context, place, repo, decide_there, tell, wait=wanted.wait)
        lost = ("the history of names could not be read, and begins anew",) if moved.anew else ()
        return NameReport(wanted.target, repo, moved.move, notes=(*notes, *lost))

    def _repo(self, wanted: Wanted) -> tuple[Repo, Refs]:
        """The id by which it is published, and what is."""
        place = self._place(wanted.target)
        repo = published_repo(place, wanted.repo)
        refs = read_refs(place.store, repo)
        _expect_there(place, repo, refs)
        return repo, refs

    def _move(self, wanted: Wanted, verb: Verb, name: str, before: CommitId | None, after: CommitId | None) -> NameMove:
        why = in_one_line(wanted.why, "--why", LONGEST_WHY)
        return NameMove(self._context().now(), name, before, after, wanted.actor.name, why, verb.value)

    def _expect_free(self, target: str, repo: Repo, refs: Refs, name: str) -> tuple[str, ...]:
        """UsageError where the upstream has a branch or a tag of the name; a note where nobody could ask it."""
        taken = rivals_of(refs, name)
        jobs = Concerned(self._place(target), self._configured.jobs())(repo)
        notes: list[str] = []
        for job in jobs:
            try:
                told = self._context().source(job).refs(repo)
                taken += tuple(ref.ref for ref in told if name in (ref.shortest, ref.ref))
            except NoSuchCall:  # it has no branches and tags, or tells nobody
                continue
            except MirrorError as error:
                notes.append(f"upstream {job.upstream} could not be asked whether it has a {name}, too: {error}")
        if taken:
            raise UsageError(f"the upstream of {repo} has {taken[0]}: choose another name")
        return tuple(dict.fromkeys(notes))

    def _place(self, target: str) -> Target:
        self._configured.target(target)
        return self._context().targets[target]


def _expect_there(place: Target, repo: Repo, refs: Refs) -> None:
    if refs.tombstone is not None:
        raise UsageError(f"{repo} was {why_taken_down(place.store, refs.tombstone)}")


def _expect_said(wanted: Wanted) -> None:
    if not wanted.why.strip():
        raise UsageError("say why: --why TEXT is what the history keeps")


def _told_rival(name: str, rivals: tuple[str, ...]) -> str:
    return f"the upstream has {rivals[0]} by now, too: {name} stays ours, and {rivals[0]} leads to the upstream's"


def _expect_published(refs: Refs, repo: Repo, commit: CommitId) -> None:
    if commit not in refs.snapshots:
        raise UsageError(f"{commit} of {repo} is not published any more: look with mirror-sync channel {repo}")


def _commit(refs: Refs, repo: Repo, named: str) -> CommitId:
    """What a name stands for, or the beginning of a commit id."""
    found = refs.leads_to(named)
    if found is not None:
        return found
    begun = [one for one in refs.snapshots if len(named) >= _SHORTEST and one.startswith(named.lower())]
    if len(begun) == 1:
        return begun[0]
    known = ", ".join((*refs.channels, *(ref.shortest for ref in refs.refs), *(one[:12] for one in refs.snapshots)))
    problem = "stands for several commits" if begun else "is not published"
    raise UsageError(f"{named!r} of {repo} {problem}; there are: {known or 'none'}")


def _steps_back(refs: Refs, repo: Repo, steps: int) -> CommitId:
    earlier = earlier_mains(refs)
    if 0 < steps <= len(earlier):
        return earlier[steps - 1]
    others = [one for one in refs.snapshots if one != refs.commit_of(DEFAULT_BRANCH)]
    named = f"; name one of {', '.join(others[:_TOLD])}" if others else ", and no other commit is published"
    if refs.commit_of(DEFAULT_BRANCH) is None:
        raise UsageError(f"{repo} has no main that could go back{named}")
    known = {0: "no commit", 1: "one commit"}.get(len(earlier), f"{len(earlier)} commits")
    raise UsageError(f"main of {repo} is known to have stood for {known} before its present one{named}")
