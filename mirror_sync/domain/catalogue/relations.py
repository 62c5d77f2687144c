"""Which models were made from which, for the pages of repos: `site/relations.json`.

    {"format": 1, "here": ["<id>", ...], "made": {"<id of a base, in lower case>": [["<id>", "<relation>"], ...]}}

`here` are the bases that are mirrored, as they are spelled; all ids are of models. It tells of what is here alone: a
volume that is for everybody has the repos that everybody may see.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from mirror_sync.domain.catalogue.rows import RepoRow
from mirror_sync.domain.repo import Kind

RELATIONS_JSON = "relations.json"
FORMAT = 1
_MOST = 500  # repos that were made from one, and are named


def encode_relations(rows: Iterable[RepoRow]) -> bytes:
    """Of the rows that are published, in the order of names."""
    there = {row.repo.lower(): row for row in rows if row.kind is Kind.MODEL and row.commit is not None}
    made: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(there):
        row = there[name]
        for base in dict.fromkeys(one.lower() for one in row.bases):
            if base != name and len(made.setdefault(base, [])) < _MOST:
                made[base].append((row.repo, row.relation))
    here = [there[base].repo for base in sorted(made) if base in there]
    found = {"format": FORMAT, "here": here, "made": {base: made[base] for base in sorted(made)}}
    return json.dumps(found, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
