"""By the daemon's own clock: which names of ours targets have, for who watches it, and grey releases of rollouts.

A look lists the keys of repos, a page for each thousand, and reads the refs.json of those that have changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from mirror_sync.app.versions.promoting import what_failed
from mirror_sync.app.versions.rolling_out import RollOut, SaidOnce, asked_once
from mirror_sync.domain.audit_record import Actor
from mirror_sync.domain.content.keys import HUB, repo_of
from mirror_sync.domain.content.refs import PINNED, Refs
from mirror_sync.domain.content.share import WHOLE, ReaderShare
from mirror_sync.domain.content.versions import CHANNELS, NameMove
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.events import NamesLooked, NamesSeen, NamesUnseen, RolloutsLooked, RolloutState
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext
from mirror_sync.engine.published import read_refs
from mirror_sync.engine.sync.selecting import Concerned
from mirror_sync.engine.upkeep.move_names import history_of, pin_of
from mirror_sync.errors import DocumentError, Interrupted, StoreError
from mirror_sync.logger import Logger
from mirror_sync.ports.store import Store

_INTERVAL = 60.0  # seconds between two looks, or
_RATIO, _LONGEST = 20, 600.0  # so many times as long as it took to read names, and no more seconds than these
_READERS = 8
_MOST_FAILED = 32  # repos of a target that cannot be read, before it is the target that cannot
_Mark = tuple[int, float, str | None]  # by which a listing tells one refs.json of a key from another
_Seen = tuple[_Mark | None, NamesSeen | None, bool]  # without a mark: it could not be read since

_log = Logger()


class _Jobs(Protocol):
    def __call__(self, names: Sequence[str] = ()) -> tuple[Job, ...]: ...


class WatchNames:
    """For one thread. `jobs` gives those of jobs.yaml."""

    def __init__(self, jobs: _Jobs, context: Callable[[], RunContext], rollouts: Callable[[], RollOut]) -> None:
        self._jobs, self._context, self._rollouts = jobs, context, rollouts
        self._known: dict[str, _KnownNames] = {}
        self._told = SaidOnce(lambda: context().monotonic())

    def __call__(self, actor: Actor) -> float:
        """Look at every target of a scheduled job, for `actor`; returns the seconds until the next look is due.

        What goes wrong with a target is logged, and what was known of it stays.
        """
        context, jobs = self._context(), [job for job in self._jobs() if job.schedule is not None]
        reading = 0.0
        for name in sorted({job.target for job in jobs}):
            if context.stop.is_set():
                break
            try:
                reading += self._look(actor, name, [job for job in jobs if job.target == name])
            except Interrupted:
                break
            except StoreError as error:  # its list; what is wrong with one repo is told of that
                _log.warning("names.not-seen", target=name, reason=str(error))
        wanted = min((_INTERVAL, *(job.rollout.interval for job in jobs if job.rollout)))
        return max(wanted, min(_RATIO * reading, _LONGEST))

    def _look(self, actor: Actor, target: str, jobs: Collection[Job]) -> float:
        """Returns the seconds that it took to read names: whom rollouts ask may take longer."""
        context = self._context()
        began = context.monotonic()
        known = self._known.setdefault(target, _KnownNames(context.targets[target].store))
        named, tried = known.look(context.go_on, partial(self._tell_unseen, target))
        took = context.monotonic() - began
        context.tell(NamesLooked(target, named))
        ask, found = asked_once(), list[tuple[str, Repo, RolloutState]]()
        concerned = Concerned(context.targets[target], tuple(jobs))
        for repo in tried:
            for job in concerned(repo):
                state = self._rollouts().look(actor, job, repo, ask) if job.rollout is not None else None
                if state is not None:
                    found.append((job.name, repo, state))
        context.tell(RolloutsLooked(target, tuple(found)))
        return took

    def _tell_unseen(self, target: str, repo: Repo, error: Exception | None) -> None:
        if error is None:
            self._told.forget((target, repo))
            return
        reason = what_failed(self._context(), repo, error)
        if self._told.is_news((target, repo), reason):
            self._context().tell(NamesUnseen(target, repo, reason))


class _KnownNames:
    """What was read of a target's refs.json, as long as its listing says that they are the same."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, _Seen] = {}

    def look(
        self, go_on: Callable[[], None], tell: Callable[[Repo, Exception | None], None]
    ) -> tuple[tuple[NamesSeen, ...], tuple[Repo, ...]]:
        """Which repos have names of ours; and those of which something may be on trial. StoreError, Interrupted.

        Of each that is read `tell` is told what went wrong: what was known of that repo stays, until it can be read.
        """
        listed = {stat.key: (stat.size, stat.modified, stat.md5) for stat in self._store.list(HUB)}
        kept = {key: seen for key, seen in self._seen.items() if key in listed and listed[key] == seen[0]}
        repos = {key: repo for key in listed if key not in kept and (repo := repo_of(key)) is not None}

        failed: list[str] = []

        def read(key: str) -> _Seen:
            go_on()
            if len(failed) >= _MOST_FAILED:  # a reader that waited beside the one who gave up asks no more
                raise StoreError(f"{_MOST_FAILED} repos could not be read")
            try:
                found: _Seen = (listed[key], *self._read(repos[key]))
            except Interrupted:
                raise
            except Exception as error:  # whatever it is, others are read
                tell(repos[key], error)
                failed.append(key)
                if len(failed) >= _MOST_FAILED:
                    raise
                _, seen, tried = self._seen.get(key, (None, None, False))
                return None, seen, tried
            tell(repos[key], None)
            return found

        with ThreadPoolExecutor(_READERS, "names") as readers:
            self._seen = kept | dict(zip(repos, readers.map(read, repos), strict=True))
        found = [(seen, tried) for _, seen, tried in self._seen.values() if seen is not None]
        return tuple(seen for seen, _ in found), tuple(seen.repo for seen, tried in found if tried)

    def _read(self, repo: Repo) -> tuple[NamesSeen | None, bool]:
        try:
            refs = read_refs(self._store, repo)
        except DocumentError:  # `verify` names it
            return None, False
        share, pinned = ReaderShare.of(refs.attachments), PINNED in refs.attachments
        if not (refs.channels or pinned or share):
            return None, False
        try:
            history = history_of(self._store, refs)
        except DocumentError:
            history = ()
        shared = None if share is None else (share.channel, share.hundredths / WHOLE)
        seen = NamesSeen(repo, self._since_pinned(refs) if pinned else None, _since(refs, history), shared)
        return seen, pinned or share is not None

    def _since_pinned(self, refs: Refs) -> float:
        """0 where nobody can tell."""
        try:
            pin = pin_of(self._store, refs)
        except DocumentError:
            pin = None
        at = None if pin is None else moment(pin.at)
        return 0.0 if at is None else at.timestamp()


def _since(refs: Refs, history: Sequence[NameMove]) -> tuple[tuple[str, float], ...]:
    """When each channel came to stand where it does."""
    moves = [move for move in history if move.before != move.after]
    found = {move.name: moment(move.at) for move in moves if refs.channels.get(move.name) == move.after}
    times = ((name, found.get(name)) for name in CHANNELS)
    return tuple((name, at.timestamp()) for name, at in times if at is not None)
