"""The API by which ModelScope's clients read, made from snapshots of whatever source: listings, files, names, info.

Source: modelscope 1.25.0, 1.37.1 and 1.40.2 (modelscope_hub 0.5.1), run against a front. Who is told no revision asks
for `master`, or takes the newest of the `Tags` where there is one: all names stand among the `Branches` here, so that
every client is given the default branch, and may ask for a commit: docs/design/decisions/0059-a-door-for-modelscope.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mirror_sync.domain.access.rights import Need
from mirror_sync.domain.content.refs import DEFAULT_BRANCH, Refs
from mirror_sync.domain.content.snapshot import Root, encode_json
from mirror_sync.front.hub import answers, listing
from mirror_sync.front.hub.answers import MODELSCOPE_FORM, Answer, Refusal
from mirror_sync.front.hub.front_request import Fields, FrontRequest, decoded
from mirror_sync.front.hub.hub_api import blob_of
from mirror_sync.front.hub.listing import EntryPage, ListingRequest
from mirror_sync.front.hub.protocol import FIELDS, GET, PART, Answering, NotOffered, Protocol, Route
from mirror_sync.front.hub.served import Opened, Served

MASTER = "master"  # ModelScope's name of the default branch
MOST_LISTED = 20_000  # entries of one answer
MOST_SHARDS = 2500  # that are counted on the way to a page: a million entries
PAGE_SIZE = 100  # entries, where the client asks for pages of no size
PUBLIC, PRIVATE = 5, 1  # of `Visibility`
GENERAL = 4  # the `Type` of a dataset that is a folder of files
MANY_ENTRIES = (
    f"More than {MOST_LISTED} entries are not listed at once: ask for a folder (Root), of a dataset for pages "
    "(PageNumber, PageSize), or use hf download"
)
BAD_PAGE = f"Bad page: PageNumber and PageSize are numbers above 0, PageSize up to {MOST_LISTED}"
# What nginx makes once for all who ask: nothing of it depends on more than its address.
ASKED_BY_MANY = "(?:open)?api/v1/(?:models|datasets)/[^/]+/[^/]+(?:/repo/(?:files|tree)|/revisions)?/?"
NO_LOGIN = "Nobody logs in to this mirror: set MODELSCOPE_API_TOKEN to a token of its own, where it asks for one"
NO_SEARCH = "This mirror is searched by its catalogue and by the Hub's lists (/api/models?search=), not by ModelScope's"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _PageWanted:
    """What is asked for of a listing: all that is in a folder, or a page of it. Pages count from 1; 0 is all."""

    request: ListingRequest
    number: int
    size: int

    @classmethod
    def of(cls, asked: FrontRequest, *, paged: bool) -> _PageWanted:
        """Refusal 400 for what is no page."""
        folder = "/".join(filter(None, asked.argument("Root").split("/")))
        request = ListingRequest(folder, asked.is_set("Recursive"))
        if not paged or not asked.argument("PageNumber"):
            return cls(request, 0, MOST_LISTED)
        texts = asked.argument("PageNumber"), asked.argument("PageSize") or str(PAGE_SIZE)
        if not all(map(_NUMBER.fullmatch, texts)) or int(texts[1]) > MOST_LISTED:
            raise Refusal(400, BAD_PAGE)
        return cls(request, int(texts[0]), int(texts[1]))

    @property
    def before(self) -> int:
        """How many entries stand on the pages before."""
        return max(self.number - 1, 0) * self.size


class ModelScopeApi:
    """Answers the routes below; raises Refusal, Elsewhere, StoreError, DocumentError. Safe for many threads."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.answers: dict[str, Answering] = {
            "ms_files": self._files,
            "ms_tree": self._tree,
            "ms_file": self._file,
            "ms_revisions": self._revisions,
            "ms_info": self._info,
            "ms_open_info": self._open_info,
        }

    def _files(self, asked: FrontRequest, fields: Fields) -> Answer:
        return self._listing(asked, fields, paged=False)

    def _tree(self, asked: FrontRequest, fields: Fields) -> Answer:
        return self._listing(asked, fields, paged=True)

    def _listing(self, asked: FrontRequest, fields: Fields, *, paged: bool) -> Answer:
        opened, wanted = self._open(fields), _PageWanted.of(asked, paged=paged)
        page = self._page(opened.root, wanted)
        if page.next is not None and (not wanted.number or len(page.entries) < wanted.size):
            raise Refusal(413, MANY_ENTRIES)  # a client takes a short page, or the only one, for the end
        at = _seconds(opened.root.last.get("date", ""))
        entries = ",\n".join(_entry(json.loads(line), at) for line in page.entries)
        return _told(f'{{"Files":[{entries}]}}', opened.headers)

    def _page(self, root: Root, wanted: _PageWanted) -> EntryPage:
        read, request = self._served.shards(root), wanted.request
        first, end = listing.first_shard(root, request.folder), listing.end_shard(root, request.folder)
        if wanted.number and end - first > MOST_SHARDS:
            raise Refusal(413, MANY_ENTRIES)  # already on the first: a client may take a later refusal for the end
        if not request.recursive or not wanted.before:
            return _cut(root, read, wanted)
        entries = self._served.snapshots.entries
        place = listing.place_after(
            root, read, lambda number: entries(root.shards[number].digest), request.folder, wanted.before
        )
        return EntryPage([], None) if place is None else listing.page(root, read, request, place, wanted.size)

    def _file(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened, path = self._open(fields), decoded(fields["path"])
        return blob_of(asked, opened, path, self._served.entry(opened, path, "file"))

    def _revisions(self, _asked: FrontRequest, fields: Fields) -> Answer:
        names = dict.fromkeys(_names(self._served.refs_of(fields)))
        branches = [{"Revision": name, "ShowName": name, "CreatedAt": 0} for name in names]
        return _told(encode_json({"RevisionMap": {"Branches": branches, "Tags": []}}), {})

    def _info(self, _asked: FrontRequest, fields: Fields) -> Answer:
        opened = self._open(fields)
        known = _UpstreamWords.of(opened.root, self._served.snapshots.described(opened.root))
        owner, _, name = fields["id"].partition("/")
        about = {
            "Id": fields["id"],
            "Name": name,
            "Path": owner,
            "Owner": owner,
            "Type": GENERAL,
            "Visibility": PRIVATE if known.private else PUBLIC,
            "License": known.license,
            "Tags": known.tags,
            "Revision": opened.commit,
            "LastUpdatedTime": known.at,
            "StorageSize": opened.root.size,
            "Downloads": 0,
            "Stars": 0,
        }
        return _told(encode_json(about), opened.headers)

    def _open_info(self, _asked: FrontRequest, fields: Fields) -> Answer:
        """As newer clients ask, by keys of another case."""
        opened = self._open(fields)
        known = _UpstreamWords.of(opened.root, self._served.snapshots.described(opened.root))
        about = {
            "id": fields["id"],
            "display_name": fields["id"].partition("/")[2],
            "license": known.license,
            "tags": known.tags,
            "private": known.private,
            "gated": known.gated,
            "file_size": opened.root.size,
            "last_modified": opened.root.last.get("date", ""),
            "downloads": 0,
            "likes": 0,
        }
        return answers.json_answer({"success": True, "request_id": "", "data": about}, **opened.headers)

    def _open(self, fields: Fields) -> Opened:
        """The snapshot that a revision leads to; of a repo without a main branch `master` is what it is called."""
        main = decoded(fields["rev"]) == DEFAULT_BRANCH
        if main and self._served.refs_of(fields).leads_to(DEFAULT_BRANCH) is None:
            return self._served.open({**fields, "rev": MASTER})
        return self._served.open(fields)


@dataclass(frozen=True, slots=True)
class _UpstreamWords:
    """What an upstream said of a repo; `at` is when its commit was made, in seconds since 1970."""

    private: bool
    gated: bool
    license: str
    tags: list[str]
    at: int

    @classmethod
    def of(cls, root: Root, said: Mapping[str, Any]) -> _UpstreamWords:
        """What is not said is empty; what is not said to be open is private, and gated."""
        card, tags = said.get("cardData"), said.get("tags")
        name = card.get("license") if isinstance(card, dict) else None
        words = [one for one in (tags if isinstance(tags, list) else []) if isinstance(one, str)]
        return cls(
            said.get("private") is not False,
            said.get("gated") is not False,
            name if isinstance(name, str) else "",
            words,
            _seconds(root.last.get("date", "")),
        )


def _cut(root: Root, read: listing.ReadShard, wanted: _PageWanted) -> EntryPage:
    """A page of what is listed from its beginning on, which is not far."""
    if wanted.before + wanted.size > MOST_LISTED:
        raise Refusal(413, MANY_ENTRIES)
    page = listing.page(root, read, wanted.request, None, wanted.before + wanted.size)
    return EntryPage(page.entries[wanted.before :], page.next)


def _names(refs: Refs) -> Iterator[str]:
    """All that may be asked for, the default branch first."""
    if refs.leads_to(DEFAULT_BRANCH) is not None:
        yield MASTER
    shown = refs.shown()
    for one in (*shown["branches"], *shown["tags"]):
        yield one["name"]
    yield from sorted(refs.snapshots)


def _entry(entry: Mapping[str, Any], at: int) -> str:
    """An entry of a listing as ModelScope has it. `Revision` is what its clients know a cached file by.

    There it is the commit that changed the file last, which no listing of the Hub tells; here the git id of its
    content, which changes when the file does, and not with every commit.
    """
    path, file = str(entry["path"]), entry["type"] == "file"
    return encode_json(
        {
            "Name": path.rpartition("/")[2],
            "Path": path,
            "Type": "blob" if file else "tree",
            "Size": entry["size"],
            "Sha256": entry["sha256"] if file else "",
            "IsLFS": "lfs" in entry,
            "Revision": entry["oid"],
            "CommittedDate": at,
        }
    )


def _seconds(date: str) -> int:
    """Since 1970; 0 for what is no date of ours."""
    try:
        return int(datetime.fromisoformat(date).timestamp())
    except (ValueError, OverflowError):
        return 0


def _told(about: str, headers: Mapping[str, str]) -> Answer:
    body = f'{{"Code":200,"Data":{about},"Message":"success","RequestId":"","Success":true}}'
    return answers.json_text(body.encode(), **headers)


_FIELDS = FIELDS | {"kinds": "models|datasets", "id": f"{PART}/{PART}"}
_REVISION = {"rev": "Revision"}
_MAINS = ("", MASTER)


def _route(name: str, end: str, query: Mapping[str, str], need: Need = Need.SEE, start: str = "/api/v1") -> Route:
    template = f"{start}/{{kinds}}/{{id}}{end}/?"
    return Route(name, GET, template, fields=_FIELDS, needs=need, query=query, mains=_MAINS)


MODELSCOPE = Protocol(
    "modelscope",
    (
        _route("ms_files", "/repo/files", _REVISION),
        _route("ms_tree", "/repo/tree", _REVISION),
        _route("ms_file", "/repo", {**_REVISION, "path": "FilePath"}, Need.READ),
        _route("ms_revisions", "/revisions", {}),
        _route("ms_info", "", _REVISION),
        _route("ms_open_info", "", _REVISION, start="/openapi/v1"),
    ),
    lambda served: ModelScopeApi(served).answers,
    ("modelscope.js",),
    constants={
        "MASTER": MASTER,
        "MOST_LISTED": MOST_LISTED,
        "MOST_SHARDS": MOST_SHARDS,
        "PAGE_SIZE": PAGE_SIZE,
        "MANY_ENTRIES": MANY_ENTRIES,
        "BAD_PAGE": BAD_PAGE,
        "PUBLIC": PUBLIC,
        "PRIVATE": PRIVATE,
        "GENERAL": GENERAL,
    },
    lacks=(
        NotOffered("^/+api/v1/login/?$", NO_LOGIN, MODELSCOPE_FORM),
        NotOffered("^/+(?:openapi|api)/v1/(?:models|datasets)/?$", NO_SEARCH, MODELSCOPE_FORM),
    ),
    addresses="^/+(?:openapi|api)/v1/",
    form=MODELSCOPE_FORM,
    cookie="m_session_id",  # the older clients send a token in nothing else
)
