"""A bill of materials of a snapshot: SPDX 3.0.1 as JSON-LD, by the AI profile for a model, by Dataset for a dataset.

Source: https://spdx.github.io/spdx-spec/v3.0.1. Nothing in it depends on when or where it was made: its time is that of
the commit, its addresses come of the repo, the commit and the digests of all files. So it is the same, byte for byte,
whoever makes it of the same snapshot.

Of datasets and base models the card gives names alone. So a dataset is there with its type not told, and a base model
as a plain package: the profile that is claimed is kept by what the document is about. `AND` stands between several
licences: a card does not say that one of them is enough.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.signing.declared import HUB, DeclaredCard
from mirror_sync.signing.long_json import Items, json_pieces
from mirror_sync.signing.sums import sum_lines

SPDX3_BOM = "bom.spdx3.json"
_CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "https://spdx.org/spdxdocs/mirror-sync")
_PROFILES = {Kind.MODEL: ["ai"], Kind.DATASET: ["dataset"]}
_PACKAGES = {Kind.MODEL: "ai_AIPackage", Kind.DATASET: "dataset_DatasetPackage"}
_PURPOSES = {Kind.MODEL: "model", Kind.DATASET: "data", Kind.SPACE: "application", Kind.KERNEL: "library"}
_MADE = "_:CreationInfo0"
_NO_LICENCE = "expandedlicensing_NoAssertionLicense"
_NO_REFERENCE = re.compile(r"[^A-Za-z0-9.-]+")
_NO_DATE = "1970-01-01T00:00:00Z"  # a document must have one

Element = dict[str, Any]


def spdx3(repo: Repo, root: Root, files: Iterable[MirroredFile], info: Mapping[str, Any]) -> Iterator[bytes]:
    """The document, by pieces. `files` in the order of their paths, as often as they are asked for; `info` the Hub's
    words about the repo, believed in nothing.
    """
    listed, count = hashlib.sha256(), 0
    for line in sum_lines(files):
        listed.update(line)
        count += 1
    place = f"https://spdx.org/spdxdocs/{uuid.uuid5(_NAMES, f'{repo}@{root.commit} {listed.hexdigest()}')}"
    elements = _Elements(place)
    subject = elements.package(DeclaredCard(repo, info), root, files, listed.hexdigest())
    elements.files_of(subject, files, count)
    made = moment(root.last.get("date"))
    creation = {
        "type": "CreationInfo",
        "@id": _MADE,
        "specVersion": "3.0.1",
        "created": _NO_DATE if made is None else iso_utc(made),
        "createdBy": [elements.add("SoftwareAgent", "tool", name="mirror-sync")],
        **({"comment": "when the commit was made is not known"} if made is None else {}),
    }
    inside = [*elements.names]
    bom = elements.add(
        "software_Sbom", "bom", rootElement=[subject], element=inside, software_sbomType=["analyzed"], name=str(repo)
    )
    profile = [] if made is None else _PROFILES.get(repo.kind, [])  # each asks for a date
    kept = ["core", "software", "simpleLicensing", *profile]
    elements.add("SpdxDocument", "document", rootElement=[bom], element=[*inside, bom], profileConformance=kept)
    document = {"@context": _CONTEXT, "@graph": [creation, *elements.graph]}
    return json_pieces(document, ensure_ascii=False)


class _Elements:
    """The elements of one document, each named below its address."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.graph: list[Element | Items] = []
        self.names: list[str | Items] = []  # their addresses

    def add(self, kind: str, place: str, /, **said: Any) -> str:
        """One element more, without what is None; its address."""
        element = self._element(kind, place, **said)
        self.graph.append(element)
        identity: str = element["spdxId"]
        self.names.append(identity)
        return identity

    def _element(self, kind: str, place: str, /, **said: Any) -> Element:
        told = {key.replace("from_", "from"): value for key, value in said.items() if value is not None}
        return {"type": kind, "spdxId": f"{self._place}#{place}", "creationInfo": _MADE, **told}

    def relate(self, place: str, kind: str, of: str, to: Sequence[str | Items], **said: Any) -> None:
        """What an element is to others; nothing where there are none."""
        if to:
            self.add("Relationship", place, relationshipType=kind, from_=of, to=list(to), **said)

    def package(self, card: DeclaredCard, root: Root, files: Iterable[MirroredFile], listed: str) -> str:
        """What the document is about, with its licences and what it comes of."""
        repo, made = card.repo, moment(root.last.get("date"))
        date = None if made is None else iso_utc(made)
        owner = self.add("Agent", "owner", name=repo.id.rpartition("/")[0] or HUB)
        is_model = repo.kind is Kind.MODEL
        own: Element = {"ai_domain": [card.task] if card.task else None} if is_model else {}
        if repo.kind is Kind.DATASET:
            own = _of_dataset(files, date)
        subject = self.add(
            _PACKAGES.get(repo.kind, "software_Package"),
            "package",
            name=repo.id,
            comment=f"SHA-256 of its SHA256SUMS: {listed}",
            suppliedBy=owner,
            originatedBy=[owner],
            releaseTime=date,
            software_primaryPurpose=_PURPOSES[repo.kind],
            software_packageVersion=root.commit,
            software_packageUrl=f"pkg:huggingface/{repo.id}@{root.commit}" if is_model else None,
            software_downloadLocation=f"{card.page}/tree/{root.commit}",
            software_homePage=card.page,
            **own,
        )
        self.relate("declared", "hasDeclaredLicense", subject, [self._licence(card.licenses)])
        self.relate("concluded", "hasConcludedLicense", subject, [_NO_LICENCE])
        datasets = [self._dataset(number, name) for number, name in enumerate(card.datasets)]
        self.relate("trained-on", "trainedOn", subject, datasets)
        bases = [self._base(number, name) for number, name in enumerate(card.base_models)]
        self.relate("descends", "descendantOf", subject, bases)
        return subject

    def files_of(self, subject: str, files: Iterable[MirroredFile], count: int) -> None:
        """Every file with its digest; there are `count`."""
        if count:
            self.graph.append(Items(lambda: (self._file(number, file) for number, file in enumerate(files))))
            named = Items(lambda: (f"{self._place}#file-{number}" for number in range(count)))
            self.names.append(named)
            self.relate("contains", "contains", subject, [named], completeness="complete")

    def _file(self, number: int, file: MirroredFile) -> Element:
        told = [{"type": "Hash", "algorithm": "sha256", "hashValue": file.sha256}]
        return self._element("software_File", f"file-{number}", name=file.path, verifiedUsing=told)

    def _licence(self, declared: Sequence[Mapping[str, str]]) -> str:
        """One expression of all that is declared; what SPDX has no name for is a reference to a text."""
        if not declared:
            return _NO_LICENCE
        own: dict[str, str] = {}  # by reference, the address of what is said of it
        words = [one.get("id") or self._reference(one, own) for one in declared]
        listed = [{"type": "DictionaryEntry", "key": key, "value": value} for key, value in own.items()]
        return self.add(
            "simplelicensing_LicenseExpression",
            "licence",
            simplelicensing_licenseExpression=" AND ".join(dict.fromkeys(words)),
            simplelicensing_customIdToUri=listed or None,
        )

    def _reference(self, licence: Mapping[str, str], own: dict[str, str]) -> str:
        plain = _NO_REFERENCE.sub("-", licence["name"]).strip("-") or "unnamed"
        reference = f"LicenseRef-{plain}" if f"LicenseRef-{plain}" not in own else f"LicenseRef-{plain}-{len(own)}"
        said = f"{licence['name']}, as the repo declares it"
        text = f"{said}: {licence['url']}" if "url" in licence else said
        number = len(own)
        own[reference] = self.add(
            "simplelicensing_SimpleLicensingText",
            f"licence-text-{number}",
            name=licence["name"],
            simplelicensing_licenseText=text,
        )
        return reference

    def _dataset(self, number: int, name: str) -> str:
        return self.add(
            "dataset_DatasetPackage",
            f"dataset-{number}",
            name=name,
            software_primaryPurpose="data",
            software_downloadLocation=_page(Kind.DATASET, name),
            dataset_datasetType=["noAssertion"],
        )

    def _base(self, number: int, name: str) -> str:
        page = _page(Kind.MODEL, name)
        return self.add(
            "software_Package",
            f"base-{number}",
            name=name,
            software_primaryPurpose="model",
            software_downloadLocation=page,
            software_packageUrl=None if page is None else f"pkg:huggingface/{name}",
        )


def _of_dataset(files: Iterable[MirroredFile], date: str | None) -> Element:
    return {
        "builtTime": date,
        "dataset_datasetType": ["noAssertion"],
        "dataset_datasetSize": sum(file.size for file in files),
    }


def _page(kind: Kind, name: str) -> str | None:
    """Where the Hub has what a card names; None for a path on somebody's disk, or prose."""
    try:
        return DeclaredCard(Repo(kind, name), {}).page
    except ValueError:
        return None
