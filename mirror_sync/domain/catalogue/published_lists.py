"""The lists of repos that the catalogue publishes for clients and fronts: one in each of its pages, and an index.

`site/list/<page>.json` is a part of `site/list/<page>.html` (page_data.py), or an object where a program of before has
written it. It has one JSON entry a line, in the order of ids in lower case, so that a front finds a repo by text
without parsing the others; all of it is ASCII. `refs` of what is published is the SHA-256 of its refs.json, empty where
nobody knows it. `site/lists.json` names the pages, each with its first id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mirror_sync.domain.bounds import text
from mirror_sync.domain.catalogue.rows import ListPage, RepoRow
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import DocumentError

INDEX = "lists.json"
FORMAT = 1
LINE = (
    r'^\{"kind":"(model|dataset|space|kernel)","state":"([a-z]+)","id":"([A-Za-z0-9_.\-/]+)",'
    r'"why":("[^"\\]*(?:\\.[^"\\]*)*"),(?:"refs":"[0-9a-f]*",)?"item":(\{.*\})\}$'
)
"""In what Python's `re` and JavaScript share."""
_LINE = re.compile(LINE, re.ASCII)


@dataclass(frozen=True, slots=True)
class Listed:
    """A repo in a list. `state` is `published` where something of it is; else `why` says why not.

    `item` is what the Hub's lists say of it, as JSON.
    """

    kind: Kind
    state: str
    id: str
    why: str
    item: str


def page_name(name: str) -> str:
    """What a page of the list is called below `site/`, by its name in the index."""
    return f"list/{name}.json"


def encode_page(rows: Iterable[RepoRow], refs: Mapping[Repo, str] = MappingProxyType({})) -> bytes:
    """A page, in the order of its rows; no line has a `<`, so that a page of HTML holds it as it is."""
    lines = ",\n".join(_listed_line(row, refs.get(Repo(row.kind, row.repo))) for row in rows)
    return f"[\n{lines}\n]\n".replace("<", "\\u003c").encode()


def decode_page(body: bytes) -> list[Listed]:
    """The repos of a page. DocumentError for anything else."""
    try:
        lines = body.decode("ascii").removeprefix("[\n").removesuffix("\n]\n").split(",\n")
        return [_listed(line) for line in lines if line]
    except (ValueError, TypeError) as error:
        raise DocumentError(f"not a page of a list: {error!r}") from error


def encode_index(pages: Sequence[ListPage]) -> bytes:
    """The index of the pages, in their order."""
    return _json({"format": FORMAT, "pages": [[page.name, page.first.lower()] for page in pages]}).encode() + b"\n"


def decode_index(body: bytes) -> list[tuple[str, str]]:
    """The name and the first id of each page. DocumentError for anything else."""
    try:
        return [(text(name), text(first)) for name, first in json.loads(body)["pages"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DocumentError(f"not an index of lists: {error!r}") from error


def _listed_line(row: RepoRow, refs: str | None) -> str:
    state = RepoState.PUBLISHED if row.commit is not None else row.state
    why = "" if row.commit is not None else row.why
    head = f'{{"kind":"{row.kind.value}","state":"{state}","id":"{row.repo}","why":{_json(why)}'
    known = "" if refs is None else f',"refs":"{refs}"'
    return f'{head}{known},"item":{row.item or _json({"id": row.repo, "sha": row.commit})}}}'


def _listed(line: str) -> Listed:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(line[:80])
    return Listed(Kind(found[1]), found[2], found[3], json.loads(found[4]), found[5])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
