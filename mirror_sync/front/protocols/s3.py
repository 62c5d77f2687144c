"""S3, to read from: buckets `models` and `datasets`, whose keys are `org/name/revision/path`.

Listings come from the shards of snapshots (s3_listing.py), files are the blobs that all doors give. Nothing is stored
for it, and nothing is written through it. A token of this mirror is the access key, and no signature is checked: see
docs/design/decisions/0064-a-door-for-s3.md. Source: Amazon S3 API reference, 2006-03-01; boto3 1.40, rclone 1.75,
s5cmd 2.3, s3fs and pyarrow, run against a front.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus

from mirror_sync.domain.access.rights import Need, Sight
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import S3_FORM, Answer, BlobSlice, Refusal
from mirror_sync.front.hub.conditions import content
from mirror_sync.front.hub.doorkeeper import named_repo
from mirror_sync.front.hub.front_request import Fields, FrontRequest, decoded
from mirror_sync.front.hub.hub_api import sees
from mirror_sync.front.hub.hub_lists import RepoListRequest
from mirror_sync.front.hub.protocol import FIELDS, GET, PART, Answering, NotOffered, Protocol, Route
from mirror_sync.front.hub.served import Elsewhere, Opened, Served
from mirror_sync.front.protocols.s3_addresses import BUCKETS, PRESIGNED, ROOT, SUBRESOURCES
from mirror_sync.front.protocols.s3_listing import (
    BAD_DELIMITER,
    BAD_ENCODING,
    BAD_KEYS,
    BAD_TOKEN,
    MOST_KEYS,
    MOST_READS,
    NAMESPACE,
    NO_DATE,
    OWNER,
    REPOS,
    XML_HEAD,
    KeyPage,
    KeyQuery,
    KeyWalk,
    as_xml,
    etag_of,
)

DOOR = "s3"
NOTHING_LISTED = "s3_nothing"  # the route that answers a listing of what is not there
NO_BUCKET = "No such bucket: a mirror has models and datasets"
NO_KEY = "No such key: keys are org/name/revision/path"
NOT_ONE = "This mirror has nothing of the kind: it lists keys and gives objects"
WITH_TOKEN = (
    "This URL has an access key in it, which is a token here: whoever has the one has the other. Sign in the headers, "  # noqa: S105
    "and have the token revoked where the URL went to others"
)
NOT_HELD = "The object is not the one that If-Match names"
REGION = "us-east-1"
_REGION = {"x-amz-bucket-region": REGION}


class S3Door:
    """Answers the routes below; raises Refusal, StoreError, DocumentError. Safe for many threads."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.answers: dict[str, Answering] = {
            "s3_buckets": self._buckets,
            "s3_location": self._location,
            "s3_bucket": self._bucket,
            "s3_none": partial(_refuse, 404, NO_BUCKET, "NoSuchBucket"),
            "s3_other": partial(_refuse, 501, NOT_ONE, ""),
            "s3_presigned": partial(_refuse, 403, WITH_TOKEN, ""),
            "s3_files": self._files,
            "s3_revisions": self._revisions,
            "s3_repos": self._repos,
            NOTHING_LISTED: self._nothing,
            "s3_object": self._object,
        }

    def _buckets(self, _asked: FrontRequest, _fields: Fields) -> Answer:
        every = "".join(f"<Bucket><Name>{one}</Name><CreationDate>{NO_DATE}</CreationDate></Bucket>" for one in BUCKETS)
        return _told(f'ListAllMyBucketsResult xmlns="{NAMESPACE}"', f"{OWNER}<Buckets>{every}</Buckets>")

    def _location(self, _asked: FrontRequest, _fields: Fields) -> Answer:
        return _told(f'LocationConstraint xmlns="{NAMESPACE}"', "")

    def _bucket(self, _asked: FrontRequest, _fields: Fields) -> Answer:
        return Answer(200, {"Content-Type": answers.XML, "Cache-Control": answers.LINKED, **_REGION})

    def _files(self, asked: FrontRequest, fields: Fields) -> Answer:
        page = KeyPage(KeyQuery.of(asked.query))
        prefix = decoded(fields["prefix"])
        base = page.query.prefix[: len(page.query.prefix) - len(prefix)]
        opened = self._open(fields)
        after = page.query.after.below(base)
        if after is not None:
            self._walk(asked, fields, page).files(opened, base, prefix, after)
        return _listed(fields, page)

    def _revisions(self, asked: FrontRequest, fields: Fields) -> Answer:
        page, base = KeyPage(KeyQuery.of(asked.query)), f"{fields['id']}/"
        after = page.query.after.below(base)
        refs = self._refs(fields)
        if after is not None:
            self._walk(asked, fields, page).revisions(refs, base, decoded(fields["part"]), after)
        return _listed(fields, page)

    def _repos(self, asked: FrontRequest, fields: Fields) -> Answer:
        page = KeyPage(KeyQuery.of(asked.query))
        try:
            self._served.expect_site()
            self._walk(asked, fields, page).repos()
        except Refusal as refusal:  # that there are no lists is no word of S3's for an empty bucket
            raise Refusal(501 if refusal.status == HTTPStatus.NOT_FOUND else refusal.status, refusal.message) from None
        return _listed(fields, page)

    def _nothing(self, asked: FrontRequest, fields: Fields) -> Answer:
        return _listed(fields, KeyPage(KeyQuery.of(asked.query)))

    def _walk(self, asked: FrontRequest, fields: Fields, page: KeyPage) -> KeyWalk:
        access, role, kinds = self._served.access, asked.reader.role, fields["kinds"]

        def repos(start: str, most: int) -> tuple[list[str], str | None]:
            wanted = RepoListRequest.of(kinds, f"limit={most}")
            wanted = RepoListRequest(wanted.kind, "", (), (), most, start)
            items, following = self._served.lists.page(wanted, partial(sees, access, role), everything=bool(role))
            return [str(json.loads(item)["id"]) for item in items], following

        def refs(one: str) -> Refs | None:
            repo = named_repo({"kinds": kinds, "id": one})
            found = None if repo is None else self._served.snapshots.refs(repo)
            if repo is None or found is None or found.tombstone is not None or not found.snapshots:
                return None
            closed = self._served.is_closed(repo)
            return None if access.decide(role, repo, closed=closed) is Sight.HIDDEN else found

        def opened(known: Refs, name: str) -> Opened:
            commit = known.leads_to(name)
            if commit is None:
                raise answers.revision_not_found()
            digest = known.snapshots[commit]
            return Opened(commit, self._served.snapshots.root(digest), digest, pinned=False)

        return KeyWalk(page, repos, refs, opened, lambda one, number: self._served.shards(one.root)(number))

    def _object(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened, path = self._open(fields), decoded(fields["path"])
        file = self._served.entry(opened, path, "file")
        digest, etag = Sha256(file["sha256"]), f'"{etag_of(file["sha256"])}"'
        if asked.headers.get("if-match", "*").strip() not in ("*", etag, etag.strip('"')):
            raise Refusal(412, NOT_HELD)
        headers = {
            "Content-Type": answers.media_type(path),
            "Cache-Control": answers.LINKED,
            "X-Repo-Commit": opened.commit,
            "ETag": etag,
            "Last-Modified": http_date(str(opened.root.last.get("date", ""))),
        }
        found = content(asked, int(file["size"]), headers, partial(BlobSlice, digest))
        if asked.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED" and found.status == HTTPStatus.OK:
            found.headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(digest)).decode()
            found.headers["x-amz-checksum-type"] = "FULL_OBJECT"
        return found

    def _open(self, fields: Fields) -> Opened:
        try:
            return self._served.open(fields)
        except Elsewhere:
            raise _none_here(fields) from None

    def _refs(self, fields: Fields) -> Refs:
        try:
            return self._served.refs_of(fields)
        except Elsewhere:
            raise _none_here(fields) from None


