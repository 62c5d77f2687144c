"""The notices of prunes: a sync that sees none, before and after, needs no care at all.

See docs/decisions/0005-prune-beside-sync.md.
"""

from __future__ import annotations

import uuid

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.keys import PRUNES, is_active_prune, prune_key
from mirror_sync.engine.site import Site, Target
from mirror_sync.errors import StoreUnavailable

_RENEW = 600.0  # seconds
_STALLED = 3600.0  # seconds without a renewal, after which a prune that comes to itself ends,
_DEAD = 2 * 3600.0  # and after which another one takes it for dead and clears its notice away
_DONE = 24 * 3600.0  # seconds that the notice of a prune that ended stays at least


def prune_notices(target: Target) -> frozenset[str]:
    """The keys of all notices: of prunes that go on, and of those that ended not long ago."""
    return frozenset(stat.key for stat in target.store.list(PRUNES))


class PruneNotice:
    """A prune's notice: active inside the block, done after it. Gives the store's clock on the way."""

    def __init__(self, site: Site, target: Target) -> None:
        self._site, self._store, self._grace = site, target.store, target.grace.total_seconds()
        self._prune = uuid.uuid4().hex[:12]
        self._put = 0.0
        self.now = 0.0
        """By the store's clock, when the notice was put: no older clock, and no other one, may decide about ages."""

    def __enter__(self) -> PruneNotice:
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
        silent = self._site.monotonic() - self._put
        if silent > _STALLED:
            raise StoreUnavailable(f"this prune stood still for {silent:.0f} seconds; start it again")
        if silent > _RENEW:
            self._write(active=True)

    def _write(self, *, active: bool) -> None:
        body = f'{{"at":"{self._site.now()}"}}\n'.encode()
        self._store.put(prune_key(self._prune, active=active), body, Sha256.of(body))
        self._put = self._site.monotonic()

    def _clear_old(self) -> None:
        """Of prunes that died, and of those that ended before any sync that still goes on can have begun."""
        done = self.now - max(_DONE, 2 * self._grace)
        for stat in list(self._store.list(PRUNES)):
            if stat.modified < (self.now - _DEAD if is_active_prune(stat.key) else done):
                self._store.delete([stat.key])
