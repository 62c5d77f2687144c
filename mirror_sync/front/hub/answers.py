"""What a front answers, as values: a status, headers, and bytes or a slice of a blob."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from typing import Any

from mirror_sync.domain.content.keys import Caching
from mirror_sync.domain.content.snapshot import encode_json
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo

# Values of Cache-Control.
IMMUTABLE = "public, max-age=31536000, immutable"  # bytes that are named by what they are, or by a commit
SETTLED = "public, max-age=60"  # what a commit's listing says: another selection of its files may be published
MOVING = "public, max-age=2"  # whatever a branch or tag leads to
LINKED = "private, max-age=2"  # what has a link in it that was made from what this client said
NEVER = "no-store"


def caching_words(caching: Caching) -> dict[str, str]:
    """What is said in the place of those of the above that jobs.yaml may have otherwise."""
    return {
        IMMUTABLE: f"public, max-age={caching.immutable}, immutable",
        MOVING: f"public, max-age={caching.pointers}",
        LINKED: f"private, max-age={caching.pointers}",
    }


SECURED = {"Strict-Transport-Security": "max-age=31536000"}
"""Of a front that speaks TLS: browsers come back by https alone. Not for its subdomains, of which it knows nothing."""

PREFIX = "X-Forwarded-Prefix"  # of a request, where a redirect leads: the Vary of such an answer
SAID = f"Host, X-Forwarded-Host, {PREFIX}, X-Forwarded-Proto"  # as above, of a link

# Of an info answer. A mirror knows neither; clients of 2023 and 2024 (huggingface_hub 0.19 to 0.23) end without them.
UNKNOWN_COUNTS = '"downloads":0,"likes":0,'
ADDED = "-counted"  # after the digest in the ETag of a text that such keys were added to

MOST_PATHS = 1000  # that one paths-info may ask for: the work of an answer is bounded by what was sent
LONGEST_ADDRESS = 16_384  # bytes of the path of a request, as it comes: that of a file has 4,096, tripled by percents

# Of a larger file a HEAD says no size to huggingface_hub from 1.31 on: it would want Xet and ask for no byte; without a
# size it takes that of the GET. Those before it fail without a size, and everybody else has a use for one.
SIZE_SAID_UP_TO = 50_000_000_000  # bytes
SIZELESS = r"\bhf_hub/(?:1\.(?:3[1-9]|[4-9][0-9]|[0-9]{3})|[2-9]|[1-9][0-9])"  # somewhere in a User-Agent

# What refusals say, in either front.
LONG_ADDRESS = "The address is too long"
BAD_PATH = "Bad path"
BAD_CURSOR = "Bad cursor"
BAD_BODY = "Bad body: paths are wanted, as a form or as JSON"
MANY_PATHS = f"Too many paths: {MOST_PATHS} at most are answered at once, ask for the others in another request"
GONE = "This listing has changed: start again"
NOTHING = "Nothing is here: this mirror gives the files, listings and info of models and datasets"
NO_METHOD = "This mirror is read-only: nothing can be uploaded, created, changed or deleted here; do it upstream"
NO_REPO = "Repository not found: it is not mirrored here"
NO_REVISION = "Revision not found: it is not mirrored here"
NO_ENTRY = "Entry not found"
NO_POINTER = "The LFS pointer of this file is not known here: /resolve/ in place of /raw/ has the file"
NO_SITE = "This mirror publishes no catalogue"
NO_DIGESTS = "Nothing is given by its digest alone here: front: {by_digest: true} in jobs.yaml would open it"
NO_LISTS = "This mirror publishes no lists of repos"
BAD_LIMIT = "Bad limit: a number above 0 is wanted"
BAD_GATED = "Bad gated: true or false is wanted"
YES_OR_NO = {"": None, "true": True, "1": True, "false": False, "0": False}
LIST_LIMITS = (
    "The lists of this mirror know author, search, filter, gated and limit, and sort by lastModified or createdAt"
)
UNKNOWN_ORDER = "This mirror does not know what others download or like: its lists sort by lastModified or createdAt"
MANY_SORTED = (
    "This mirror has too many repos to sort them for one answer: ask for those of one author, or in the order of names"
)
NO_RANGE = "Range not satisfiable"
BAD_BUCKET = "The mirror's bucket did not answer as it should"
NOT_ALL = "Nothing is given by its digest alone to those who may not read everything here"
WHOSE = "A token of this mirror is wanted (HF_TOKEN, hf auth login, or the password of curl -u name:token)"
STRANGER = "This token is none of this mirror, and what was asked for is not for everybody"
OUTSIDE = "Nobody may ask this mirror from {client}"
TOO_MUCH = "This is more at once than one reader may ask of this mirror: ask again in a second, or less at a time"
BARRED = {
    "expired": "The token {name} has expired: it was good until {said}",
    "revoked": "The token {name} was revoked on {said}",
    "away": "The token {name} is not good from {said}",
    "roleless": "The token {name} is of the role {said}, which this mirror does not have",
}
SEE_ONLY = "{repo} may be seen by the role {role}, and not read; ask {whom}"
CHALLENGE = 'Basic realm="mirror-sync: any name, and a token as the password", charset="UTF-8"'
BROKEN = "Internal error: the mirror's log says more"

# Whose token it is; a name and a role are of letters that stand in JSON as they are.
WHOAMI = (
    '{"type":"user","id":"{name}","name":"{name}","fullname":"{name} ({role})","isPro":false,"orgs":[],"auth":{"type":'
    '"access_token","accessToken":{"displayName":"{name}","role":"read"}}}'
)
PUBLISHER = '{"name":"{owner}","fullname":"{owner}","avatarUrl":"","type":"org","trustedKernelPublisher":true}'
"""Source: kernels 0.17.2, which asks for it before any file, and huggingface_hub's Organization."""
HARNESSES = '{"standardEnvVars":[],"harnesses":{}}'
LIST_PAGE = 1000  # repos of a list that one answer has at most
LIST_READS = 8  # pages of the catalogue's list that one answer reads, about: the work of an answer is bounded
SORTED_READS = 16  # that one answer in another order reads: all that are there
# What lists can be sorted by, newest first, as clients call it.
ORDERS = {
    "lastModified": "lastModified",
    "last_modified": "lastModified",
    "createdAt": "createdAt",
    "created_at": "createdAt",
}
# What a list may be asked for; those of the last two lines change nothing, since each answer has all that is known.
LIST_KEYS = {
    *("author", "search", "filter", "gated", "pipeline_tag", "library", "limit", "cursor", "sort"),
    *("expand", "full", "config", "cardData", "direction"),
}