def _none_here(fields: Fields) -> Refusal:
    """Of a repo under another id: no client of S3 follows to it."""
    return answers.repo_not_found(named_repo(fields))


def _refuse(status: int, message: str, code: str, _asked: FrontRequest, _fields: Fields) -> Answer:
    raise Refusal(status, message, code)


def _listed(fields: Fields, page: KeyPage) -> Answer:
    return _xml(as_xml(fields["kinds"], page))


def _told(tag: str, body: str) -> Answer:
    return _xml(f"{XML_HEAD}<{tag}>{body}</{tag.partition(' ')[0]}>")


def _xml(text: str) -> Answer:
    return Answer(200, {"Content-Type": answers.XML, "Cache-Control": answers.LINKED, **_REGION}, text.encode())


def http_date(date: str) -> str:
    """A date of a commit as a header has it; the oldest for what is none."""
    try:
        at = datetime.fromisoformat(date or NO_DATE)
    except ValueError:
        at = datetime.fromisoformat(NO_DATE)
    return format_datetime(at.astimezone(UTC), usegmt=True)


_FIELDS = FIELDS | {
    "kinds": "|".join(BUCKETS),
    "id": f"{PART}/{PART}",
    "part": "[^/]*",
    "parts": "[^/]*(?:/[^/]*)?",
    "prefix": ".*",
    "any": ".*",
}


