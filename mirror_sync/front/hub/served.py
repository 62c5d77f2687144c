"""What a front serves, as every protocol is given it: a store, what is published there, and how much of it is open."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mirror_sync.domain.access.rights import OPEN_TO_PUBLIC, AccessRules, kind_of
from mirror_sync.domain.content.keys import USUAL, Caching
from mirror_sync.domain.content.manifest import MAX_PATH_BYTES
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors.torrent_metainfo import TorrentOptions
from mirror_sync.domain.outcome.replicas import ReplicaFront
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Refusal
from mirror_sync.front.hub.desk_answer import Asks
from mirror_sync.front.hub.front_request import Fields, FrontRequest, decoded
from mirror_sync.front.hub.hub_lists import Lists
from mirror_sync.front.hub.listing import ReadShard, find
from mirror_sync.front.hub.snapshots import Snapshots
from mirror_sync.ports.store import MAX_TREE, Store


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot that a request leads to; `pinned` when the request named the commit itself."""

    commit: CommitId
    root: Root
    digest: Sha256
    pinned: bool

    @property
    def headers(self) -> dict[str, str]:
        """What every answer about a commit says: which one it is, and how long that may be kept."""
        caching = answers.SETTLED if self.pinned else answers.MOVING
        return {"X_Repo_Commit": self.commit, "Cache_Control": caching}

    def addressed(self, asked: FrontRequest, media_type: str, etag: str) -> dict[str, str]:
        """The headers of a document about the commit that holds our own address, as this client says it perhaps."""
        return {
            "Content-Type": media_type,
            "Cache-Control": answers.LINKED if asked.told else self.headers["Cache_Control"],
            "X-Repo-Commit": self.commit,
            "ETag": etag,
            **({"Vary": answers.SAID} if asked.told else {}),
        }


def files_at(asked: FrontRequest, fields: Fields) -> str:
    """Where all revisions of the repo that `kinds` and `id` name have their files, as clients reach us."""
    kind = kind_of(fields["kinds"]) or Kind.MODEL
    return f"{asked.origin}/{kind.place}{fields['id']}/resolve/"


class Elsewhere(Exception):
    """What was asked for is published under the id of another `repo`."""

    def __init__(self, repo: Repo) -> None:
        super().__init__(str(repo))
        self.repo = repo


class Unanswered(Exception):
    """An address that a route has and its protocol has not: answered as if no route had it."""


