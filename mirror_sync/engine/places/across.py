"""Compares a replica with its target by what lists and documents say, so that no file is read.

Of each repo: whether both have the same refs.json. Of all that the replica publishes: whether its documents prove
themselves, and whether each file that these name is there in the promised size; and, where both places list the MD5 of
what they hold, whether that is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from mirror_sync.domain.content.keys import BLOBS, blob_of
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.published import mirrored_repos
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import DocumentError, KeyMissing, MirrorError, StoreError
from mirror_sync.ports.store import Store, read_document, read_refs_json
from mirror_sync.scratch.spilled_map import SpilledMap

_SIZE = 8  # bytes of a size in the map of a list
_TOLD = 1000  # faults that are named
_MD5 = re.compile(r"[0-9a-f]{32}")  # of what was put in parts, a bucket tells something else


@dataclass(frozen=True, slots=True)
class AcrossFault:
    """Something of the replica that a reader would miss, or should not find; `path` is empty for a document."""

    repo: str
    path: str
    sha256: str
    problem: str


@dataclass(frozen=True, slots=True)
class AcrossReport:
    """What a comparison found. `behind` are repos that the replica has not as the target has them, which the next pass
    brings; `faulty` counts all faults, of which the first are in `faults`. `unreadable`: why it came to no end.
    """

    target: str
    replica: str
    repos: int = 0
    blobs: int = 0
    behind: tuple[str, ...] = ()
    faulty: int = 0
    faults: tuple[AcrossFault, ...] = ()
    unreadable: str = ""

    @property
    def ok(self) -> bool:
        """Whether both publish the same, whole."""
        return not (self.behind or self.faulty or self.unreadable)

    def encode(self) -> dict[str, Any]:
        """The document of `verify --across --json`."""
        return {"ok": self.ok, **asdict(self)}


def compare(context: RunContext, main: Target, replica: Target, name: str) -> AcrossReport:
    """Raises Interrupted; what else goes wrong with a place is in the report."""
    found = _Comparison(context, main.store, replica.store)
    unreadable = ""
    try:
        found.run()
    except StoreError as error:
        unreadable = str(error)
    told = tuple(found.behind), found.faulty, tuple(found.faults), unreadable
    return AcrossReport(main.name, name, found.repos, found.blobs, *told)


class _Comparison:
    def __init__(self, context: RunContext, main: Store, replica: Store) -> None:
        self._context, self._main, self._replica = context, main, replica
        self.repos = self.blobs = self.faulty = 0
        self.behind: list[str] = []
        self.faults: list[AcrossFault] = []

    def run(self) -> None:
        there = set(mirrored_repos(self._replica))
        published = set[Repo]()
        for repo in mirrored_repos(self._main):
            self._context.go_on()
            published.add(repo)
            if repo not in there or self._refs(self._main, repo) != self._refs(self._replica, repo):
                self.behind.append(str(repo))
        here, held = self._listed(self._main), self._listed(self._replica)
        for repo in sorted(there - published, key=str):
            self._tell(AcrossFault(str(repo), "", "", "the target publishes no such repo: somebody else wrote here"))
        walk = Walk(partial(read_document, self._replica), self._fault)
        for repo in sorted(there, key=str):
            self.repos += 1
            try:
                refs = Refs.decode(read_refs_json(self._replica, repo))
            except (KeyMissing, DocumentError) as error:
                self._tell(AcrossFault(str(repo), "", "", str(error)))
                continue
            for node in walk.repo(repo, refs):
                self._context.go_on()
                self.blobs += 1
                size = None if node.file is None else node.file.size
                problem = _problem(here.get(bytes.fromhex(node.digest)), held.get(bytes.fromhex(node.digest)), size)
                if problem and (node.read is None or node.read):
                    self._tell(AcrossFault(str(repo), node.place.path, node.digest, problem))

    def _refs(self, store: Store, repo: Repo) -> bytes | None:
        with suppress(KeyMissing):
            return read_refs_json(store, repo)
        return None

    def _listed(self, store: Store) -> SpilledMap:
        """Sizes, and MD5 where they are told, of all blobs, by their digests: some 60 bytes each, on disk."""
        found = SpilledMap()
        for digest, size, md5 in self._blobs(store):
            found.put(bytes.fromhex(digest), size.to_bytes(_SIZE, "big") + bytes.fromhex(md5))
        return found

    def _blobs(self, store: Store) -> Iterator[tuple[Sha256, int, str]]:
        for stat in store.list(BLOBS):
            self._context.go_on()
            digest = blob_of(stat.key)
            if digest is not None:
                told = stat.md5 or ""
                yield digest, stat.size, told if _MD5.fullmatch(told) else ""

    def _fault(self, place: Place, digest: Sha256, error: MirrorError) -> None:
        if isinstance(error, StoreError) and not isinstance(error, KeyMissing):
            raise error
        self._tell(AcrossFault(str(place.repo), place.path, digest, str(error)))

    def _tell(self, fault: AcrossFault) -> None:
        self.faulty += 1
        if len(self.faults) < _TOLD:
            self.faults.append(fault)


def _problem(here: bytes | None, held: bytes | None, size: int | None) -> str:
    """What is wrong with a blob of the replica, empty for nothing; `size` as its snapshot promises it, if it does."""
    if held is None:
        return "it is not there"
    actual = int.from_bytes(held[:_SIZE], "big")
    if size is not None and actual != size:
        return f"it has {actual:,} bytes in place of {size:,}"
    md5s = held[_SIZE:], (here or b"")[_SIZE:]
    if all(md5s) and md5s[0] != md5s[1]:
        return "its MD5 is another one than in the target"
    return ""
