"""A small mirrored bucket, made by the domain's own functions: dicts of path -> bytes become snapshots in a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha1
from itertools import count
from typing import Any

from mirror_sync.domain.catalogue import published_lists
from mirror_sync.domain.catalogue.page_data import BEGINS, ENDS, as_block, place_of
from mirror_sync.domain.catalogue.rows import RepoRow, cut_list
from mirror_sync.domain.content.alias import encode as encode_alias
from mirror_sync.domain.content.keys import alias_key, blob_key, refs_key, site_key
from mirror_sync.domain.content.manifest import LFS_POINTER, MirroredFile
from mirror_sync.domain.content.refs import Ref, Refs
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.content.snapshot import Document, Root, cut_shards
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.content.upstream import Commit
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.doors.gguf_quants import HEAD
from mirror_sync.domain.doors.oci_documents import PROOFS, OciSubject, oci_documents
from mirror_sync.domain.doors.oci_images import ImageLayer, image_documents
from mirror_sync.domain.doors.tar_layers import cut_layers, pieces_of
from mirror_sync.domain.doors.torrent_metainfo import FACTS, INFO, TorrentFacts, TorrentFiles, info_of, piece_length
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.ports.store import Store
from tests.domain.files import listing_of

LFS_FROM = 1000  # bytes; larger files have a SHA-256 as their ETag, as on the Hub
_numbers = count(1)

Files = Mapping[str, bytes]


def commit_id() -> CommitId:
    """A commit id that no other snapshot of this run has."""
    return CommitId(sha1(b"%d" % next(_numbers)).hexdigest())


def mirrored(path: str, body: bytes) -> MirroredFile:
    if len(body) < LFS_FROM:
        return MirroredFile(path, len(body), GitOid.of_blob(body), Sha256.of(body))
    kept = pointer(body)
    return MirroredFile(path, len(body), GitOid.of_blob(kept), Sha256.of(body), len(kept))


def pointer(body: bytes) -> bytes:
    """What git keeps of a file in LFS."""
    return LFS_POINTER.format(digest=Sha256.of(body), size=len(body)).encode()


def etag(body: bytes) -> str:
    """The ETag by which clients know a file."""
    return f'"{mirrored("any", body).promise}"'


def registered(repo: Repo, commit: CommitId, files: Files, attached: Mapping[str, bytes]) -> dict[str, bytes]:
    """The attachments by which clients of registries are answered."""
    proofs = {name: (Sha256.of(body), len(body)) for name, body in attached.items() if name in PROOFS}
    every = [mirrored(path, body) for path, body in files.items()]
    made = oci_documents(OciSubject(repo, commit, every, proofs), lambda file: files[file.path][:HEAD])
    return made | (imaged(repo, commit, files, every) if made else {})


def imaged(repo: Repo, commit: CommitId, files: Files, every: Iterable[MirroredFile]) -> dict[str, bytes]:
    """Those by which the same is an image."""
    layers = []
    for layer in cut_layers(every):
        body = b"".join(piece if isinstance(piece, bytes) else files[piece.path] for piece in pieces_of(layer))
        layers.append(ImageLayer(Sha256.of(body), len(body), layer))
    return image_documents(repo, commit, layers)


def torrent(commit: CommitId, files: Files) -> dict[str, bytes]:
    """The attachments by which a commit is a torrent."""
    named = TorrentFiles.of(mirrored(path, body) for path, body in files.items())
    if named.why:
        return {FACTS: TorrentFacts(why=named.why).encode()}
    whole, length = b"".join(files[file.path] for file in named.files), piece_length(named.size)
    hashes = b"".join(sha1(whole[at : at + length]).digest() for at in range(0, len(whole), length))
    info = info_of(commit, named.files, hashes)
    return {FACTS: TorrentFacts.of_info(info).encode(), INFO: info}


@dataclass
class Published:
    """A repo in a store; `publish` moves a ref onto a new snapshot."""

    store: Store
    repo: Repo
    refs: Refs = field(default_factory=Refs)

    @property
    def at(self) -> str:
        """Where its files are on a front."""
        return f"/{self.repo.kind.place}{self.repo.id}"

    @property
    def api(self) -> str:
        return f"/api/{self.repo.kind.plural}/{self.repo.id}"

    def publish(
        self,
        files: Files,
        branch: str | None = "main",
        commit: CommitId | None = None,
        told: Mapping[str, Mapping[str, Any]] | None = None,
        attached: Mapping[str, bytes] | None = None,
        described: Mapping[str, Any] | None = None,
        *,
        registry: bool = False,
    ) -> CommitId:
        """Blobs, documents from the leaves to the root, then refs.json; `told` is what a listing says otherwise,
        `described` what the info does. `registry`: with what clients of open doors need, as a sync makes it.
        """
        commit = commit or commit_id()
        if registry:
            attached = {
                **(attached or {}),
                **registered(self.repo, commit, files, attached or {}),
                **torrent(commit, files),
            }
            alias = encode_alias(self.repo)
            self.store.put(alias_key(Repo(self.repo.kind, self.repo.id.lower())), alias, Sha256.of(alias))
        for body in set(files.values()):
            self._put(body)
        attachments = {name: self._put(body) for name, body in (attached or {}).items()}
        root = self._put_documents(files, commit, told or {}, attachments, described or {})
        ref = Ref("branches", branch, f"refs/heads/{branch}", commit) if branch else None
        self.refs = self.refs.with_snapshot(commit, root, ref)
        self.write_refs(self.refs.encode())
        return commit

    def tag(self, name: str, commit: CommitId) -> None:
        self.name(f"refs/tags/{name}", commit)

    def name(self, full_name: str, commit: CommitId) -> None:
        """Give a published commit another name."""
        self.refs = self.refs.with_snapshot(commit, self.refs.snapshots[commit], Ref.of_full_name(full_name, commit))
        self.write_refs(self.refs.encode())

    def write_refs(self, body: bytes) -> None:
        self.store.put(refs_key(self.repo), body, Sha256.of(body))

    def root(self, commit: CommitId) -> Sha256:
        return self.refs.snapshots[commit]

    def attach(self, name: str, body: bytes) -> None:
        """Give the repo as a whole a document."""
        self.refs = replace(self.refs, attachments={**self.refs.attachments, name: self._put(body)})
        self.write_refs(self.refs.encode())

    def bury(self, tombstone: Tombstone) -> None:
        """Take all of it down."""
        self.refs = self.refs.with_tombstone(self._put(tombstone.encode()))
        self.write_refs(self.refs.encode())

    def _put_documents(
        self,
        files: Files,
        commit: CommitId,
        told: Mapping[str, Mapping[str, Any]],
        attachments: Mapping[str, Sha256],
        other: Mapping[str, Any],
    ) -> Sha256:
        last = Commit(commit, 'A title with $& and "quotes"', "2026-11-20T08:00:00.000Z", authors=("someone",))
        shards = []
        manifest = {path: mirrored(path, body) for path, body in files.items()}
        manifest |= {path: replace(manifest[path], **other) for path, other in told.items()}
        for shard, document in cut_shards(listing_of(manifest)):
            self._put(document.body)
            shards.append(shard)
        described = {
            "id": self.repo.id,
            "sha": commit,
            "lastModified": last.date,
            "private": False,
            "gated": False,
            "tags": [],
        }
        siblings = [{"rfilename": path} for path in sorted(files)]
        root = Root(
            repo=str(self.repo),
            commit=commit,
            last=last.as_last,
            info=self._put_json(described | dict(other) | {"siblings": siblings}),
            commits=self._put_json([last.encode()]),
            selection=Selection(),
            verdicts=(Verdict("license", Outcome.ALLOWED, "apache-2.0 is allowed"),),
            files=len(files),
            size=sum(map(len, files.values())),
            shards=tuple(shards),
            attachments=attachments,
        )
        return self._put(root.encode().body)

    def _put_json(self, value: object) -> Sha256:
        return self._put(Document.of_json(value).body)

    def _put(self, body: bytes) -> Sha256:
        digest = Sha256.of(body)
        self.store.put(blob_key(digest), body, digest)
        return digest


def model(store: Store, repo_id: str | None = None) -> Published:
    """A model that no other test has: fronts remember refs for a moment."""
    return Published(store, Repo(Kind.MODEL, repo_id or f"Acme/model-{next(_numbers)}"))


def dataset(store: Store) -> Published:
    return Published(store, Repo(Kind.DATASET, f"Acme/data.set_{next(_numbers)}"))


def put_parts(store: Store, found: Mapping[str, bytes], volume: str = "", words: bytes = b"") -> None:
    """Pages of the catalogue of which these documents are parts, and beside them nothing but `words`."""
    pages: dict[str, bytes] = {}
    for name, body in found.items():
        place = place_of(name)
        assert place is not None
        block, said = as_block(name, body)
        pages[place[0]] = pages.get(place[0], words) + f"\n{BEGINS.format(block)}{said}{ENDS}".encode()
    for page, whole in pages.items():
        store.put(site_key(f"{volume}{page}"), whole, Sha256.of(whole))


def publish_list(store: Store, repos: Sequence[Published]) -> bytes:
    """The catalogue's list of these alone; gives its index."""
    rows = [
        RepoRow(one.repo.kind, one.repo.id, RepoState.PUBLISHED, commit="a" * 40, item=f'{{"id":"{one.repo.id}"}}')
        for one in repos
    ]
    pages = list(cut_list(rows))
    for page in pages:
        put_parts(store, {published_lists.page_name(page.name): published_lists.encode_page(page.rows)})
    index = published_lists.encode_index(pages)
    store.put(site_key(published_lists.INDEX), index, Sha256.of(index))
    return index
