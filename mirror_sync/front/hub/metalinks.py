"""A file as a Metalink: its size, its SHA-256, and where it is, here and in replicas, for clients that check what they
have fetched.

    /-/metalink/<kind>s/<id>/<revision>/<path>.meta4   below `/-/`, where no file of a repo can be

Source: RFC 5854 (the document), RFC 6249 (`Link: ...; rel=describedby`, by which an answer names it, and
`rel=duplicate`, by which it names the same file at replicas). There are no pieces in it: aria2 1.36 checks no whole
file whose pieces it knows.
"""

from __future__ import annotations

import re
from urllib.parse import quote
from xml.sax.saxutils import escape

from mirror_sync.domain.access.rights import Need
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.front.hub.answers import Answer
from mirror_sync.front.hub.conditions import is_current
from mirror_sync.front.hub.doorkeeper import named_repo
from mirror_sync.front.hub.front_request import Fields, FrontRequest, decoded
from mirror_sync.front.hub.protocol import FIELDS, GET, Protocol, Route
from mirror_sync.front.hub.served import Opened, Served, files_at

MEDIA_TYPE = "application/metalink4+xml"
PLAIN = r"^[A-Za-z0-9._~!$&'()*+,=:@%/\-]+$"
"""Paths that stand in a header as they are asked for; in what Python and JavaScript share."""
DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<metalink xmlns="urn:ietf:params:xml:ns:metalink">\n'
    '<file name="{name}"><size>{size}</size><hash type="sha-256">{digest}</hash>{urls}</file>\n'
    "</metalink>\n"
)
URL = '<url priority="{priority}">{url}</url>'
DUPLICATE = "<{url}>; rel=duplicate; pri={priority}"
_UNESCAPED = "/!'()*~"  # beside letters, digits and _.-, as encodeURIComponent has it
UNWRITABLE = "[\\x00-\\x1f\\x7f\\ufffe\\uffff]"
"""Characters of a name that XML 1.0 cannot hold, or that no file should have; in both languages."""
_PLAIN, _UNWRITABLE = re.compile(PLAIN), re.compile(UNWRITABLE)
_WORD = re.compile(r"\{([a-z]+)\}")  # all at once: a file may be called {size}


def described_by(raw_path: str, fields: Fields, commit: CommitId) -> dict[str, str]:
    """The header that leads from a file to its Metalink; none where its path would not stand in one.

    It is relative, so that it is right below any path that a proxy has put before us.
    """
    if not _PLAIN.match(raw_path):
        return {}
    up, kinds = "../" * (raw_path.count("/") - 1), fields["place"] or "models/"
    target = f"{up}-/metalink/{kinds}{fields['id']}/{commit}/{fields['path']}.meta4"
    return {"Link": f'<{target}>; rel=describedby; type="{MEDIA_TYPE}"'}


def duplicates(served: Served, opened: Opened, fields: Fields) -> tuple[str, ...]:
    """Links to a file at the replicas that are known to have its snapshot, as values of headers."""
    urls = _at_replicas(served, opened, fields)
    return tuple(DUPLICATE.format(url=url, priority=at) for at, url in enumerate(urls, 1))


def _at_replicas(served: Served, opened: Opened, fields: Fields) -> list[str]:
    repo = named_repo(fields)
    places = [] if repo is None else served.elsewhere(repo, opened)
    return [f"{place}{quote(decoded(fields['path']), safe=_UNESCAPED)}" for place in places]


def metalink(served: Served, asked: FrontRequest, fields: Fields) -> Answer:
    """The answer. Raises Refusal, Elsewhere, StoreError, DocumentError."""
    opened, path = served.open(fields), decoded(fields["path"])
    file = served.entry(opened, path, "file")
    words = {
        "name": _UNWRITABLE.sub("_", path.rpartition("/")[2]),
        "size": str(file["size"]),
        "digest": file["sha256"],
    }
    urls = [f"{files_at(asked, fields)}{opened.commit}/{fields['path']}", *_at_replicas(served, opened, fields)]
    told = {name: _escaped(word) for name, word in words.items()}
    told["urls"] = "".join(URL.format(priority=at, url=_escaped(url)) for at, url in enumerate(urls, 1))
    body = _WORD.sub(lambda word: told[word[1]], DOCUMENT).encode()
    headers = opened.addressed(asked, MEDIA_TYPE, f'"{Sha256.of(body)[:32]}"')
    if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
        return Answer(304, headers)
    return Answer(200, headers, body)


def _escaped(said: str) -> str:
    return escape(said, {'"': "&quot;"})


METALINKS = Protocol(
    "metalinks",
    (
        Route(
            "metalink",
            GET,
            "/-/metalink/{kinds}/{id}/{rev}/{path}{suffix}",
            fields=FIELDS | {"suffix": r"\.meta4"},
            needs=Need.READ,
        ),
    ),
    lambda served: {"metalink": lambda asked, fields: metalink(served, asked, fields)},
    ("metalinks.js",),
    constants={
        "DOCUMENT": DOCUMENT,
        "DUPLICATE": DUPLICATE,
        "MEDIA_TYPE": MEDIA_TYPE,
        "PLAIN": PLAIN,
        "UNWRITABLE": UNWRITABLE,
        "URL": URL,
    },
)
