"""Which blobs of a target are named by anything that is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.keys import refs_key
from mirror_sync.domain.refs import Refs
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import Mapper, mirrored_repos
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError
from mirror_sync.ports import MAX_DOCUMENT, Store, read_all, read_document

Expired = Mapping[Repo, tuple[CommitId, ...]]


class Marks:
    """The digests that are named, in a set of 32 bytes each; nothing is ever unmarked.

    `without` leaves out snapshots that are about to go. `beat` is called for every repo, and may raise Interrupted.
    `whole` is shown every list of repos that is followed, and raises where one lacks what must be there.
    """

    def __init__(
        self,
        store: Store,
        mapper: Mapper,
        beat: Callable[[], None],
        whole: Callable[[Sequence[Repo]], None] = lambda listed: None,
        without: Expired | None = None,
    ) -> None:
        self._store, self._beat, self._whole, self._without = store, beat, whole, without or {}
        self._walk = Walk(partial(read_document, store), _stop, mapper)
        self._marked: dict[Repo, Sha256] = {}  # by the digest of the refs.json that was followed

    def __contains__(self, digest: Sha256) -> bool:
        return digest in self._walk

    def refresh(self) -> None:
        """Mark all that refs.json objects name now and did not name at the last refresh.

        Raises StoreError, and what `whole` raises; KeyMissing and DocumentError where a snapshot cannot be followed to
        its leaves.
        """
        listed = list(mirrored_repos(self._store))
        self._whole(listed)
        for repo in listed:
            self._beat()
            while not self._follow(repo):
                pass

    def _follow(self, repo: Repo) -> bool:
        """Whether it was followed; false when refs.json changed under the walk."""
        body = self._body(repo)
        digest = Sha256.of(body)
        if self._marked.get(repo) == digest:
            return True
        refs = Refs.decode(body) if body else Refs()
        try:
            for _ in self._walk.repo(repo, refs.without(self._without.get(repo, ()))):
                pass
        except (KeyMissing, DocumentError):
            if self._body(repo) == body:
                raise
            return False
        self._marked[repo] = digest
        return True

    def _body(self, repo: Repo) -> bytes:
        try:
            return read_all(self._store, refs_key(repo), MAX_DOCUMENT)
        except KeyMissing:
            return b""


def _stop(_place: Place, _digest: Sha256, error: MirrorError) -> None:
    raise error
