"""A bill of materials of a snapshot: CycloneDX 1.6, an ML-BOM, as JSON.

Source: https://cyclonedx.org/docs/1.6/json. Nothing in it depends on when or where it was made: its time is that of the
commit, its serial number comes of the repo, the commit and the digests of all files. So it is the same, byte for byte,
whoever makes it of the same snapshot.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.signing.declared import DeclaredCard
from mirror_sync.signing.long_json import Items, json_pieces
from mirror_sync.signing.sums import sum_lines

BOM = "bom.cdx.json"
_TYPES = {
    Kind.MODEL: "machine-learning-model",
    Kind.DATASET: "data",
    Kind.SPACE: "application",
    Kind.KERNEL: "library",
}
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/mirror-sync")


def cyclonedx(repo: Repo, root: Root, files: Iterable[MirroredFile], info: Mapping[str, Any]) -> Iterator[bytes]:
    """The document, by pieces. `files` in the order of their paths, as often as they are asked for; `info` the Hub's
    words about the repo, believed in nothing.
    """
    listed = hashlib.sha256()
    for line in sum_lines(files):
        listed.update(line)
    subject = DeclaredCard(repo, info)
    made = moment(root.last.get("date"))
    metadata: dict[str, Any] = {} if made is None else {"timestamp": iso_utc(made)}
    metadata |= {
        "tools": {"components": [{"type": "application", "name": "mirror-sync"}]},
        "component": _subject(subject, root, files, listed.hexdigest()),
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMES, f'{repo}@{root.commit} {listed.hexdigest()}')}",
        "version": 1,
        "metadata": metadata,
        "components": [_dataset(name) for name in subject.datasets],
    }
    return json_pieces(document, ensure_ascii=False)


def _subject(card: DeclaredCard, root: Root, files: Iterable[MirroredFile], listed: str) -> dict[str, Any]:
    repo = card.repo
    is_model = repo.kind is Kind.MODEL
    found: dict[str, Any] = {
        "type": _TYPES[repo.kind],
        "bom-ref": f"{repo}@{root.commit}",
        **_named(repo.id),
        "version": root.commit,
        "licenses": [{"license": one | {"acknowledgement": "declared"}} for one in card.licenses],
        "externalReferences": [{"type": "distribution", "url": f"{card.page}/tree/{root.commit}"}],
        "properties": [{"name": "mirror-sync:SHA256SUMS", "value": listed}],
        "components": [] if next(iter(files), None) is None else [Items(lambda: map(_file, files))],
    }
    if is_model:
        found["purl"] = f"pkg:huggingface/{repo.id}@{root.commit}"
        found["modelCard"] = {"modelParameters": _parameters(card)}
    if card.base_models:
        found["pedigree"] = {"ancestors": [_ancestor(name) for name in card.base_models]}
    return {key: value for key, value in found.items() if value != []}


def _parameters(card: DeclaredCard) -> dict[str, Any]:
    task = {"task": card.task} if card.task else {}
    return task | ({"datasets": [{"ref": _dataset_ref(name)} for name in card.datasets]} if card.datasets else {})


def _ancestor(name: str) -> dict[str, Any]:
    try:
        Repo(Kind.MODEL, name)
    except ValueError:  # a path on somebody's disk, or prose
        return {"type": "machine-learning-model", "name": name}
    return {"type": "machine-learning-model", **_named(name), "purl": f"pkg:huggingface/{name}"}


def _dataset(name: str) -> dict[str, Any]:
    return {"type": "data", "bom-ref": _dataset_ref(name), "name": name, "data": [{"type": "dataset", "name": name}]}


def _dataset_ref(name: str) -> str:
    return f"dataset:{name}"


def _named(identity: str) -> dict[str, str]:
    owner, _, name = identity.rpartition("/")
    return ({"group": owner} if owner else {}) | {"name": name}


def _file(file: MirroredFile) -> dict[str, Any]:
    return {"type": "file", "name": file.path, "hashes": [{"alg": "SHA-256", "content": file.sha256}]}
