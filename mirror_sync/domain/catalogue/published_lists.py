"""The lists of repos that the catalogue publishes for clients and fronts: one beside each of its pages, and an index.

`site/list/<page>.json` has one JSON entry a line, in the order of ids in lower case, so that a front finds a repo by
text without parsing the others; all of it is ASCII. `site/lists.json` names the pages, each with its first id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mirror_sync.domain.bounds import text
from mirror_sync.domain.catalogue.rows import ListPage, RepoRow
from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.outcome.report import RepoState
from mirror_sync.domain.repo import Kind
from mirror_sync.errors import DocumentError

INDEX = site_key("lists.json")
FORMAT = 1
LINE = (
    r'^\{"kind":"(model|dataset|space|kernel)","state":"([a-z]+)","id":"([A-Za-z0-9_.\-/]+)",'
    r'"why":("[^"\\]*(?:\\.[^"\\]*)*"),"item":(\{.*\})\}$'
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


def page_key(name: str) -> str:
    """The key of a page of the list, by its name in the index."""
    return site_key(f"list/{name}.json")


def encode_page(rows: Iterable[RepoRow]) -> bytes:
    """A page, in the order of its rows."""
    return ("[\n" + ",\n".join(map(_line, rows)) + "\n]\n").encode()


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


def _line(row: RepoRow) -> str:
    state = RepoState.PUBLISHED if row.commit is not None else row.state
    why = "" if row.commit is not None else row.why
    head = f'{{"kind":"{row.kind.value}","state":"{state}","id":"{row.repo}","why":{_json(why)}'
    return f'{head},"item":{row.item or _json({"id": row.repo, "sha": row.commit})}}}'


def _listed(line: str) -> Listed:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(line[:80])
    return Listed(Kind(found[1]), found[2], found[3], json.loads(found[4]), found[5])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
