"""The notices of prunes: a sync that sees none, before and after, needs no care at all.

See docs/design/decisions/0005-prune-beside-sync.md.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress

from mirror_sync.domain.content.keys import PRUNES, WITHDRAWN, done_of, is_active_prune, is_withdrawal, prune_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.errors import DocumentError, KeyMissing, StoreError, StoreUnavailable
from mirror_sync.ports.store import Store, read_all

_RENEW = 600.0  # seconds
_STALLED = 3600.0  # seconds without a renewal, after which a prune that comes to itself ends,
_DEAD = 2 * 3600.0  # and after which others take it for dead and clear its notice away
_LARGEST = 4096  # bytes of a notice
_DONE = 24 * 3600.0  # seconds that the notice of a prune that ended stays at least


Notices = Mapping[str, float]  # by key: when they were put, by the store's clock


def prune_announcements(target: Target) -> dict[str, float]:
    """All notices: of prunes that go on or died, and of those that ended not long ago."""
    return {stat.key: stat.modified for stat in target.store.list(PRUNES)}


def buried_by(target: Target, keys: Iterable[str], repo: Repo) -> Sha256 | None:
    """The tombstone that one of these notices, of a take-down, says that a repo has; None where none does.

    StoreError; DocumentError for a notice that cannot be read.
    """
    for key in filter(is_withdrawal, keys):
        try:
            said = json.loads(read_all(target.store, key, _LARGEST))
            if said["repo"] == str(repo):
                return Sha256(said["tombstone"])
        except KeyMissing:
            continue  # an active one, that has become a done one
        except (ValueError, KeyError, TypeError) as error:
            raise DocumentError(f"{key} is no notice of a take-down: {error!r:.80}") from error
    return None


def dead_announcements(notices: Notices, at: float) -> frozenset[str]:
    """The notices of prunes that were dead already at a time by the store's clock, and those that say they ended."""
    dead = [key for key, put in notices.items() if is_active_prune(key) and put < at - _DEAD]
    return frozenset((*dead, *map(done_of, dead)))


def bury(context: RunContext, target: Target, key: str) -> None:
    """Clear a dead prune's notice away as that prune would have done at its end, for whoever knew it alive.

    Where the target refuses that, it stays for the next one.
    """
    with suppress(StoreError):
        _put(context, target.store, done_of(key))
        target.store.delete([key])


class Elapsed:
    """Seconds since it was made, by that of the machine's two clocks that says more.

    One of them stands still while a machine sleeps, and the other may be set: whoever asks how long others may have
    been alone wants no less than the truth.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._began = self._now()

    def __call__(self) -> float:
        return max(now - began for now, began in zip(self._now(), self._began, strict=True))

    def _now(self) -> tuple[float, float]:
        return self._context.monotonic(), self._context.clock().timestamp()


class PruneAnnouncement:
    """A prune's notice: active inside the block, done after it. Gives the store's clock on the way.

    With WITHDRAWAL as its `kind` it is that of a take-down, whose repo `of` it names, with its tombstone.
    """

    def __init__(
        self, context: RunContext, target: Target, kind: str = "", of: tuple[Repo, Sha256] | None = None
    ) -> None:
        self._context, self._store, self._grace = context, target.store, target.grace.total_seconds()
        self._said = "" if of is None else f',"repo":"{of[0]}","tombstone":"{of[1]}"'
        self._prune = f"{kind}{uuid.uuid4().hex[:12]}"
        self._since = Elapsed(context)  # the last renewal
        self.now = 0.0
        """By the store's clock, when the notice was put: no older clock, and no other one, may decide about ages."""

    def __enter__(self) -> PruneAnnouncement:
        self._write(active=True)
        key = prune_key(self._prune, active=True)
        stat = self._store.stat(key)
        if stat is None:
            raise StoreUnavailable(f"{key} was put and is not there: this target cannot be pruned")
        self.now = stat.modified
        self._clear_old()
        return self

    def __exit__(self, *exc: object) -> None:
        self._write(active=False)
        self._store.delete([prune_key(self._prune, active=True)])

    def renew(self) -> None:
        """Say now and then that this prune is alive. StoreUnavailable when it was silent for too long to go on."""
        silent = self._since()
        if silent > _STALLED:
            raise StoreUnavailable(f"this prune stood still for {silent:.0f} seconds; start it again")
        if silent > _RENEW:
            self._write(active=True)

    def _write(self, *, active: bool) -> None:
        since = Elapsed(self._context)  # before the call: it may take long
        _put(self._context, self._store, prune_key(self._prune, active=active), self._said)
        self._since = since

    def _clear_old(self) -> None:
        """Of prunes that died, and of those that ended before any sync that still goes on can have begun.

        Those of take-downs stay as long as their lists do: by them a sync knows that there are some.
        """
        done = self.now - max(_DONE, 2 * self._grace)
        notices = list(self._store.list(PRUNES))
        old = [one.key for one in notices if one.modified < (self.now - _DEAD if is_active_prune(one.key) else done)]
        if any(map(is_withdrawal, old)) and any(self._store.list(WITHDRAWN)):
            old = [key for key in old if not is_withdrawal(key)]
        if old:
            self._store.delete(old)


def _put(context: RunContext, store: Store, key: str, said: str = "") -> None:
    body = f'{{"at":"{context.now()}"{said}}}\n'.encode()
    store.put(key, body, Sha256.of(body))
