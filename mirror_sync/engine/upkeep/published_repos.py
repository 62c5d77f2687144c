"""Which repos a target publishes, as a prune has to know it: what is not among them is removed.

A refs.json that is there and is not read, or a list that does not have it, would make all that it names look like left
over. Nothing of ours ever removes one, so every doubt of them ends the prune of that target before anything goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mirror_sync.domain.content.keys import HUB, is_refs, refs_key, repo_of
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.beside_prune import announced_moves
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError, StoreUnavailable
from mirror_sync.ports.store import Store, read_refs_json


class PublishedRepos:
    """The repos of one target through one prune: listed again and again, and never fewer than before.

    `whole` is shown every list, and raises where it lacks what must be there.
    """

    def __init__(self, store: Store, whole: Callable[[Sequence[Repo]], None] = lambda listed: None) -> None:
        self._store, self._whole = store, whole
        self._doubt: Callable[[MirrorError], None] = _stop
        self._known: frozenset[Repo] = frozenset()

    def collect_errors(self, doubt: Callable[[MirrorError], None]) -> None:
        """From now on, nothing more being removed, what is wrong with a list is told to `doubt`, and no end of it."""
        self._doubt = doubt

    @property
    def is_empty(self) -> bool:
        """Whether no list that was made has a repo."""
        return not self._known

    def repos(self) -> list[Repo]:
        """Every repo of which the target publishes something, listed anew, in the order of keys.

        Raises StoreError, and what `whole` raises; StoreUnavailable where a repo of an earlier list is not in this
        one, DocumentError for a refs.json that is of no repo this program knows: a newer one may publish by it.
        """
        found: set[Repo] = set()
        for key in (stat.key for stat in self._store.list(HUB) if is_refs(stat.key)):
            repo = repo_of(key)
            if repo is None:
                self._doubt(_foreign(key))
            else:
                found.add(repo)
        listed = sorted(found, key=refs_key)
        try:
            self._whole(listed)
        except MirrorError as error:
            self._doubt(error)
        if lost := self._known - found:
            again = f"{min(map(refs_key, lost))} was listed before and is not any more; try again"
            self._doubt(StoreUnavailable(again))
        self._known = frozenset(found)
        return listed

    def moves(self) -> Iterator[tuple[Repo, Refs]]:
        """What refs.json objects are about to become by moves of names. Raises StoreError, DocumentError."""
        return announced_moves(self._store)

    def body(self, repo: Repo) -> bytes:
        """The bytes of a listed repo's refs.json. Raises StoreError; StoreUnavailable where it is not there,
        DocumentError where it is larger than any is.
        """
        try:
            return read_refs_json(self._store, repo)
        except KeyMissing as error:
            raise StoreUnavailable(f"{refs_key(repo)} is listed, and reading it finds no such key") from error

    def refs(self, repo: Repo) -> Refs:
        """What stands in a listed repo's refs.json. Raises what `body` does, and DocumentError."""
        return Refs.decode(self.body(repo))


def _foreign(key: str) -> DocumentError:
    return DocumentError(
        f"{key} is of no repo that this program knows, and what it names would be taken for left over; "
        "prune with the program that wrote it, or remove the key"
    )


def _stop(error: MirrorError) -> None:
    raise error