# Of a repo of which nothing is published, by its state in the catalogue; DECIDED are refusals, the others may come.
STANDINGS = {
    "refused": "is refused by this mirror",
    "held": "is held back by this mirror until somebody has approved it",
    "gated": "is gated upstream, and this mirror has no access",
    "gone": "is no longer given by the upstream, and nothing of it is kept here",
    "dormant": "is not here for the moment: the next run of its job brings it again, now that it was asked for",
    "failed": "is asked for here, but could not be mirrored yet",
    "elsewhere": "is published in another place by the same operator, and not yet here",
    "never": "is asked for here, but not mirrored yet",
}
DECIDED = ("refused", "held", "gated")

MISSING = "missing.html"  # the catalogue's page for what is not here
UP = "@up/"  # stands in it for the way from a request's address up to the front's own

HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"
XML = "application/xml"

JSON_FORM, MODELSCOPE_FORM, REGISTRY_FORM, S3_FORM = "json", "modelscope", "oci", "s3"
# What a refusal is written as: its type, the key of the message, what stands beside it, and the key of a number that
# tells refusals apart; git shows text, git-lfs what its own API says, and ModelScope's clients what theirs does. A
# registry's has a list, of a code and the message; S3's is XML.
FORMS: dict[str, tuple[str, str, dict[str, object], str]] = {
    JSON_FORM: (JSON, "error", {}, ""),
    "text": (TEXT, "", {}, ""),
    "lfs": ("application/vnd.git-lfs+json", "message", {}, ""),
    MODELSCOPE_FORM: (JSON, "Message", {"Success": False, "Data": None, "RequestId": ""}, "Code"),
    REGISTRY_FORM: ("application/json", "errors", {}, ""),
    S3_FORM: (XML, "", {}, ""),
}
# ModelScope's numbers, by the Hub's words for the same; of others it is the status.
NUMBERS = {"RepoNotFound": 10010205001, "EntryNotFound": 10990101007}
# Codes of registries: by ours, else by the status; distribution-spec 1.1, "Error Codes".
OCI_CODES = {
    "RepoNotFound": "NAME_UNKNOWN",
    "RevisionNotFound": "MANIFEST_UNKNOWN",
    "EntryNotFound": "BLOB_UNKNOWN",
    "400": "NAME_INVALID",
    "401": "UNAUTHORIZED",
    "403": "DENIED",
    "404": "NAME_UNKNOWN",
    "405": "UNSUPPORTED",
    "416": "UNSUPPORTED",
    "429": "TOOMANYREQUESTS",
}