def _route(name: str, template: str, needs: Need, *, listing: bool = False) -> Route:
    return Route(name, GET, f"{ROOT}/{template}", fields=_FIELDS, needs=needs, listing=listing)


S3 = Protocol(
    "s3",
    (
        _route("s3_buckets", "buckets", Need.ENTRY),
        _route("s3_location", "location/{kinds}", Need.ENTRY),
        _route("s3_bucket", "bucket/{kinds}", Need.ENTRY),
        _route("s3_none", "none", Need.ENTRY),
        _route("s3_other", "other", Need.ENTRY),
        _route("s3_presigned", "presigned", Need.NOTHING),
        _route("s3_files", "list/{kinds}/{id}/{rev}/{prefix}!", Need.SEE, listing=True),
        _route("s3_revisions", "list/{kinds}/{id}/{part}!", Need.SEE, listing=True),
        _route("s3_repos", "list/{kinds}/{parts}!", Need.ENTRY),
        _route(NOTHING_LISTED, "list/{kinds}/{any}!", Need.ENTRY),
        _route("s3_object", "object/{kinds}/{id}/{rev}/{path}", Need.READ),
    ),
    lambda served: S3Door(served).answers,
    ("s3door.js",),
    locations="s3door.conf.j2",
    constants={
        "ROOT": ROOT,
        "BUCKETS": BUCKETS,
        "PRESIGNED": PRESIGNED,
        "SUBRESOURCES": SUBRESOURCES,
        "MOST_KEYS": MOST_KEYS,
        "MOST_READS": MOST_READS,
        "REPOS": REPOS,
        "NAMESPACE": NAMESPACE,
        "NO_DATE": NO_DATE,
        "OWNER": OWNER,
        "XML_HEAD": XML_HEAD,
        "REGION": REGION,
        "XML": answers.XML,
        "CODES": answers.S3_CODES,
        "STATUSES": {str(status): given for status, given in answers.S3_STATUSES.items()},
        "ERROR": answers.S3_ERROR,
        "WRITES": answers.S3_WRITES,
        "WORDS": {
            "bucket": NO_BUCKET,
            "other": NOT_ONE,
            "presigned": WITH_TOKEN,
            "held": NOT_HELD,
            "keys": BAD_KEYS,
            "token": BAD_TOKEN,
            "delimiter": BAD_DELIMITER,
            "encoding": BAD_ENCODING,
        },
    },
    lacks=(NotOffered(f"^{ROOT}(?:/.*)?$", NO_KEY, S3_FORM),),
    addresses=f"^{ROOT}(?:/.*)?$",
    form=S3_FORM,
    door=DOOR,
)
