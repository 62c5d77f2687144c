"""What a mirror of this mirror reads beside what every client does: refs.json, and the documents that it leads to.

    /-/mirror/<kind>s/<id>/refs.json             as it stands in the bucket now
    /-/mirror/<kind>s/<id>/<commit>/<SHA-256>    a document of the snapshot, or of the repo as a whole

A document is given to whoever may read its repo, and only where something that is published of that names it: nothing
is told by a digest alone. Whoever is answered from what was read a moment ago may read the repo by that, too: it may
have been closed, or taken down, since the front has kept its refs.json. Files come from where all clients get them;
which repos have changed says `/-/repos.json`, a part of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mirror_sync.domain.access.rights import Sight
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.errors import KeyMissing
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, BlobSlice
from mirror_sync.front.hub.conditions import content, is_current
from mirror_sync.front.hub.doorkeeper import named_repo
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.protocol import FIELDS, GET, Answering, Protocol, Route
from mirror_sync.front.hub.served import Served
from mirror_sync.ports.store import read_refs_json


def _refs(served: Served, asked: FrontRequest, fields: Fields) -> Answer:
    """Read anew: whoever was told that something has changed asks at once."""
    served.documents_of(fields)
    body, _ = _anew(served, asked, fields)
    headers = {"Content-Type": answers.MEDIA_TYPES["json"], "Cache-Control": answers.CHECKED}
    headers["ETag"] = f'"{Sha256.of(body)}"'
    if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
        return Answer(304, headers)
    return Answer(200, headers, body)


def _document(served: Served, asked: FrontRequest, fields: Fields) -> Answer:
    commit, digest = CommitId(fields["rev"]), Sha256(fields["digest"])
    refs = served.documents_of(fields)
    if not _names(served, refs, commit, digest):
        _, refs = _anew(served, asked, fields)  # what was published a moment ago
    if not _names(served, refs, commit, digest):
        raise answers.entry_not_found(commit)
    stat = served.store.stat(blob_key(digest))
    if stat is None:  # something published names it
        raise KeyMissing(blob_key(digest))
    headers = {"Content-Type": answers.BINARY, "ETag": f'"{digest}"', "Cache-Control": answers.SETTLED}
    return content(asked, stat.size, {**headers, "X-Repo-Commit": commit}, partial(BlobSlice, digest))


def _anew(served: Served, asked: FrontRequest, fields: Fields) -> tuple[bytes, Refs]:
    """refs.json as it is now. Refusal where by what stands there now it is not for who asks."""
    repo = named_repo(fields)
    if repo is None:
        raise answers.repo_not_found()
    try:
        body = read_refs_json(served.store, repo)
    except KeyMissing:
        raise answers.repo_not_found(repo) from None
    refs = Refs.decode(body)
    if served.access.decide(asked.reader.role, repo, closed=served.closes(refs)) is not Sight.READ:
        raise answers.repo_not_found(repo)
    served.expect_untaken(repo, refs)
    return body, refs


def _names(served: Served, refs: Refs, commit: CommitId, digest: Sha256) -> bool:
    """Whether a digest is of a document of a snapshot that is published, or of the repo as a whole."""
    root = refs.snapshots.get(commit)
    if root is None:
        return False
    return digest in (root, *refs.attachments.values()) or digest in served.snapshots.root(root).documents


def _open(served: Served) -> Mapping[str, Answering]:
    return {"pointer": partial(_refs, served), "document": partial(_document, served)}


MIRRORS = Protocol(
    "mirrors",
    (
        Route("pointer", GET, "/-/mirror/{kinds}/{id}/refs.json"),
        Route("document", GET, "/-/mirror/{kinds}/{id}/{rev}/{digest}", fields=FIELDS | {"rev": "[0-9a-f]{40}"}),
    ),
    _open,
    ("mirrors.js",),
)
