"""What both fronts answer over the small world: status, headers and the shape of the body of every route."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.contract.inside import front, route_names, route_of
from tests.contract.shapes import shape
from tests.contract.targets import settled
from tests.contract.world import WEIGHTS, World
from tests.front.mirrors import Mirror, Reply

_MOVING = ("text/html", "application/atom+xml", "application/x-bittorrent", "application/metalink4")
_HOPS = {"date", "server", "connection", "keep-alive", "transfer-encoding"}  # of a connection, or of no interest
_DIGEST = "10fc3c51a152e90e5b90319b601d92ccf37290ef53c35ff92507687d8a911a08"  # of the weights
_COMMIT = "ccded4ed70090699ddb3336af5c20824ba20c1e1"  # the second one of acme/one, as the stand-in makes it


class Asked(NamedTuple):
    """A request of the table below."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def __str__(self) -> str:
        headers = "".join(f" [{name}: {value}]" for name, value in self.headers)
        return f"{self.method} {self.target}{headers}{f' {self.body.decode()}' if self.body else ''}"


_FORM = (("Content-Type", "application/json"),)
ASKED = (
    Asked("GET", "/healthz"),
    Asked("GET", "/"),
    Asked("GET", "/-/"),
    Asked("GET", "/-/status.json"),
    Asked("GET", "/-/feed.atom"),
    Asked("GET", "/-/changes.json"),
    Asked("GET", "/-/models/acme--one.html"),
    Asked("GET", "/-/models/acme--none.html"),
    Asked("HEAD", "/-/get.sh"),
    Asked("GET", "/-/snapshots/models/acme/one/main/root.json"),
    Asked("GET", f"/-/snapshots/models/acme/one/main/{_DIGEST}"),
    Asked("GET", f"/blobs/sha256/{_DIGEST[:2]}/{_DIGEST}"),
    Asked("GET", f"/blobs/sha256/00/{'0' * 64}"),
    Asked("GET", "/api/models/acme/one/refs"),
    Asked("GET", "/api/models/acme/one/auth-check"),
    Asked("GET", "/api/models/acme/one"),
    Asked("GET", "/api/models/acme/one/revision/main"),
    Asked("GET", "/api/models/acme/one/revision/none"),
    Asked("GET", "/api/models/acme/none/revision/main"),
    Asked("GET", "/api/models/acme/closed"),
    Asked("GET", "/api/models/acme/former"),
    Asked("GET", "/api/models/ACME/ONE"),
    Asked("GET", "/api/models/acme/one/commits/main"),
    Asked("GET", "/api/models/acme/one/tree/main?recursive=true"),
    Asked("GET", "/api/models/acme/one/tree/v1?recursive=false&limit=1"),
    Asked("GET", "/api/models/acme/one/tree/v1/onnx"),
    Asked("GET", "/api/models/acme/one/tree/main/none"),
    Asked("GET", "/api/datasets/acme/rows/tree/main"),
    Asked("POST", "/api/models/acme/one/paths-info/main", _FORM, b'{"paths": ["README.md", "none"], "expand": true}'),
    Asked("POST", "/api/models/acme/one/paths-info/main", _FORM, b"no JSON"),
    Asked("GET", "/api/models/acme/one/xet-read-token/main"),
    Asked("POST", "/-/ask", _FORM, b"repo=acme/wanted"),
    Asked("GET", "/api/agent-harnesses"),
    Asked("GET", "/api/models"),
    Asked("GET", "/api/models?author=acme&limit=2"),
    Asked("GET", "/api/models?limit=none"),
    Asked("GET", "/api/models?sort=lastModified&limit=1"),
    Asked("GET", "/api/models?sort=downloads"),
    Asked("GET", "/api/datasets"),
    Asked("GET", "/acme/one/resolve/main/README.md"),
    Asked("HEAD", "/acme/one/resolve/main/README.md"),
    Asked("GET", "/acme/one/resolve/main/weights.bin"),
    Asked("HEAD", "/acme/one/resolve/main/weights.bin"),
    Asked("GET", f"/acme/one/resolve/{_COMMIT}/weights.bin"),
    Asked("GET", "/acme/one/resolve/main/weights.bin", (("Range", "bytes=10-19"),)),
    Asked("GET", "/acme/one/resolve/main/weights.bin", (("Range", "bytes=99999-"),)),
    Asked("GET", "/acme/one/resolve/main/weights.bin", (("If-None-Match", f'"{_DIGEST}"'),)),
    Asked("GET", "/acme/one/resolve/main/weights.bin?download=true"),
    Asked("GET", "/acme/one/resolve/main/weights.bin", (("Origin", "https://app.example.org"),)),
    Asked("GET", "/datasets/acme/rows/resolve/main/rows.csv"),
    Asked("GET", "/acme/former/resolve/main/README.md"),
    Asked("GET", "/acme/one/resolve/v1/onnx/part%20one.bin"),
    Asked("GET", "/acme/one/resolve/main/none"),
    Asked("GET", "/acme/one/resolve/none/README.md"),
    Asked("GET", "/acme/none/resolve/main/README.md"),
    Asked("GET", "/acme/gated/resolve/main/README.md"),
    Asked("GET", "/acme/one/resolve/main/a/../README.md"),
    Asked("GET", "/acme/one/raw/main/README.md"),
    Asked("GET", "/acme/one/raw/main/weights.bin"),
    Asked("GET", "/acme/one"),
    Asked("GET", "/datasets/acme/rows"),
    Asked("GET", "/acme/none"),
    Asked("GET", "/acme/one.git/info/refs"),
    Asked("POST", "/acme/one.git/info/lfs/objects/batch", _FORM, b"{}"),
    Asked("GET", "/spaces/acme/one"),
    Asked("GET", "/api/organizations/vouched/overview"),
    Asked("GET", "/api/organizations/others/overview"),
    Asked("GET", "/api/whoami-v2"),
    Asked("GET", "/api/organizations/acme"),
    Asked("GET", "/api/models/acme/one/discussions"),
    Asked("POST", "/api/repos/create", _FORM, b"{}"),
    Asked("DELETE", "/api/models/acme/one"),
    Asked("OPTIONS", "/api/models/acme/one", (("Origin", "https://app.example.org"),)),
    Asked("GET", "/nothing/is/here"),
    Asked("GET", "/-/trust/models/acme/one/main/verdicts.json"),
    Asked("GET", "/-/trust/models/acme/one/main/bom.spdx3.json"),
    Asked("GET", "/-/trust/models/acme/former/v1/verdicts.json"),
    Asked("GET", "/-/trust/models/acme/rows/statement.json.sig"),
    Asked("GET", "/-/trust/allowed_signers"),
    Asked("GET", "/-/mirror/models/acme/none/refs.json"),
    Asked("GET", f"/-/mirror/models/acme/one/{_COMMIT}/{'0' * 64}"),
    Asked("GET", "/-/login"),
    Asked("GET", "/api/v1/models/acme/one"),
    Asked("GET", "/api/v1/models/acme/none"),
    Asked("GET", "/api/v1/models/acme/gated/repo/files"),
    Asked("GET", "/openapi/v1/models/acme/one"),
    Asked("GET", "/api/v1/models/acme/one/revisions"),
    Asked("GET", "/api/v1/models/acme/one/repo/files?Revision=master&Recursive=True"),
    Asked("GET", "/api/v1/models/acme/one/repo/files?Revision=v1&Root=onnx"),
    Asked("GET", "/api/v1/datasets/acme/rows/repo/tree?Recursive=True&PageNumber=1&PageSize=1"),
    Asked("GET", "/api/v1/datasets/acme/rows/repo/tree?PageNumber=none"),
    Asked("GET", "/api/v1/models/acme/one/repo?Revision=master&FilePath=README.md"),
    Asked("HEAD", "/api/v1/models/acme/one/repo?FilePath=weights.bin"),
    Asked("GET", "/api/v1/models/acme/one/repo?FilePath=weights.bin", (("Range", "bytes=10-19"),)),
    Asked("GET", "/api/v1/models/acme/one/repo?FilePath=none"),
    Asked("GET", "/api/v1/models/acme/one/repo?Revision=none&FilePath=README.md"),
    Asked("POST", "/api/v1/login", _FORM, b"{}"),
    Asked("GET", "/v2/"),
    Asked("GET", "/v2/token"),
    Asked("GET", "/v2/acme/one/tags/list"),
    Asked("GET", "/v2/acme/one/manifests/latest"),
    Asked("GET", "/v2/acme/one/manifests/none"),
    Asked("GET", f"/v2/acme/one/manifests/sha256:{'0' * 64}"),
    Asked("GET", f"/v2/acme/one/blobs/sha256:{_DIGEST}"),
    Asked("GET", f"/v2/acme/one/blobs/sha256:{'0' * 64}"),
    Asked("GET", f"/v2/acme/one/referrers/sha256:{'0' * 64}"),
    Asked("GET", "/v2/acme/none/tags/list"),
    Asked("POST", "/v2/acme/one/blobs/uploads/", (), b""),
    Asked("GET", f"/-/torrents/models/acme/one/{_COMMIT}.torrent"),
    Asked("GET", "/-/torrents/models/acme/one/none.torrent"),
    Asked("GET", "/-/torrents/datasets/acme/rows/main.torrent"),
    Asked("GET", "/-/torrents/whitelist"),
    Asked("GET", "/-/torrents/none"),
    Asked("GET", "/-/metalink/models/acme/one/main/weights.bin.meta4"),
    Asked("GET", "/-/metalink/models/acme/one/main/none.meta4"),
    Asked("GET", "/?list-type=2"),
    Asked("GET", "/models?location&list-type=2"),
    Asked("HEAD", "/models?list-type=2"),
    Asked("HEAD", "/nothing?list-type=2"),
    Asked("GET", "/models?acl&list-type=2"),
    Asked("GET", "/models?X-Amz-Signature=0"),
    Asked("GET", "/models?list-type=2&delimiter=/"),
    Asked("GET", "/models?list-type=2&prefix=acme/one/&delimiter=/&fetch-owner=true"),
    Asked("GET", "/models?list-type=2&prefix=acme/one/main/&max-keys=1&encoding-type=url"),
    Asked("GET", "/models?marker=acme/&prefix=acme/one/v1/", (("x-amz-date", "20261120T080000Z"),)),
    Asked("GET", "/models?list-type=2&prefix=acme/none/main/"),
    Asked("GET", "/models?list-type=2&prefix=a%20b/c/d"),
    Asked("GET", "/models?list-type=2&max-keys=none"),
    Asked("GET", "/models?list-type=2&continuation-token=none"),
    Asked("GET", "/models/acme/one/main/weights.bin?list-type=2", (("x-amz-checksum-mode", "ENABLED"),)),
    Asked("HEAD", "/models/acme/one/v1/onnx/part%20one.bin?list-type=2"),
    Asked("GET", "/models/acme/one/main/weights.bin?list-type=2", (("Range", "bytes=10-19"),)),
    Asked("GET", "/models/acme/one/main/weights.bin?list-type=2", (("Range", "bytes=99999-"),)),
    Asked("GET", "/models/acme/one/main/none?list-type=2"),
    Asked("GET", "/models/acme/gated/main/README.md?list-type=2"),
    Asked("PUT", "/models/acme/one/main/README.md?list-type=2", (), b"x"),
    Asked("GET", "/models?X-Amz-Credential=x&X-Amz-Signature=0&list-type=2"),
)


