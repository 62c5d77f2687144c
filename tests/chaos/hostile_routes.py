"""Requests to every route of a front, whatever door it is of: what its address names is drawn by dice, right or wrong.

What S3 has in queries and headers is a route of ours below an address that no request has: see `S3_ADDRESSES`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from urllib.parse import quote

from mirror_sync.domain.doors.oci_images import LAYERS, known_layers
from mirror_sync.engine.published import read_root
from mirror_sync.front.hub.protocol import Route
from mirror_sync.front.protocols.mounted import PROTOCOLS
from mirror_sync.front.protocols.s3 import S3
from mirror_sync.ports.store import read_document
from tests.front.bucket import Published

Draw = Callable[[Random], bytes]
S3_ADDRESSES: Mapping[str, str] = {
    "s3_buckets": "/",
    "s3_location": "/{kinds}?location",
    "s3_bucket": "/{kinds}",
    "s3_none": "/{any}/{any}",
    "s3_other": "/{kinds}/{path}?acl",
    "s3_presigned": "/{kinds}/{id}/{rev}/{path}?X-Amz-Signature=0&X-Amz-Credential=x",
    "s3_files": "/{kinds}?list-type=2&prefix={id}/{rev}/{prefix}",
    "s3_revisions": "/{kinds}?list-type=2&prefix={id}/{part}",
    "s3_repos": "/{kinds}?list-type=2&prefix={parts}",
    "s3_nothing": "/{kinds}?list-type=2&prefix={any}",
    "s3_object": "/{kinds}/{id}/{rev}/{path}",
}
_SIGNED = (
    "Authorization: AWS4-HMAC-SHA256 Credential=x/20261120/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
    "X-Amz-Date: 20261120T080000Z",
)
_QUERIES = (
    *(
        "n=0",
        "n=-1",
        f"n={10**30}",
        "last=%ff",
        "last=main",
        "scope=repository:x:pull",
        "service=%0a",
        "artifactType=%",
    ),
    *("Revision=main", "Revision=%00", "FilePath=part-1%2Ffile+1.bin", "FilePath=..%2F", "Root=%2F", "Recursive=True"),
    *("PageNumber=-1", "PageSize=99999999999", "Recursive=maybe", "search=%FF", "limit=0", "cursor=%", "expand[]=x"),
    *("max-keys=0", "max-keys=-1", f"max-keys={10**30}", "delimiter=/", "delimiter=%2F%2F", "start-after=%ff"),
    *(
        "continuation-token=%",
        "continuation-token=AAAA",
        "encoding-type=url",
        "encoding-type=x",
        "list-type=2",
        "uploads",
    ),
    *("partNumber=1", "versionId=null", "prefix=%ED%A0%80", "X-Amz-Signature=", "a=b=c", "&&&", "%", "=", ""),
)
_HEADERS = (
    *("Range: bytes=0-0", "Range: bytes=-1", "Range: bytes=9-2", "Range: bytes=0-,1-", f"Range: bytes={10**30}-"),
    *("If-None-Match: *", 'If-None-Match: "x', 'If-Match: "a", W/"b"', "If-Range: x", "If-Modified-Since: yesterday"),
    *(
        "Authorization: Bearer",
        "Authorization: Bearer \xff\xff",
        "Authorization: Basic =",
        "Authorization: AWS4-HMAC-SHA256",
    ),
    *("Authorization: AWS4-HMAC-SHA256 Credential=////, Signature=", "X-Amz-Date: x"),
    *(
        "Accept: application/vnd.oci.image.manifest.v1+json",
        "Accept: text/html",
        "Accept: ,;q=,",
        "Accept-Encoding: x;q=9",
    ),
    *(
        "Origin: null",
        "Cookie: " + "a=b; " * 99,
        "X-Forwarded-Host: a b",
        "X-Forwarded-Proto: '",
    ),
    *("Host:", "X-Reader: held admins x y z", "Content-Type: a/b;=;"),
)
_METHODS = (*("GET",) * 8, "HEAD", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
_ODD = (
    *("", ".", "..", "%2e%2e", "%2F", "%00", "%", "%zz", "//", "a b", "\u202e", "%ED%A0%80", "!", "~", "a--b", "_x/_y"),
    *("x" * 300, "%C3%A9" * 90, "a/" * 200, "refs%2Fheads%2F", "refs/pr/" + "9" * 60, "\\", "'\"<>&", "?", "#x", "@:"),
)
_ANY_OF = {  # of fields whose right words are few
    "kinds": (*("models",) * 9, "datasets", "spaces", "kernels"),
    "place": (*("",) * 9, "datasets/", "spaces/", "kernels/"),
    "page": (
        "index.html",
        "lists.json",
        "repos.json",
        "feed.atom",
        "status.json",
        "list/a",
        "models/a--b.html",
        "assets/style.css",
    ),
    "proof": ("SHA256SUMS", "SHA256SUMS.sig", "model.sig", "bom.cdx.json", "verdicts.json"),
    "statement": ("statement.json", "statement.json.sig"),
    "ending": (".torrent",),
    "suffix": (".meta4",),
    "colon": (":", "%3a", "%3A"),
    "shelf": ("00", "ff"),
    "owner": ("acme", "vouched"),
}


class RouteDraws:
    """Draws requests to the routes of a front over a store in which one repo is published."""

    def __init__(self, published: Published) -> None:
        store, (commit, root) = published.store, next(iter(published.refs.snapshots.items()))
        named = read_root(store, root)
        layers = known_layers(read_document(store, named.attachments[LAYERS]))
        digests = [root, *named.documents, *(one.digest for one in layers), "0" * 64, "f" * 64]
        self._right: dict[str, Sequence[str]] = {
            **_ANY_OF,
            "id": (*(published.repo.id,) * 9, published.repo.id.lower(), published.repo.id.upper()),
            "rev": (
                *("main", commit) * 4,
                "HEAD",
                "latest",
                "latest-image",
                f"{commit}-image",
                "q4_k_m",
                "refs%2Fpr%2F1",
            ),
            "digest": digests,
            "document": ("root.json", *digests),
            "path": (*(quote("part-1/file 1.bin"),) * 4, "part-1", quote("part-1/file 1.bin", safe="")),
            "folder": ("", "/part-1", "/part-1/"),
            "prefix": ("", "part-", "part-1/", quote("part-1/file 1")),
            "part": ("", "ma", "refs"),
            "parts": ("", "acme", "acme/", published.repo.id[:-1]),
            "any": ("models", "none", "%20/x/y"),
        }

    def of_all(self) -> Mapping[str, Draw]:
        """What draws a request, for each route by its name."""
        return {route.name: self._draw(route) for one in PROTOCOLS for route in one.routes}

    def address(self, dice: Random, route: Route, wrong: float = 0.1) -> str:
        """An address of it, and a query perhaps; each field is wrong with that probability."""
        template = S3_ADDRESSES.get(route.name) or _plain(route.template)

        def word(field: re.Match[str]) -> str:
            return dice.choice(_ODD if dice.random() < wrong else self._right[field[1]])

        return re.sub(r"\{([a-z]+)\}", word, template)

    def _draw(self, route: Route) -> Draw:
        signed = _SIGNED if any(route is one for one in S3.routes) else ()

        def drawn(dice: Random) -> bytes:
            target = self.address(dice, route)
            for said in dice.sample(_QUERIES, dice.choice((0, 0, 1, 3))):
                target += f"{'&' if '?' in target else '?'}{said}"
            body = json.dumps({"paths": [dice.choice(_ODD)]}) if "POST" in route.methods else ""
            method = dice.choice(route.methods if body and dice.random() < 0.8 else _METHODS)
            more = [*signed, *dice.sample(_HEADERS, dice.choice((0, 1, 1, 4)))]
            if method == "POST":
                more += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
            lines = [f"{method} {target} HTTP/1.1", "Host: mirror.example", "Connection: close", *more]
            return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode("utf-8", "surrogateescape")

        return drawn


def _plain(template: str) -> str:
    """A template without what is an expression in it."""
    return re.sub(r"\(\?!.*?\)", "", template).replace("/?", "").replace("\\", "")
