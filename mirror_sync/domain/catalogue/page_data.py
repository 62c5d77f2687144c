"""Documents that are a part of a page of the catalogue: the page and what machines read of it are one object, one PUT.

    <script type="application/json" id="changes-data">{"format":1,...}</script>

stands at the end of a page, as JSON-LD does (https://www.w3.org/TR/json-ld11/#embedding-json-ld-in-html-documents). It
is a data block: a browser runs nothing of it, and no Content-Security-Policy forbids it (HTML Living Standard, "prepare
the script element": what has the type of no script is left there). Fronts give each block at an address of its own, as
if it were an object. In a block `<` is written as JSON may write it, `\\u003c`: nothing in it ends it. Nothing else in
a page looks like one, since all that others have chosen is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from mirror_sync.domain.bounds import text

HOME, STATUS_PAGE = "index.html", "mirror.html"
FEED, CHANGES, ATOM = "repos.json", "changes.json", "feed.atom"
TUNASYNC, MIRRORZ = "tunasync.json", "mirrorz.json"
DATA: Mapping[str, tuple[str, str]] = {
    FEED: (HOME, "repos-data"),
    CHANGES: (HOME, "changes-data"),
    ATOM: (HOME, "atom-data"),
    TUNASYNC: (STATUS_PAGE, "tunasync-data"),
    MIRRORZ: (STATUS_PAGE, "mirrorz-data"),
}
"""By the name of a document: its page, and the id of its block."""
LIST, ROWS = "list/", "rows-data"
_JSON, _HTML, _XML = ".json", ".html", ".atom"
BEGINS, ENDS = '<script type="application/json" id="{}">', "</script>"


def place_of(name: str) -> tuple[str, str] | None:
    """The page that has a document, and the id of its block; None for what is an object by itself."""
    if name.startswith(LIST) and name.endswith(_JSON):
        return name.removesuffix(_JSON) + _HTML, ROWS
    return DATA.get(name)


def as_block(name: str, body: bytes) -> tuple[str, str]:
    """The id and the text of the block of a document: JSON as it is, else as a string. ValueError for no part."""
    place = place_of(name)
    if place is None:
        raise ValueError(f"{name} is no part of a page")
    said = body.decode()
    return place[1], (json.dumps(said) if name.endswith(_XML) else said).replace("<", "\\u003c")


def data_of(page: bytes, name: str) -> bytes | None:
    """A document out of its page; None where the page has none."""
    place = place_of(name)
    if place is None:
        return None
    begins, ends = BEGINS.format(place[1]).encode(), ENDS.encode()
    start = page.find(begins)
    end = page.find(ends, start)
    if start < 0 or end < 0:
        return None
    said = page[start + len(begins) : end]
    if not name.endswith(_XML):
        return said
    try:
        return text(json.loads(said)).encode()
    except ValueError:
        return None