def answers(world: World, kind: str) -> Iterator[str]:
    """What all answers say, then each request of the table with its answer.

    AssertionError when a route is asked for by none of them.
    """
    left = route_names() - {route_of(asked.target, asked.method) for asked in ASKED}
    assert not left, f"no request of this table is answered by {sorted(left)}"
    with front(kind, world.mirror, world.folder / f"front-{kind}") as mirror:
        replies = [mirror.ask(one.method, one.target, dict(one.headers), one.body) for one in ASKED]
    headers = [list(_headers(mirror, reply)) for reply in replies]
    common = [line for line in headers[0] if all(line in lines for lines in headers)]
    yield from ("every answer", *(f"  {line}" for line in common))
    for asked, reply, lines in zip(ASKED, replies, headers, strict=True):
        yield f"{asked}: {reply.status}"
        yield from (f"  {line}" for line in lines if line not in common)
        yield from (f"  body {line}".replace(mirror.url, "<front>") for line in _body(reply))


def _headers(mirror: Mirror, reply: Reply) -> Iterator[str]:
    for name, value in sorted((name.lower(), value) for name, value in reply.headers.items()):
        if name not in _HOPS:
            yield f"{name}: {settled(_named(name, value.replace(mirror.url, '<front>'), reply))}"


def _named(name: str, value: str, reply: Reply) -> str:
    """Of what has times of now in it, or the front's own address, neither the length nor the digest stays the same."""
    moving = (reply.headers["Content-Type"] or "").startswith(_MOVING) or any(
        word in reply.body for word in (b'"machine"', b'"days"')
    )
    if name == "last-modified":
        return "<time>"
    if moving and name in ("content-length", "etag"):
        return re.sub(r"[0-9a-f]+(?:\.[0-9]+)?", "<n>", value)
    return value


def _body(reply: Reply) -> Iterator[str]:
    kind = (reply.headers["Content-Type"] or "").partition(";")[0]
    if not reply.body or reply.body == WEIGHTS:
        return
    if kind.endswith("json"):
        document = json.loads(reply.body)
        said = document.get("error") if isinstance(document, dict) else None
        yield from [f"error: {said}"] if said else shape([document])
    elif kind in ("text/plain", "application/xml"):
        yield from settled(reply.body.decode()).splitlines()
