"""What a target publishes of many repos, checked without reading again what is sure to be as it was.

That view is enough to see that nothing is to be done. Whoever publishes reads refs.json anew, under the repo's lock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from itertools import islice, takewhile

from mirror_sync.domain.access.rights import closed_by
from mirror_sync.domain.attested import UPSTREAM_ROOT
from mirror_sync.domain.content.assurance import Assurance, assured
from mirror_sync.domain.content.keys import HUB, refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.engine.context import Target
from mirror_sync.engine.published import read_description, read_root
from mirror_sync.errors import DocumentError, KeyMissing, NewerFormat, StoreError
from mirror_sync.ports.store import read_refs_json

_CROWD = 16  # repos from which on a listing may be worth its call
_PAGE = 1000  # keys that a listing gives for one call
_KEYS = 4  # to list for each repo that is wanted, before reading each is cheaper
_BELIEVED = timedelta(days=1)  # that a root, which was read once, is still there and whole


@dataclass(frozen=True, slots=True)
class RootFacts:
    """What a check needs to know of a root document, and what is told of it; `read` is when it was read."""

    selection: Selection
    files: int
    size: int  # bytes of all files
    read: datetime
    assurance: Assurance = Assurance()
    provenance: str = ""  # the digest of the root of another mirror, from which it is

    def encode(self) -> bytes:
        selection = [self.selection.include, self.selection.exclude]
        more = astuple(self.assurance), self.provenance
        return json.dumps([selection, self.files, self.size, self.read.isoformat(), *more]).encode()

    def is_from(self, provenance: str | None) -> bool:
        """Whether it has what another mirror says of it now; of what comes from no mirror there is nothing to have."""
        return provenance is None or provenance == self.provenance

    @classmethod
    def decode(cls, body: bytes) -> RootFacts:
        """ValueError or TypeError for anything else."""
        (include, exclude), files, size, read, *more = json.loads(body)  # programs before wrote no more
        selection = Selection(tuple(include), tuple(exclude))
        assurance = Assurance(*more[0]) if more else Assurance()
        assurance = replace(assurance, code_paths=tuple(assurance.code_paths))
        provenance = str(more[1]) if len(more) > 1 else ""
        return cls(selection, int(files), int(size), datetime.fromisoformat(read), assurance, provenance)


class PublishedView:
    """Reads refs and roots of one target for one run. Safe for many threads once `over` has returned."""

    def __init__(self, target: Target, now: Callable[[], datetime]) -> None:
        self._target, self._now = target, now
        self._md5: dict[str, str] = {}

    def over(self, repos: Collection[Repo]) -> None:
        """List what is published of so many repos, where the store tells by a listing what each refs.json holds."""
        for kind in Kind:
            wanted = {refs_key(repo) for repo in repos if repo.kind is kind}
            if len(wanted) >= _CROWD:
                with suppress(StoreError):  # whoever reads a refs.json is told
                    self._list(f"{HUB}{kind.plural}/", wanted)

    def refs(self, repo: Repo) -> Refs:
        """As refs.json is, or was when it was listed. Raises StoreError, DocumentError."""
        key = refs_key(repo)
        md5 = self._md5.get(key)
        body = None if md5 is None else self._recall(key, md5)
        if body is None:
            try:
                body = read_refs_json(self._target.store, repo)
            except KeyMissing:
                return Refs()
            if md5 == _md5(body):  # else it has changed since the listing
                self._remember(key, md5, body)
        return Refs.decode(body)

    def root(self, repo: Repo, revision: str, digest: Sha256) -> RootFacts | None:
        """None when the root is not there, or damaged; NewerFormat, which is neither.

        One that was read within a day is believed to be as it was. One that was read in times to come is not: a clock
        was ahead, and would be believed for as long.
        """
        name, assurance = _root_name(repo, revision), Assurance()
        with suppress(ValueError, TypeError):
            known = RootFacts.decode(self._recall(name, digest) or b"")
            assurance = known.assurance
            if timedelta(0) <= self._now() - known.read < _believed(digest):
                return known
        try:
            root = read_root(self._target.store, digest)
        except NewerFormat:
            raise
        except (KeyMissing, DocumentError):
            return None
        shown = assured(root.attachments, assurance.scanned_at, None)
        assurance = replace(assurance, signed=shown.signed, scanned=shown.scanned, scanned_at=shown.scanned_at)
        provenance = root.attachments.get(UPSTREAM_ROOT, "")
        facts = RootFacts(root.selection, root.files, root.size, self._now(), assurance, provenance)
        self._remember(name, digest, facts.encode())
        return facts

    def is_closed(self, repo: Repo, refs: Refs) -> bool:
        """Whether what is published says that its upstream closed it; not where nobody can read that. StoreError."""
        name, version = f"{refs_key(repo)}#closed", Sha256.of("".join(refs.telling).encode())
        known = self._recall(name, version)
        if known is None:
            known = b"closed" if any(map(self._closes, refs.telling)) else b"open"
            self._remember(name, version, known)
        return known == b"closed"

    def _closes(self, root: Sha256) -> bool:
        try:
            return closed_by(read_description(self._target.store, read_root(self._target.store, root).info))
        except (KeyMissing, DocumentError):
            return False

    def learn(self, repo: Repo, revision: str, refs: Refs, facts: RootFacts) -> None:
        """Remember what was published a moment ago: the next run need not read it."""
        body = refs.encode()
        self._remember(refs_key(repo), _md5(body), body)
        digest = refs.root_of(revision)
        if digest is not None:
            self._remember(_root_name(repo, revision), digest, facts.encode())

    def _list(self, prefix: str, wanted: Collection[str]) -> None:
        listed = islice(self._target.store.list(prefix), _PAGE + _KEYS * len(wanted))
        for stat in takewhile(lambda stat: stat.md5 is not None, listed):
            if stat.key in wanted and stat.md5 is not None:
                self._md5[stat.key] = stat.md5

    def _recall(self, name: str, version: str) -> bytes | None:
        with suppress(StoreError):
            return self._target.read_cache.recall(name, version)
        return None

    def _remember(self, name: str, version: str, body: bytes) -> None:
        with suppress(StoreError):
            self._target.read_cache.remember(name, version, body)


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _root_name(repo: Repo, revision: str) -> str:
    return f"{refs_key(repo)}@{revision}"


def _believed(digest: Sha256) -> timedelta:
    """Between half of it and all: roots that were read at once are not all read again at once."""
    return _BELIEVED * (1 + int(digest[:2], 16) / 0x100) / 2
