"""The lists of digests that are given to nobody: `trust/withdrawn/<2 hex>`, beside take-downs alone.

A take-down writes them, and clears them at its end. Where it has died before that, a digest would be given to nobody
also where another repo comes to name it: so who publishes takes off what it names, and a prune takes off what is named,
and what is not there any more. See docs/design/decisions/0042-taken-down.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from mirror_sync.domain.content.keys import WITHDRAWN, withdrawn_key
from mirror_sync.domain.content.tombstone import decode_withdrawn, encode_withdrawn
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import KeyMissing
from mirror_sync.ports.store import MAX_DOCUMENT, Store, read_all


def withdraw_digests(store: Store, digests: Iterable[Sha256]) -> None:
    """From now on they are given to nobody, by no address. StoreError."""
    for key, mine in _by_key(digests).items():
        listed = _listed(store, key)
        if not mine <= listed:
            _put(store, key, listed | mine)


def release_digests(store: Store, digests: Iterable[Sha256]) -> None:
    """From now on they are given again, where there is something to give. StoreError."""
    for key, mine in _by_key(digests).items():
        _keep(store, key, _not_in(mine))


def release_named(store: Store, named: Iterable[Sha256]) -> None:
    """The same for what is published; one list where no take-down has left anything, however much is `named`."""
    keys = {stat.key for stat in store.list(WITHDRAWN)}
    if keys:
        release_digests(store, (digest for digest in named if withdrawn_key(digest) in keys))


def keep_withdrawn(store: Store, wanted: Callable[[Sha256], bool]) -> None:
    """Keep those on the lists of which this is true. StoreError."""
    for key in [stat.key for stat in store.list(WITHDRAWN)]:
        _keep(store, key, wanted)


def _not_in(digests: set[Sha256]) -> Callable[[Sha256], bool]:
    return lambda digest: digest not in digests


def _keep(store: Store, key: str, wanted: Callable[[Sha256], bool]) -> None:
    listed = _listed(store, key)
    left = frozenset(filter(wanted, listed))
    if listed and not left:
        store.delete([key])
    elif left != listed:
        _put(store, key, left)


def _put(store: Store, key: str, digests: frozenset[Sha256]) -> None:
    body = encode_withdrawn(digests)
    store.put(key, body, Sha256.of(body))


def _listed(store: Store, key: str) -> frozenset[Sha256]:
    try:
        return decode_withdrawn(read_all(store, key, MAX_DOCUMENT))
    except KeyMissing:
        return frozenset()


def _by_key(digests: Iterable[Sha256]) -> dict[str, set[Sha256]]:
    found = defaultdict[str, set[Sha256]](set)
    for digest in digests:
        found[withdrawn_key(digest)].add(digest)
    return found
