"""Hashes the layers of an image, of what a store holds: each once, and none that a published snapshot has already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.doors.oci_images import LARGEST_LAYERS, LAYERS, ImageLayer, known_layers
from mirror_sync.domain.doors.tar_layers import Layer, LayerFile, cut_layers, pieces_of, size_of
from mirror_sync.errors import DocumentError, KeyMissing
from mirror_sync.ports.store import Store, read_document

_READ = 1024 * 1024  # bytes between two checks of the stop

GoOn = Callable[[], None]
"""Raises Interrupted where one has to stop."""


def image_layers(store: Store, files: Iterable[MirroredFile], base: Root | None, go_on: GoOn) -> list[ImageLayer]:
    """Those of a snapshot; what `base`, a published root, has of the same files is not read again.

    Raises StoreError, DocumentError where a blob holds other bytes, Interrupted.
    """
    known = _known(store, base)
    made = []
    for layer in cut_layers(files):
        digest = known.get(layer) or _hashed(store, layer, go_on)
        made.append(ImageLayer(digest, size_of(layer), layer))
    return made


def _known(store: Store, base: Root | None) -> Mapping[Layer, Sha256]:
    """None where they cannot be read: then they are made anew."""
    digest = None if base is None else base.attachments.get(LAYERS)
    if digest is None:
        return {}
    try:
        return {one.files: one.digest for one in known_layers(read_document(store, digest, LARGEST_LAYERS))}
    except (KeyMissing, DocumentError):
        return {}


def _hashed(store: Store, layer: Layer, go_on: GoOn) -> Sha256:
    made, buffer = hashlib.sha256(), memoryview(bytearray(_READ))
    for piece in pieces_of(layer):
        if isinstance(piece, bytes):
            made.update(piece)
            continue
        go_on()
        for chunk in _proved(store, piece, buffer, go_on):
            made.update(chunk)
    return Sha256(made.hexdigest())


def _proved(store: Store, file: LayerFile, buffer: memoryview, go_on: GoOn) -> Iterable[memoryview]:
    """The bytes of a file, each chunk until the next is asked for: no layer is made of what rotted meanwhile."""
    proof, left = hashlib.sha256(), file.size
    with store.read(blob_key(file.sha256)) as stream:
        while left and (count := stream.readinto(buffer[: min(left, len(buffer))])):
            go_on()
            proof.update(buffer[:count])
            left -= count
            yield buffer[:count]
    if left or proof.hexdigest() != file.sha256:
        raise DocumentError(f"blob {file.sha256} holds other bytes, of digest {proof.hexdigest()}")
