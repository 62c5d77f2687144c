"""Contents by their digest alone, for whoever was told one: blobs name no repo.

What is being taken down is no longer given while its blobs are there still: the target lists its digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mirror_sync.domain.access.rights import Need
from mirror_sync.domain.content.keys import WITHDRAWN, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, BlobSlice, Refusal
from mirror_sync.front.hub.conditions import content
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.protocol import GET, Answering, Protocol, Route
from mirror_sync.front.hub.served import Served


def _blob(served: Served, asked: FrontRequest, fields: Fields) -> Answer:
    if not served.by_digest:
        raise Refusal(404, answers.NO_DIGESTS)
    digest = Sha256(fields["digest"])
    meant = digest.startswith(fields["shelf"]) and not served.snapshots.is_withdrawn(digest)
    stat = served.store.stat(blob_key(digest)) if meant else None
    if stat is None:
        raise answers.entry_not_found()
    headers = {"Content-Type": answers.BINARY, "Cache-Control": answers.IMMUTABLE, "ETag": f'"{digest}"'}
    return content(asked, stat.size, headers, partial(BlobSlice, digest))


def _open(served: Served) -> Mapping[str, Answering]:
    return {"blob": partial(_blob, served)}


CONTENTS = Protocol(
    "contents",
    (Route("blob", GET, "/blobs/sha256/{shelf}/{digest}", needs=Need.ALL),),
    _open,
    ("contents.js",),
    locations="contents.conf.j2",
    constants={"WITHDRAWN": WITHDRAWN},
)
