"""What clients of OCI registries are given of a snapshot: attachments of its root, a function of the snapshot alone.

    oci.manifest  a ModelPack manifest: a layer for each file, which is the file's own blob
    oci.config    its configuration
    oci.more      the small documents of the same commit, as texts: a manifest and a configuration of each GGUF
                  quantization for Ollama, and as a ModelPack; manifests of what proves the commit, which refer to it

Sources: distribution-spec and image-spec 1.1 of OCI; model-spec 0.0.7 of the CNCF; for Ollama its server/download.go
and what its own registry answers. All are JSON in ASCII, with sorted keys and without a time: whoever makes them anew
makes the same bytes. docs/design/decisions/0058-a-registry-of-what-is-there.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mirror_sync.domain.bounds import text
from mirror_sync.domain.content.document_format import exactly, few, in_brief
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.doors.gguf_quants import GgufFacts, GgufQuant, default_of, projector_of, quants_of
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import DocumentError

MANIFEST, CONFIG, MORE = "oci.manifest", "oci.config", "oci.more"
LARGEST_MANIFEST = 4 * 1024 * 1024  # bytes: registries and clients take no larger one
MOST_FILES = 20_000  # of which a manifest would be larger, whatever their names
MOST_QUANTS = 1000

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_PACK, _PACK_CONFIG = "application/vnd.cncf.model.manifest.v1+json", "application/vnd.cncf.model.config.v1+json"
_OLLAMA = "application/vnd.ollama.image."
LAYER = r'"digest":"sha256:{digest}","mediaType":"[^"\\]+","size":([0-9]+)\}'  # as `written` has a descriptor
_EMPTY, _EMPTY_TYPE = "{}", "application/vnd.oci.empty.v1+json"
_PATH, _TITLE = "org.cncf.model.filepath", "org.opencontainers.image.title"
REVISION = "org.opencontainers.image.revision"

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}"
LATEST = "latest"  # what clients ask for who were told no tag

_DOCS = {*("md", "rst", "pdf", "png", "jpg", "jpeg", "gif", "svg", "webp", "html", "gitattributes", "gitignore")}
_CODE = {*("py", "ipynb", "sh", "js", "ts", "c", "cc", "cpp", "cu", "h", "go", "rs", "java")}
_SETTINGS = {
    *("json", "yaml", "yml", "toml", "txt", "cfg", "ini", "conf", "xml", "jinja", "model", "vocab", "tiktoken")
}
_DATA = {*("parquet", "csv", "tsv", "jsonl", "arrow", "zst")}
_PLAIN = re.compile(r"(?:license|licence|readme|notice|copying)\b.*", re.IGNORECASE)
_FORMATS = ("gguf", "safetensors", "onnx")  # the first that a repo has, is its format
_BESIDE = {"template": "template", "system": "system", "params": "params"}  # files of a repo, and layers of Ollama

# What proves a commit, by the attachment that comes first: its type, and with what it stands together.
_PROOFS = {
    "SHA256SUMS.sig": ("application/vnd.mirror-sync.sha256sums.v1", ("SHA256SUMS", "SHA256SUMS.sig")),
    "model.sig": ("application/vnd.dev.sigstore.bundle.v0.3+json", ("model.sig",)),
    "bom.cdx.json": ("application/vnd.cyclonedx+json", ("bom.cdx.json",)),
    "bom.spdx3.json": ("application/spdx+json", ("bom.spdx3.json",)),
}
_PROOF_TYPES = {"SHA256SUMS": "text/plain", "SHA256SUMS.sig": "application/x-ssh-signature"}
PROOFS = tuple(dict.fromkeys(name for _, names in _PROOFS.values() for name in names))
GIVEN = (MANIFEST, CONFIG, *PROOFS)
"""Attachments that a registry gives as blobs."""

Head = Callable[[MirroredFile], bytes]
"""The first bytes of a file, as many as gguf_quants.HEAD or all there are. What it raises is raised."""


@dataclass(frozen=True, slots=True)
class OciSubject:
    """A snapshot: `files` in any order, `proofs` the digest and the bytes of what proves it, by their attachments."""

    repo: Repo
    commit: CommitId
    files: Sequence[MirroredFile]
    proofs: Mapping[str, tuple[Sha256, int]] = field(default_factory=dict)


def oci_name(repo: Repo) -> str | None:
    """What clients of registries call a repo; None where they refuse such a name, before they ask."""
    name = f"{repo.kind.place}{repo.id.lower()}"
    return name if _NAME.fullmatch(name) else None


def oci_documents(subject: OciSubject, head: Head) -> dict[str, bytes]:
    """The attachments, by their names; none for a snapshot that no manifest can name: of too many files, or of no byte.

    Raises what `head` raises.
    """
    files = sorted((file for file in subject.files if file.size), key=lambda file: file.path)
    if not files or len(files) > MOST_FILES:
        return {}
    config = written(_config(subject, files))
    manifest = written(_pack(config, [_layer(subject.repo, file) for file in files], subject.commit))
    if len(manifest) > LARGEST_MANIFEST:
        return {}
    more = _More(subject)
    more.refer_to(manifest)
    for quant in quants_of(files)[:MOST_QUANTS]:
        more.offer(quant, files, GgufFacts.of(head(quant.files[0])))
    return {MANIFEST: manifest.encode(), CONFIG: config.encode(), MORE: more.encoded().encode()}


class _More:
    """Collects the small documents of a commit."""

    def __init__(self, subject: OciSubject) -> None:
        self._subject = subject
        self._texts: dict[str, list[str]] = {}
        self._quants: list[dict[str, Any]] = []
        self._known: list[GgufQuant] = []
        self._referrers: list[dict[str, Any]] = []

    def refer_to(self, manifest: str) -> None:
        """A manifest of each proof, which refers to that of the commit."""
        subject = descriptor(OCI_MANIFEST, Sha256.of(manifest.encode()), len(manifest))
        proofs = self._subject.proofs
        for first, (kind, names) in _PROOFS.items():
            if first not in proofs:
                continue
            layers = [
                descriptor(_PROOF_TYPES.get(name, kind), *proofs[name]) | {"annotations": {_TITLE: name}}
                for name in names
                if name in proofs
            ]
            body = written(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_MANIFEST,
                    "artifactType": kind,
                    "config": self._kept(_EMPTY_TYPE, _EMPTY),
                    "layers": layers,
                    "subject": subject,
                }
            )
            self._referrers.append(self._kept(OCI_MANIFEST, body) | {"artifactType": kind})

    def offer(self, quant: GgufQuant, files: Sequence[MirroredFile], facts: GgufFacts) -> None:
        """A quantization, for those who take one alone."""
        repo, whole = self._subject.repo, quant.files[0] if len(quant.files) == 1 else None
        config = self._kept(_PACK_CONFIG, written(_config(self._subject, quant.files, quant.name)))
        pack = _manifest_of(config, [_layer(repo, file) for file in quant.files], self._subject.commit)
        self._known.append(quant)
        self._quants.append(
            {
                "names": list(quant.names),
                "pack": self._kept(OCI_MANIFEST, written(pack))["digest"].partition(":")[2],
                "ollama": "" if whole is None else self._for_ollama(quant, whole, files, facts),
            }
        )

    def _for_ollama(
        self, quant: GgufQuant, model: MirroredFile, files: Sequence[MirroredFile], facts: GgufFacts
    ) -> str:
        """The digest of a manifest. Of several models Ollama takes the last: what is split has none."""
        beside = {_BESIDE[file.path]: file for file in files if file.path in _BESIDE}
        projector = projector_of(files, quant)
        parts = {"model": model, **({"projector": projector} if projector else {}), **dict(sorted(beside.items()))}
        family = facts.architecture or "unknown"
        config = written(
            {
                "model_format": "gguf",
                "model_family": family,
                "model_families": [family],
                "model_type": facts.size_label or "unknown",
                "file_type": quant.name or "unknown",
                "architecture": "amd64",
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{file.sha256}" for file in parts.values()]},
            }
        )
        manifest = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": self._kept(_DOCKER_CONFIG, config),
            "layers": [descriptor(_OLLAMA + kind, file.sha256, file.size) for kind, file in parts.items()],
        }
        return str(self._kept(DOCKER_MANIFEST, written(manifest))["digest"]).partition(":")[2]

    def _kept(self, media_type: str, body: str) -> dict[str, Any]:
        digest = Sha256.of(body.encode())
        self._texts[digest] = [media_type, body]
        return descriptor(media_type, digest, len(body))

    def encoded(self) -> str:
        """The document."""
        default = default_of(self._known)
        meant = None if default is None else self._known.index(default)
        return written({"quants": self._quants, "default": meant, "referrers": self._referrers, "texts": self._texts})


@dataclass(frozen=True, slots=True)
class OfferedQuant:
    """A quantization that may be asked for: the digests of its manifests; `ollama` is empty where there is none."""

    names: tuple[str, ...]
    pack: str
    ollama: str


@dataclass(frozen=True, slots=True)
class MoreDocuments:
    """The document `oci.more`: `texts` by digest, each with its media type."""

    quants: tuple[OfferedQuant, ...]
    default: OfferedQuant | None
    referrers: tuple[Mapping[str, Any], ...]
    texts: Mapping[str, tuple[str, str]]

    @classmethod
    def decode(cls, body: bytes) -> MoreDocuments:
        """DocumentError for what is no such document."""
        try:
            known = exactly(json.loads(body), ("quants", "default", "referrers", "texts"))
            quants = tuple(
                OfferedQuant(tuple(map(text, one["names"])), text(one["pack"]), text(one["ollama"]))
                for one in few(known["quants"], MOST_QUANTS)
            )
            return cls(
                quants,
                None if known["default"] is None else quants[int(known["default"])],
                tuple(known["referrers"]),
                {digest: (text(kind), text(said)) for digest, (kind, said) in known["texts"].items()},
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not a document of a registry: {in_brief(error)}") from error

    def quant(self, name: str) -> OfferedQuant | None:
        """The one of a name, in whatever letters; the one that is meant where nobody says for an empty one."""
        if not name:
            return self.default
        return next((one for one in self.quants if name.upper() in one.names), None)

    @property
    def names(self) -> list[str]:
        """By which quantizations are asked for, sorted."""
        return sorted({name for one in self.quants for name in one.names})


def _config(subject: OciSubject, files: Sequence[MirroredFile], quant: str = "") -> dict[str, Any]:
    """The configuration of a ModelPack. Of all of a snapshot it names the files of no byte: no layer can be empty."""
    empty = sorted(file.path for file in subject.files if not file.size)
    described = {} if quant or not empty else {"description": f"empty files: {json.dumps(empty)}"}
    return {
        "descriptor": {"name": subject.repo.id, "revision": subject.commit, **described},
        "config": {"format": _format(files), **({"quantization": quant} if quant else {})},
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{file.sha256}" for file in files]},
    }


def _pack(config: str, layers: Sequence[Mapping[str, Any]], commit: CommitId) -> dict[str, Any]:
    return _manifest_of(descriptor(_PACK_CONFIG, Sha256.of(config.encode()), len(config)), layers, commit)


def _manifest_of(config: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], commit: CommitId) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": _PACK,
        "config": config,
        "layers": layers,
        "annotations": {REVISION: commit},
    }


def descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _layer(repo: Repo, file: MirroredFile) -> dict[str, Any]:
    """oras names files by the title, all others by the path."""
    kind = f"application/vnd.cncf.model.{_kind(repo, file.path)}.v1.raw"
    return descriptor(kind, file.sha256, file.size) | {"annotations": {_PATH: file.path, _TITLE: file.path}}


def _kind(repo: Repo, path: str) -> str:
    name = path.rpartition("/")[2]
    suffix = _suffix(name)
    if suffix in _DOCS or _PLAIN.fullmatch(name):
        return "doc"
    if suffix in _CODE:
        return "code"
    if repo.kind in (Kind.SPACE, Kind.KERNEL):
        return "code"
    if repo.kind is Kind.DATASET or suffix in _DATA:
        return "dataset"
    return "weight.config" if suffix in _SETTINGS or name in _BESIDE else "weight"


def _format(files: Sequence[MirroredFile]) -> str:
    """gguf, else safetensors, else onnx, else what most files are."""
    counted = Counter(filter(None, (_suffix(file.path.rpartition("/")[2]) for file in files)))
    known = (one for one in _FORMATS if one in counted)
    return next(known, min(counted, key=lambda suffix: (-counted[suffix], suffix), default="unknown"))


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def written(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def layer_size(manifest: bytes, digest: Sha256) -> int | None:
    """The bytes of a layer of a manifest of ours; None where it has no such layer. It is never parsed whole."""
    found = re.search(LAYER.replace("{digest}", digest).encode(), manifest)
    return None if found is None else int(found[1])
