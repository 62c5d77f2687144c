"""A bill of materials of a snapshot: CycloneDX 1.6, an ML-BOM, as JSON.

Source: https://cyclonedx.org/docs/1.6/json. Nothing in it depends on when or where it was made: its time is that of the
commit, its serial number comes of the repo, the commit and the digests of all files. So it is the same, byte for byte,
whoever makes it of the same snapshot.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.freshness import moment
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.times import iso_utc
from mirror_sync.signing.sums import sum_lines

BOM = "bom.cdx.json"
_HUB = "https://huggingface.co"
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/mirror-sync")
_MOST = 1000  # datasets, base models or licences that a card names; a card with more is none
_LONGEST = 1000  # characters of a word of a card
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
# The Hub's licence ids in the letters of SPDX. Source: https://spdx.org/licenses and
# https://huggingface.co/docs/hub/repositories-licenses. What is not here is a name of its own: a family (`cc`, `bsd`),
# or terms that SPDX does not know (llama3.1, gemma). `gpl-3.0` says nothing of later versions: that version only.
_SAME = """
    AFL-3.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear BSL-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0
    CC-BY-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-2.0 CC-BY-NC-SA-3.0
    CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0
    CDLA-Sharing-1.0 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 ISC LPPL-1.3c MIT MPL-2.0 MS-PL NCSA OFL-1.1
    OSL-3.0 PostgreSQL Unlicense WTFPL Zlib Apache-2.0
""".split()  # noqa: SIM905  a table that a person reads and extends

SPDX = {one.lower(): one for one in _SAME} | {
    "agpl-3.0": "AGPL-3.0-only",
    "c-uda": "C-UDA-1.0",
    "etalab-2.0": "etalab-2.0",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-3.0": "LGPL-3.0-only",
    "lgpl-lr": "LGPLLR",
    "odc-by": "ODC-By-1.0",
}
"""Hub id -> SPDX id."""


def cyclonedx(repo: Repo, root: Root, files: Sequence[MirroredFile], info: Mapping[str, Any]) -> bytes:
    """The document. `files` in the order of their paths, `info` the Hub's words about the repo, believed in nothing."""
    listed = hashlib.sha256()
    for line in sum_lines(files):
        listed.update(line)
    subject = _Card(repo, info)
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
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


class _Card:
    """What the Hub says of a repo, as far as it has the shape that it should have."""

    def __init__(self, repo: Repo, info: Mapping[str, Any]) -> None:
        card = info.get("cardData")
        self._card = card if isinstance(card, dict) else {}
        self._info, self.repo = info, repo

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(_words(self._card.get("datasets"))) if self.repo.kind is Kind.MODEL else ()

    @property
    def base_models(self) -> tuple[str, ...]:
        return tuple(_words(self._card.get("base_model"))) if self.repo.kind is Kind.MODEL else ()

    @property
    def task(self) -> str:
        return next(_words(self._info.get("pipeline_tag")), "")

    @property
    def licenses(self) -> list[dict[str, Any]]:
        """As the repo declares them, in SPDX's letters where it has a name for them."""
        tags = (tag.removeprefix("license:") for tag in _words(self._info.get("tags")) if tag.startswith("license:"))
        declared = tuple(_words(self._card.get("license"))) or tuple(tags)
        return [{"license": self._license(one) | {"acknowledgement": "declared"}} for one in declared]

    def _license(self, said: str) -> dict[str, str]:
        found = SPDX.get(said.lower())
        if found is not None:
            return {"id": found}
        name = next(_words(self._card.get("license_name")), "") if said.lower() == "other" else ""
        link = next(_words(self._card.get("license_link")), "")
        return {"name": name or said} | ({"url": link} if _ADDRESS.fullmatch(link) else {})


def _subject(card: _Card, root: Root, files: Sequence[MirroredFile], listed: str) -> dict[str, Any]:
    repo = card.repo
    is_model = repo.kind is Kind.MODEL
    page = f"{_HUB}/{repo.id}" if is_model else f"{_HUB}/datasets/{repo.id}"
    found: dict[str, Any] = {
        "type": "machine-learning-model" if is_model else "data",
        "bom-ref": f"{repo}@{root.commit}",
        **_named(repo.id),
        "version": root.commit,
        "licenses": card.licenses,
        "externalReferences": [{"type": "distribution", "url": f"{page}/tree/{root.commit}"}],
        "properties": [{"name": "mirror-sync:SHA256SUMS", "value": listed}],
        "components": [_file(file) for file in files],
    }
    if is_model:
        found["purl"] = f"pkg:huggingface/{repo.id}@{root.commit}"
        found["modelCard"] = {"modelParameters": _parameters(card)}
    if card.base_models:
        found["pedigree"] = {"ancestors": [_ancestor(name) for name in card.base_models]}
    return {key: value for key, value in found.items() if value != []}


def _parameters(card: _Card) -> dict[str, Any]:
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


def _words(value: object) -> Iterator[str]:
    """The distinct words of a card's value: one, or a list of them; whatever else stands there is none."""
    several: Iterable[object] = value[:_MOST] if isinstance(value, list) else (value,)
    seen = dict.fromkeys(one.strip() for one in several if isinstance(one, str) and len(one) <= _LONGEST)
    yield from filter(None, seen)
