"""Which blobs of a target are named by anything that is published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import Mapper
from mirror_sync.engine.upkeep.published_repos import PublishedRepos
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError
from mirror_sync.ports.store import Store, read_document

AT_ONCE = 16  # refs.json objects that are read, and held in memory, between two keep-alives

Expired = Mapping[Repo, tuple[CommitId, ...]]
Item = TypeVar("Item")


class Marks:
    """The digests that are named, in a set of 32 bytes each; nothing is ever unmarked.

    `without` leaves out snapshots that are about to go. `keep_alive` is called again and again, by the thread that
    refreshes, and may raise Interrupted.
    """

    def __init__(
        self,
        store: Store,
        published: PublishedRepos,
        mapper: Mapper,
        keep_alive: Callable[[], None],
        without: Expired | None = None,
    ) -> None:
        self._published, self._mapper, self._keep_alive, self._without = published, mapper, keep_alive, without or {}
        self._walk = Walk(partial(read_document, store), _stop, mapper)
        self._marked: dict[Repo, Sha256] = {}  # by the digest of the refs.json that was followed

    def __contains__(self, digest: Sha256) -> bool:
        return digest in self._walk

    def collect_errors(self, doubt: Callable[[MirrorError], None]) -> None:
        """From now on nothing cuts a refresh short, nor what is wrong with a list of repos: that is told to `doubt`."""
        self._published.collect_errors(doubt)
        self._keep_alive = _go_on

    def refresh(self) -> None:
        """Mark all that refs.json objects name now, or are about to, and did not name at the last refresh.

        Raises StoreError; KeyMissing and DocumentError where a snapshot cannot be followed to its leaves, and what
        `PublishedRepos.repos` raises.
        """
        # moves first: what is none any more stands in the refs.json already
        for repo, refs in self._published.moves():
            self._follow_move(repo, refs)
        for repos in batches(self._published.repos(), AT_ONCE):
            self._keep_alive()
            for repo, body in zip(repos, self._mapper(self._published.body, repos), strict=True):
                self._follow(repo, body)

    def _follow_move(self, repo: Repo, refs: Refs) -> None:
        """Each snapshot as far as it goes: what is torn already could not be kept, and nobody is led there by it."""
        apart = (Refs(snapshots={commit: root}) for commit, root in refs.snapshots.items())
        for one in (replace(refs, snapshots={}), *apart):
            with suppress(KeyMissing, DocumentError):
                for _ in self._walk.repo(repo, one):
                    self._keep_alive()

    def _follow(self, repo: Repo, body: bytes) -> None:
        while self._marked.get(repo) != (digest := Sha256.of(body)):
            try:
                for _ in self._walk.repo(repo, Refs.decode(body).without(self._without.get(repo, ()))):
                    self._keep_alive()
            except (KeyMissing, DocumentError):
                self._keep_alive()
                body, before = self._published.body(repo), body
                if body == before:
                    raise
                continue  # refs.json changed under the walk
            self._marked[repo] = digest


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The same items in the same order, so many at a time."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _stop(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    raise error


def _go_on() -> None:
    pass