# Of S3, as of registries; and its status in the place of ours. Amazon S3 API reference, "Error responses".
S3_CODES = {
    "RepoNotFound": "NoSuchKey",
    "RevisionNotFound": "NoSuchKey",
    "EntryNotFound": "NoSuchKey",
    "NoSuchBucket": "NoSuchBucket",
    "400": "InvalidArgument",
    "401": "AccessDenied",
    "403": "AccessDenied",
    "404": "NoSuchKey",
    "405": "AccessDenied",
    "412": "PreconditionFailed",
    "413": "AccessDenied",
    "414": "KeyTooLongError",
    "416": "InvalidRange",
    "429": "SlowDown",
    "501": "NotImplemented",
    "502": "ServiceUnavailable",
}
S3_STATUSES = {401: 403, 405: 403, 413: 403, 414: 400, 429: 503, 502: 503}
S3_ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
S3_WRITES = (405, 413)  # what is written is refused in these words, whatever it was
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_NO_XML = r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"

# A mirrored page must never run on the mirror's origin: nothing is text/html.
MEDIA_TYPES = {"json": "application/json", **dict.fromkeys(("txt", "md", "py", "jinja", "csv"), TEXT)}

CHECKED = "no-cache"  # kept, and asked for again each time

# On every answer, whatever it is, beside those of cors.py.
SAFETY = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


# On a page of the catalogue, in place of these: it reads its own list, and nothing from anywhere else.
SITE_SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class BlobSlice:
    """The bytes [start, stop) of a blob."""

    digest: Sha256
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class JoinedSlices:
    """Bytes and slices of blobs, one after the other. `may_be_cold`: those of the blobs that go to a cold tier."""

    parts: tuple[bytes | BlobSlice, ...]
    may_be_cold: tuple[Sha256, ...] = ()

    @property
    def length(self) -> int:
        """All bytes of them."""
        return sum(len(part) if isinstance(part, bytes) else part.stop - part.start for part in self.parts)


@dataclass(frozen=True, slots=True)
class Answer:
    """`length` is the Content-Length, in bytes; a HEAD has the same and no body. Not `sized`: it has none. `links`:
    more headers Link, as aria2 reads one link of a header.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | BlobSlice | JoinedSlices = b""
    sized: bool = True
    links: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """The bytes of the body of a GET."""
        if isinstance(self.body, JoinedSlices):
            return self.body.length
        return self.body.stop - self.body.start if isinstance(self.body, BlobSlice) else len(self.body)

    def without_size(self) -> Answer:
        """The same answer without any word of the file's size."""
        kept = {name: value for name, value in self.headers.items() if name != "X-Linked-Size"}
        return replace(self, headers=kept, sized=False)


def kept_for(answer: Answer, caching: Caching, *, public: bool, varies: str) -> Answer:
    """An answer that no cache gives to other readers than those who may have it, or keeps for longer than it may.

    `varies`: in which headers of a request the tokens come that make a difference; empty where none do.
    """
    headers = dict(answer.headers)
    said = headers.get("Cache-Control")
    if said is not None:
        said = caching_words(caching).get(said, said)
        headers["Cache-Control"] = said if public else said.replace("public", "private")
    if varies:
        headers["Vary"] = ", ".join(filter(None, (headers.get("Vary", ""), varies)))
    return replace(answer, headers=headers)


