"""What a stranger proves a snapshot with: sums, signatures, bills of materials, verdicts. In no listing of files.

    /-/trust/<kinds>/<id>/<revision>/<document>  an attachment of the snapshot's root, or its verdicts
    /-/trust/<kinds>/<id>/statement.json[.sig]  what the mirror says of the repo as a whole, signed
    /-/trust/allowed_signers                               whose signatures are this mirror's

docs/design/decisions/0042-taken-down.md says how long what is told by a commit may be kept, and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from mirror_sync.domain.access.rights import Need, Sight
from mirror_sync.domain.content.keys import ALLOWED_SIGNERS, blob_key
from mirror_sync.domain.content.snapshot import encode_json
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.errors import KeyMissing
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Answer, BlobSlice, Refusal
from mirror_sync.front.hub.conditions import content, is_current
from mirror_sync.front.hub.doorkeeper import named_repo
from mirror_sync.front.hub.front_request import Fields, FrontRequest, decoded
from mirror_sync.front.hub.protocol import FIELDS, GET, Answering, Protocol, Route
from mirror_sync.front.hub.served import Opened, Served
from mirror_sync.ports.store import MAX_DOCUMENT, read_all

VERDICTS = "verdicts.json"
HELD = "held."  # before the commit, in the name of an attachment of refs.json
_MAKES = "in jobs.yaml makes it for what is published from then on"
_KEY = f"trust: {{key: FILE}} {_MAKES}"
# By the name of an attachment of a root: how it is made, to whom it lacks.
_OF_SNAPSHOT = {
    "SHA256SUMS": _KEY,
    "SHA256SUMS.sig": _KEY,
    "model.sig": f"trust: {{model_signing: {{key: FILE}}}} {_MAKES}",
    "bom.cdx.json": f"trust: {{bom: [cyclonedx]}} {_MAKES}",
    "bom.spdx3.json": f"trust: {{bom: [spdx3]}} {_MAKES}",
}
# Of a repo as a whole: by the end of the address, the name of an attachment of refs.json.
_OF_REPO = {"statement.json": "statement", "statement.json.sig": "statement.sig"}
_SIGNERS = "allowed_signers"
_JSON, _PLAIN = answers.MEDIA_TYPES["json"], answers.TEXT
_TYPES = {name: _JSON if name.endswith(".json") or name == "model.sig" else _PLAIN for name in _OF_SNAPSHOT | _OF_REPO}


class TrustDocuments:
    """Answers with what is attached. Safe for many threads; raises Refusal, Elsewhere, StoreError, DocumentError."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.answers: dict[str, Answering] = {
            "proof": self._proof,
            "statement": self._statement,
            _SIGNERS: self._signers,
        }

    def _proof(self, asked: FrontRequest, fields: Fields) -> Answer:
        name = fields["proof"]
        held = self._held(fields) if name == VERDICTS else None
        if held is not None:
            return attached(self._served, asked, held, {"Content-Type": _JSON, "Cache-Control": answers.MOVING})
        opened = self._served.open(fields)
        if name == VERDICTS:
            return _verdicts(asked, opened)
        digest = opened.root.attachments.get(name)
        if digest is None:
            raise _not_made(name, f"{fields['id']} at {opened.commit}", _OF_SNAPSHOT[name])
        headers = {name.replace("_", "-"): value for name, value in opened.headers.items()}
        return attached(self._served, asked, digest, {"Content-Type": _TYPES[name], **headers})

    def _held(self, fields: Fields) -> Sha256 | None:
        """What was said of a commit that is held, and so not published."""
        revision = decoded(fields["rev"])
        if not CommitId.matches(revision):
            return None
        refs = self._served.documents_of(fields)
        return None if revision in refs.snapshots else refs.attachments.get(f"{HELD}{revision}")

    def _statement(self, asked: FrontRequest, fields: Fields) -> Answer:
        name, refs, repo = fields["statement"], self._served.documents_of(fields), named_repo(fields)
        if repo is not None and not refs.snapshots:
            # what was stated last of what is withdrawn: nobody knows any more whether its upstream had closed it
            sight = self._served.access.decide(asked.reader.role, repo, closed=True)
            if sight is Sight.HIDDEN:
                raise answers.repo_not_found(repo)
        digest = refs.attachments.get(_OF_REPO[name])
        if digest is None:
            raise _not_made(name, fields["id"], _KEY)
        return attached(self._served, asked, digest, {"Content-Type": _TYPES[name], "Cache-Control": answers.MOVING})

    def _signers(self, asked: FrontRequest, _fields: Fields) -> Answer:
        try:
            body = read_all(self._served.store, ALLOWED_SIGNERS, MAX_DOCUMENT)
        except KeyMissing:
            raise _not_made(_SIGNERS, "this mirror", _KEY) from None
        headers = {"Content-Type": _PLAIN, "Cache-Control": answers.MOVING, "ETag": f'"{Sha256.of(body)}"'}
        if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
            return Answer(304, headers)
        return Answer(200, headers, body)


def attached(served: Served, asked: FrontRequest, digest: Sha256, headers: dict[str, str]) -> Answer:
    """A blob that something published names: it must be there. Refusal for a range that cannot be had; KeyMissing."""
    stat = served.store.stat(blob_key(digest))
    if stat is None:
        raise KeyMissing(blob_key(digest))
    return content(asked, stat.size, {**headers, "ETag": f'"{digest}"'}, partial(BlobSlice, digest))


def _verdicts(asked: FrontRequest, opened: Opened) -> Answer:
    """Under which verdicts a snapshot was published, in the order of its root."""
    headers = {**opened.headers, "ETag": f'"{opened.digest}-verdicts"'}
    if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
        return Answer(304, {name.replace("_", "-"): value for name, value in headers.items()})
    said = [{"rule": one.rule, "outcome": one.outcome, "reason": one.reason} for one in opened.root.verdicts]
    document = {"repo": opened.root.repo, "commit": opened.commit, "verdicts": said}
    return answers.json_text(encode_json(document).encode(), **headers)


def _not_made(name: str, of: str, switch: str) -> Refusal:
    return Refusal(404, f"{name} of {of} is not here: {switch}", "EntryNotFound", form="text")


def _one_of(names: Iterable[str]) -> str:
    return "|".join(name.replace(".", "\\.") for name in names)


_FIELDS = FIELDS | {
    "kinds": FIELDS["kinds"],
    "proof": _one_of([*_OF_SNAPSHOT, VERDICTS]),
    "statement": _one_of(_OF_REPO),
}

TRUST = Protocol(
    "trust",
    (
        Route(_SIGNERS, GET, "/-/trust/allowed_signers", needs=Need.ENTRY),
        Route("statement", GET, "/-/trust/{kinds}/{id}/{statement}", fields=_FIELDS, needs=Need.SEE),
        Route("proof", GET, "/-/trust/{kinds}/{id}/{rev}/{proof}", fields=_FIELDS, needs=Need.SEE),
    ),
    lambda served: TrustDocuments(served).answers,
    ("trust.js",),
    constants={
        "SWITCHES": _OF_SNAPSHOT,
        "OF_REPO": _OF_REPO,
        "TYPES": _TYPES,
        "KEY": _KEY,
        "VERDICTS": VERDICTS,
        "HELD": HELD,
        "SIGNERS": ALLOWED_SIGNERS,
    },
)
