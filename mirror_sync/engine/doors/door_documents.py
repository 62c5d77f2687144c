"""The attachments of a root by which clients of other doors than the Hub's are answered, made of what a store holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Attachment, Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors import oci_images, torrent_metainfo
from mirror_sync.domain.doors.gguf_quants import HEAD
from mirror_sync.domain.doors.oci_documents import MOST_FILES, PROOFS, OciSubject, oci_documents
from mirror_sync.domain.doors.oci_images import IMAGE, image_documents
from mirror_sync.domain.doors.torrent_metainfo import FACTS, TorrentFiles
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.doors.image_layers import GoOn, image_layers
from mirror_sync.engine.doors.torrent_pieces import torrent_documents
from mirror_sync.engine.inspection.blob_content import BlobContent
from mirror_sync.engine.stages import Change
from mirror_sync.errors import DocumentError, KeyMissing
from mirror_sync.ports.store import Store


class DoorDocuments:
    """For the doors that are open. Safe for many threads; raises StoreError, DocumentError, and what `go_on` does."""

    def __init__(self, doors: Collection[str], go_on: GoOn = lambda: None) -> None:
        self.open, self._go_on = frozenset(doors), go_on

    def attach(self, change: Change) -> Change:
        """The last of the attach stages: it tells of what those before it have attached."""
        root = change.written
        assert root is not None  # noqa: S101  for the type checker: `document` comes before
        proofs = {name: (one.digest, one.size) for name, one in change.attachments.items() if name in PROOFS}
        files = [*change.files_of()] if change.files <= MOST_FILES else []
        made = self._made(change.store, root, files, proofs)
        base = None if change.relies_on is None else change.relies_on.root
        if made and oci_images.DOOR in self.open:
            made |= self._image(change.store, root, files, base)
        if torrent_metainfo.DOOR in self.open:
            named = TorrentFiles.of(change.files_of())
            made |= torrent_documents(change.store, root.commit, named, base, self._go_on)
        for name, body in made.items():
            change = change.attached(name, body)
        return change

    def stale(
        self, store: Store, root: Root, files: Sequence[MirroredFile], newer: Mapping[str, Attachment]
    ) -> dict[str, bytes]:
        """Those that a published root does not name as they would be made now, with `newer` among its attachments."""
        proofs = {
            name: (digest, _size(store, digest))
            for name, digest in root.attachments.items()
            if name in PROOFS and name not in newer
        }
        proofs |= {name: (one.digest, one.size) for name, one in newer.items() if name in PROOFS}
        made = self._made(store, root, files, proofs)
        # what is there of images and torrents is of these files
        if made and oci_images.DOOR in self.open and IMAGE not in root.attachments:
            made |= self._image(store, root, files, None)
        if torrent_metainfo.DOOR in self.open and FACTS not in root.attachments:
            made |= torrent_documents(store, root.commit, TorrentFiles.of(files), None, self._go_on)
        return {name: body for name, body in made.items() if root.attachments.get(name) != Sha256.of(body)}

    def _made(
        self, store: Store, root: Root, files: Sequence[MirroredFile], proofs: Mapping[str, tuple[Sha256, int]]
    ) -> dict[str, bytes]:
        if "oci" not in self.open:
            return {}
        try:
            repo = Repo.parse(root.repo)
        except ValueError as error:
            raise DocumentError(f"a root of no repo: {error}") from None
        return oci_documents(OciSubject(repo, root.commit, files, proofs), partial(_head, store))

    def _image(self, store: Store, root: Root, files: Sequence[MirroredFile], base: Root | None) -> dict[str, bytes]:
        layers = image_layers(store, files, base, self._go_on)
        return image_documents(Repo.parse(root.repo), root.commit, layers)


def _head(store: Store, file: MirroredFile) -> bytes:
    return BlobContent(store, file.sha256, file.size).read(0, min(HEAD, file.size))


def _size(store: Store, digest: Sha256) -> int:
    stat = store.stat(blob_key(digest))
    if stat is None:
        raise KeyMissing(blob_key(digest))
    return stat.size
