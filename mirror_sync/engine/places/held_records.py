"""What a replica with a front of its own is known to have, told in the target: readers of that are led to both.

What it says is never more than what is there: a record is written after a repo has been copied, and shortened before
anything of it goes. Where nobody can tell what the replica has, there is no record. See decision 79.
"""

from __future__ import annotations

from mirror_sync.domain.content.keys import REPLICAS, replica_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.replicas import encode_held
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.store import Store

_STATE = "held"  # a name in the memory, of how many repos there are records
_SOME, _ALL = b"some", b"all"


class HeldRecords:
    """Raises StoreError. Not `told`: nobody is led to the replica, and there are no records."""

    def __init__(self, main: Store, memory: ReadCache, replica: str, *, told: bool) -> None:
        self._main, self._memory, self._replica, self._told = main, memory, replica, told

    @property
    def is_due(self) -> bool:
        """Whether records are wanted of what was copied before anybody wanted them, or those that are there are not."""
        return self._memory.recall(_STATE, self._replica) != _ALL if self._told else self._are_left

    @property
    def _are_left(self) -> bool:
        return bool(self._memory.recall(_STATE, self._replica))

    def clear(self) -> None:
        """Nobody knows what the replica has, or nobody wants to."""
        if known := [stat.key for stat in self._main.list(f"{REPLICAS}{self._replica}/")]:
            self._main.delete(known)
        if self._told or self._are_left:
            self._memory.remember(_STATE, self._replica, _SOME if self._told else b"")

    def begin(self) -> None:
        """From now on there may be records."""
        self._memory.remember(_STATE, self._replica, _SOME)

    def completed(self) -> None:
        """All repos were gone through."""
        if self._told:
            self._memory.remember(_STATE, self._replica, _ALL)

    def hold(self, repo: Repo, refs: Refs) -> None:
        """All that refs name is there."""
        roots = frozenset(refs.snapshots.values())
        if self._told and roots:
            self._put(repo, roots)
        elif self._told:
            self.forget(repo)

    def keep_only(self, repo: Repo, old: Refs, new: Refs) -> None:
        """What `old` names and `new` does not is about to go."""
        before = frozenset(old.snapshots.values())
        left = before & frozenset(new.snapshots.values())
        if self._told and left != before:
            self._put(repo, left)

    def forget(self, repo: Repo) -> None:
        """All of it is about to go."""
        if self._told:
            self._main.delete([replica_key(self._replica, repo)])

    def _put(self, repo: Repo, roots: frozenset[Sha256]) -> None:
        body = encode_held(roots)
        self._main.put(replica_key(self._replica, repo), body, Sha256.of(body))