class Refusal(Exception):
    """An answer that is an error; `code` is the Hub's X-Error-Code, by which its clients tell errors apart."""

    def __init__(self, status: int, message: str, code: str = "", *, form: str = JSON_FORM, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.form = status, message, code, form
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.repo: Repo | None = None  # that is not published, where that is why

    @property
    def answer(self) -> Answer:
        """The refusal as an answer, in the form that who asks can show."""
        if self.form == S3_FORM:
            return self._of_s3()
        media_type, key, beside, number = FORMS[self.form]
        headers = {
            "Content-Type": media_type,
            "Cache-Control": NEVER,
            "X-Error-Message": _plain(self.message),
            **self.headers,
        }
        if self.code:
            headers["X-Error-Code"] = self.code
        said: object = self.message
        if self.form == REGISTRY_FORM:
            code = OCI_CODES.get(self.code) or OCI_CODES.get(str(self.status), "UNKNOWN")
            said = [{"code": code, "message": self.message}]
        told = {**beside, **({number: NUMBERS.get(self.code, self.status)} if number else {}), key: said}
        body = encode_json(told) if key else f"{self.message}\n"
        return Answer(self.status, headers, body.encode())

    def _of_s3(self) -> Answer:
        """Nobody who speaks S3 is asked for a name and a password, and nothing is written."""
        message = NO_METHOD if self.status in S3_WRITES else self.message
        headers = {"Content-Type": XML, "Cache-Control": NEVER, "X-Error-Message": _plain(message), **self.headers}
        headers = {name: value for name, value in headers.items() if name not in ("WWW-Authenticate", "Allow")}
        if self.code:
            headers["X-Error-Code"] = self.code
        code = S3_CODES.get(self.code) or S3_CODES.get(str(self.status), "InternalError")
        body = S3_ERROR.format(code=code, message=in_xml(message))
        return Answer(S3_STATUSES.get(self.status, self.status), headers, body.encode())

    def in_form(self, form: str) -> Refusal:
        """The same in the form of an address, where it is not meant for a program of its own."""
        if self.form == JSON_FORM:
            self.form = form
        return self


def in_xml(text: str) -> str:
    """As a text of XML can have it; what no XML can hold is a question mark."""
    return re.sub('[&<>"]', lambda one: _MARKUP[one[0]], re.sub(_NO_XML, "?", text))


def _plain(message: str) -> str:
    """As a header can have it: a reason has whatever letters an upstream likes."""
    return re.sub(r"[^ -~]+", "?", " ".join(message.split()))


def repo_not_found(repo: Repo | None = None) -> Refusal:
    """The refusal of a repo that is not mirrored."""
    refusal = Refusal(404, NO_REPO, "RepoNotFound")
    refusal.repo = repo
    return refusal


def revision_not_found() -> Refusal:
    """The refusal of a revision that is not mirrored."""
    return Refusal(404, NO_REVISION, "RevisionNotFound")


def entry_not_found(commit: CommitId | None = None) -> Refusal:
    """The refusal of a path that a commit does not have."""
    pinned = {} if commit is None else {"X_Repo_Commit": commit}
    return Refusal(404, NO_ENTRY, "EntryNotFound", **pinned)


def pointer_not_known(commit: CommitId) -> Refusal:
    """The refusal of an LFS pointer that the snapshot does not keep."""
    return Refusal(404, NO_POINTER, "EntryNotFound", X_Repo_Commit=commit)


def json_answer(value: Any, **headers: str) -> Answer:
    """An answer that is JSON, from a value."""
    return json_text(encode_json(value).encode(), **headers)


def json_text(body: bytes, **headers: str) -> Answer:
    """An answer of JSON that is written already; header names have `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(200, {"Content-Type": JSON, "Cache-Control": MOVING, **named}, body)


def digests(digest: Sha256) -> dict[str, str]:
    """Headers that say what the whole of a file is, also where a part of it is given.

    `Digest` is of the instance (RFC 3230, 4.3.2), which aria2 checks; `Repr-Digest` of the representation (RFC 9530).
    """
    value = base64.b64encode(bytes.fromhex(digest)).decode()
    return {"Digest": f"SHA-256={value}", "Repr-Digest": f"sha-256=:{value}:"}


def media_type(path: str) -> str:
    """By the suffix of a path; a name that only begins with a dot has none, as for nginx."""
    stem, _, suffix = path.rpartition("/")[2].rpartition(".")
    return MEDIA_TYPES.get(suffix.lower(), BINARY) if stem else BINARY
