"""A commit as an image that is mounted: attachments of its root, a function of the snapshot and of its bytes alone.

    oci.image   an index, and for each architecture a manifest and a configuration, as texts by their digests
    oci.layers  a line for each layer: its digest, its size, and the files of which a front puts it together

No layer is stored: a front that is asked for one reads the files, and writes what stands around them in a tar archive
(tar_layers.py). The bytes of a model run nowhere: all architectures have the same layers. Sources: image-spec 1.1 of
OCI, config.md and manifest.md. JSON in ASCII, with sorted keys and without a time.
docs/design/decisions/0066-images-of-what-is-there.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mirror_sync.domain.bounds import text
from mirror_sync.domain.content.document_format import exactly, few, in_brief
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors.oci_documents import OCI_INDEX, OCI_MANIFEST, REVISION, descriptor, written
from mirror_sync.domain.doors.tar_layers import Layer, LayerFile, may_be_layered
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError

DOOR = "images"
IMAGE, LAYERS = "oci.image", "oci.layers"
SUFFIX = "-image"  # of the tag of a commit as an image
LARGEST_LAYERS = 8 << 20  # bytes of the document: what a front reads to give a layer
_CONFIG, _TAR = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"
_ARCHITECTURES = ("amd64", "arm64")
_MOST_LAYERS, _MOST_TEXTS = 110, 10  # of more layers no overlay is mounted


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """`digest` and `size` are of the tar archive, which is the layer as it is pulled."""

    digest: Sha256
    size: int
    files: Layer

    def encode(self) -> str:
        """As a line of `oci.layers`."""
        return written({"digest": self.digest, "files": [list(file) for file in self.files], "size": self.size}) + "\n"

    @classmethod
    def decode(cls, line: bytes) -> ImageLayer:
        """DocumentError for what is no such line."""
        try:
            known = exactly(json.loads(line), ("digest", "files", "size"))
            files = tuple(LayerFile(text(path), Sha256(sha), int(size)) for path, sha, size in known["files"])
            return cls(Sha256(known["digest"]), int(known["size"]), files)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DocumentError(f"not a layer of an image: {in_brief(error)}") from error


def image_documents(repo: Repo, commit: CommitId, layers: Sequence[ImageLayer]) -> dict[str, bytes]:
    """The attachments, by their names; none where there is no layer, or too much to say of them."""
    lines = "".join(layer.encode() for layer in layers).encode()
    if not layers or len(layers) > _MOST_LAYERS or len(lines) > LARGEST_LAYERS:
        return {}
    texts, manifests = dict[str, list[str]](), []
    for architecture in _ARCHITECTURES:
        config = written(
            {
                "architecture": architecture,
                "config": {"Labels": {"org.opencontainers.image.title": repo.id, REVISION: commit}},
                "os": "linux",
                "rootfs": {"diff_ids": [f"sha256:{layer.digest}" for layer in layers], "type": "layers"},
            }
        )
        manifest = written(
            {
                "annotations": {REVISION: commit},
                "config": _kept(texts, _CONFIG, config),
                "layers": [descriptor(_TAR, layer.digest, layer.size) for layer in layers],
                "mediaType": OCI_MANIFEST,
                "schemaVersion": 2,
            }
        )
        platform = {"architecture": architecture, "os": "linux"}
        manifests.append(_kept(texts, OCI_MANIFEST, manifest) | {"platform": platform})
    index = written({"manifests": manifests, "mediaType": OCI_INDEX, "schemaVersion": 2})
    named = str(_kept(texts, OCI_INDEX, index)["digest"]).partition(":")[2]
    return {IMAGE: written({"index": named, "texts": texts}).encode(), LAYERS: lines}


def image_fault(files: Sequence[MirroredFile]) -> str:
    """Why these files make no image, in words; empty where nothing is in the way of one."""
    if not files:
        return "it has no file, so that nothing could be mounted"
    odd = next((file.path for file in files if not may_be_layered(file.path)), None)
    if odd is not None:
        return f"{odd} has a part that begins with .wh., which in a layer deletes another file"
    return ""


def _kept(texts: dict[str, list[str]], media_type: str, body: str) -> dict[str, object]:
    digest = Sha256.of(body.encode())
    texts[digest] = [media_type, body]
    return descriptor(media_type, digest, len(body))


@dataclass(frozen=True, slots=True)
class ImageTexts:
    """The document `oci.image`: `texts` by digest, each with its media type; `index` is that of the first."""

    index: str
    texts: Mapping[str, tuple[str, str]]

    @classmethod
    def decode(cls, body: bytes) -> ImageTexts:
        """DocumentError for what is no such document."""
        try:
            known = exactly(json.loads(body), ("index", "texts"))
            few(known["texts"], _MOST_TEXTS)
            texts = {digest: (text(kind), text(said)) for digest, (kind, said) in known["texts"].items()}
            texts[known["index"]]  # must be there
            return cls(known["index"], texts)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not an image: {in_brief(error)}") from error


def layer_of(document: bytes, digest: Sha256) -> ImageLayer | None:
    """A layer of `oci.layers`, which is never parsed whole; None where there is no such one."""
    at = document.find(b'{"digest":"%s",' % digest.encode())
    if at < 0 or (at and document[at - 1 : at] != b"\n"):
        return None
    end = document.find(b"\n", at)
    return ImageLayer.decode(document[at : end if end >= 0 else len(document)])


def known_layers(document: bytes) -> Iterable[ImageLayer]:
    """All layers of `oci.layers`. DocumentError for what is no such document."""
    return [ImageLayer.decode(line) for line in document.splitlines()]
