"""A strict look at an SPDX 3 document, by the library that SPDX makes of its model, run in an environment that has it.

The library reads types, enumerations and patterns strictly, and counts what an element must have when it writes. What
it does not do: follow addresses, and know what the AI and the Dataset profile ask for beside the model. Both are here,
by the profiles' "External properties restrictions".
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

from spdx_python_model import v3_0_1 as spdx

_BOTH = ("releaseTime", "software_downloadLocation", "software_primaryPurpose")
_PROFILE = {
    "ai": ("ai_AIPackage", (*_BOTH, "software_packageVersion", "suppliedBy")),
    "dataset": ("dataset_DatasetPackage", (*_BOTH, "builtTime", "originatedBy")),
}
_ADDRESSES = ("createdBy", "rootElement", "element", "from", "to", "suppliedBy", "originatedBy")
_LICENCES = ("hasDeclaredLicense", "hasConcludedLicense")


def faults(body: bytes) -> list[str]:
    """All that is wrong with a document. Raises what the library does."""
    objects = spdx.SHACLObjectSet()
    spdx.JSONLDDeserializer().read(io.BytesIO(body), objects)
    written = io.BytesIO()
    spdx.JSONLDSerializer().write(objects, written)
    document, again = json.loads(body), json.loads(written.getvalue())
    graph: list[dict[str, Any]] = document["@graph"]
    said = {_name(one): one for one in graph}
    found = [f"{len(graph) - len(said)} elements of one address"] if len(said) != len(graph) else []
    read = {_name(one): one for one in again["@graph"]}
    found += [
        f"{name}: is not read as it is written" for name in said.keys() | read if said.get(name) != read.get(name)
    ]
    known = {_name(one) for one in graph} | {"expandedlicensing_NoAssertionLicense"}
    for one in graph:
        for key in _ADDRESSES:
            several = one.get(key, ())
            named = [several] if isinstance(several, str) else several
            found += [f"{_name(one)}: {key} leads nowhere" for name in named if name not in known]
    return [*found, *_profiles(graph)]


def _profiles(graph: list[dict[str, Any]]) -> list[str]:
    """What the profiles that a document claims ask of its subject."""
    documents = [one for one in graph if one["type"] == "SpdxDocument"]
    if len(documents) != 1:
        return ["not one document"]
    by_name = {one.get("spdxId"): one for one in graph}
    subject = by_name[by_name[documents[0]["rootElement"][0]]["rootElement"][0]]
    found = []
    for profile in documents[0]["profileConformance"]:
        kind, wanted = _PROFILE.get(profile, (subject["type"], ()))
        found += [f"{profile}: is about {subject['type']}"] if subject["type"] != kind else []
        found += [f"{profile}: {key} is missing" for key in wanted if key not in subject]
    for licence in _LICENCES:
        mine = (one for one in graph if one.get("relationshipType") == licence and one["from"] == subject["spdxId"])
        if sum(len(one["to"]) for one in mine) != 1:
            found.append(f"not one {licence}")
    return found


def _name(element: dict[str, Any]) -> str:
    return str(element.get("spdxId") or element["@id"])


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]).read_bytes())
    sys.exit(f"not valid: {'; '.join(wrong)}" if wrong else 0)