@dataclass(frozen=True, slots=True)
class Served:
    """A store with what is published in it. Safe for many threads.

    `site`: a catalogue is published, and addresses lead there. `by_digest`: contents are given by their digest alone.
    `access`: who may read what; `tokens`: readers may have some. `caching`: how long others may keep an answer.
    `doors`: those that are open beside the Hub's. `torrents`: how they are put together. `kernel_publishers`: whose
    kernels clients are told to trust. `desk`: who is asked about what is not here, None for nobody; `miss` as
    front.miss has it. `replicas`: those with fronts of their own, the best first.
    """

    store: Store
    snapshots: Snapshots
    lists: Lists
    site: bool = True
    by_digest: bool = False
    access: AccessRules = OPEN_TO_PUBLIC
    tokens: bool = False
    caching: Caching = USUAL
    doors: frozenset[str] = frozenset()
    kernel_publishers: frozenset[str] = frozenset()
    torrents: TorrentOptions = TorrentOptions()
    desk: Asks | None = None
    miss: str = "404"
    replicas: tuple[ReplicaFront, ...] = ()

    def open(self, fields: Fields) -> Opened:
        """The snapshot that `rev` of a repo leads to. Refusal, Elsewhere, StoreError, DocumentError."""
        revision = decoded(fields["rev"])
        refs = self.refs_of(fields)
        commit = refs.leads_to(revision)
        if commit is None:
            raise answers.revision_not_found()
        digest = refs.snapshots[commit]
        return Opened(commit, self.snapshots.root(digest), digest, pinned=revision == commit)

    def refs_of(self, fields: Fields) -> Refs:
        """What is published of the repo that `id`, with `kinds` or `place`, names. Raises what `open` does."""
        return self._found(fields, lambda refs: bool(refs.snapshots))

    def documents_of(self, fields: Fields) -> Refs:
        """The same, and also of a repo that has no snapshot, where there are documents of it as a whole."""
        return self._found(fields, lambda refs: bool(refs.snapshots or refs.attachments))

    def _found(self, fields: Fields, is_meant: Callable[[Refs], bool]) -> Refs:
        plural = fields.get("kinds") or fields["place"].rstrip("/") or Kind.MODEL.plural
        try:
            repo = Repo(Kind(plural.removesuffix("s")), fields["id"])
        except ValueError:
            raise answers.repo_not_found() from None
        refs = self.snapshots.refs(repo)
        if refs is not None:
            self.expect_untaken(repo, refs)
            if is_meant(refs):
                return refs
        other = self.snapshots.published_by_alias(repo)
        if other is not None:
            raise Elsewhere(other)
        raise answers.repo_not_found(repo)

    def expect_untaken(self, repo: Repo, refs: Refs) -> None:
        """Refusal of a repo whose refs say that it was taken down. StoreError, DocumentError."""
        if refs.tombstone is not None:
            raise _withdrawn(repo, Tombstone.decode(self.snapshots.document(refs.tombstone)))

    def meant(self, repo: Repo) -> Repo | None:
        """The repo that is published under the id of another one in other letters, or formerly; None for none."""
        refs = self.snapshots.refs(repo)
        if refs is not None and (refs.snapshots or refs.tombstone):
            return None
        return self.snapshots.published_by_alias(repo)

    def is_closed(self, repo: Repo) -> bool:
        """Whether the upstream gave what is published of a repo to some people only; not where jobs have opened it all.

        Of what is not published refs.json says it where it remembers why; else nobody knows: it is not. StoreError,
        DocumentError.
        """
        refs = None if self.access.all_opened else self.snapshots.refs(repo)
        return refs is not None and self.closes(refs)

    def closes(self, refs: Refs) -> bool:
        """The same by what refs say. StoreError, DocumentError."""
        if self.access.all_opened:
            return False
        if refs.tombstone is not None:
            return Tombstone.decode(self.snapshots.document(refs.tombstone)).closed
        return self.snapshots.is_closed(refs)

    def elsewhere(self, repo: Repo, opened: Opened) -> list[str]:
        """Where the files of a snapshot are, too: an address each, up to the path, of the replicas that have it."""
        held = (one for one in self.replicas if self.snapshots.is_held(one.name, repo, opened.digest))
        return [f"{one.files_of(repo)}{opened.commit}/" for one in held]

    def shards(self, root: Root) -> ReadShard:
        """What reads the listing of a snapshot."""
        return lambda number: self.snapshots.document(root.shards[number].digest, MAX_TREE)

    def entry(self, opened: Opened, path: str, kind: str) -> dict[str, Any]:
        """What the listing says of a path: `kind` is file or directory. Refusal for another, and for none."""
        known = len(path) <= MAX_PATH_BYTES  # no listing has a longer one
        found = find(self.shards(opened.root)(opened.root.shard_for(path)), path) if known else None
        entry: dict[str, Any] = {} if found is None else json.loads(found)
        if entry.get("type") != kind:
            raise answers.entry_not_found(opened.commit)
        return entry

    def expect_site(self) -> None:
        """Refusal where no catalogue is published."""
        if not self.site:
            raise Refusal(404, answers.NO_SITE)


def _withdrawn(repo: Repo, tombstone: Tombstone) -> Refusal:
    """As gated: the one refusal whose words most clients show. The header says that it is this mirror's own word."""
    return Refusal(403, f"{repo.id} was {tombstone.said}", "GatedRepo", X_Mirror_State="withdrawn")
