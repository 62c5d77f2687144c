"""The Hub's API, made from snapshots: one method for every route. Nothing here knows a socket.

Source: huggingface_hub 0.36 to 2.4 (hf_api.py, file_download.py), run against a front; /docs/hub/api of the Hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from mirror_sync.domain.access.access_tokens import Badge
from mirror_sync.domain.access.rights import AccessRules, Need, Sight, closed_by
from mirror_sync.domain.catalogue.published_lists import Listed
from mirror_sync.domain.content.manifest import LFS_POINTER
from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.front.hub import answers, listing
from mirror_sync.front.hub.answers import Answer, BlobSlice, Refusal
from mirror_sync.front.hub.bodies import read_paths
from mirror_sync.front.hub.conditions import content, is_current
from mirror_sync.front.hub.doorkeeper import unauthorized
from mirror_sync.front.hub.front_request import Fields, FrontRequest, decoded
from mirror_sync.front.hub.hub_lists import RepoListRequest
from mirror_sync.front.hub.metalinks import described_by, duplicates
from mirror_sync.front.hub.protocol import FIELDS, GET, POST, Answering, NotOffered, Protocol, Route
from mirror_sync.front.hub.served import Opened, Served, Unanswered

_SIZELESS = re.compile(answers.SIZELESS)
_NOTHING: Mapping[str, str] = {}
_CURSOR = re.compile(r"([0-9a-f]{64})-(\d{1,9})-(\d{1,9})", re.ASCII)

# What ends in a known word is never taken for a repo id.
ROUTES = (
    Route("refs", GET, "/api/{kinds}/{id}/refs/?", needs=Need.SEE),
    Route("auth_check", GET, "/api/{kinds}/{id}/auth-check/?", needs=Need.READ),
    Route("xet_token", GET, "/api/{kinds}/{id}/xet-read-token/{rev}/?", needs=Need.READ),
    Route("revision", GET, "/api/{kinds}/{id}/revision/{rev}/?", needs=Need.SEE),
    Route("commits", GET, "/api/{kinds}/{id}/commits/{rev}/?", needs=Need.SEE),
    Route("tree", GET, "/api/{kinds}/{id}/tree/{rev}{folder}", needs=Need.SEE),
    Route("paths_info", POST, "/api/{kinds}/{id}/paths-info/{rev}/?", needs=Need.SEE),
    Route("harnesses", GET, "/api/agent-harnesses/?", needs=Need.NOTHING),
    Route("whoami", GET, "/api/whoami-v2/?", needs=Need.ENTRY),
    Route("organization", GET, "/api/organizations/{owner}/overview/?", needs=Need.ENTRY),
    Route("listed", GET, "/api/{kinds}/?", needs=Need.ENTRY),
    Route("repo", GET, "/api/{kinds}/{id}/?", needs=Need.SEE),
    Route("file", GET, "/{place}{id}/resolve/{rev}/{path}", needs=Need.READ),
    Route("raw", GET, "/{place}{id}/raw/{rev}/{path}", needs=Need.READ),
)

_ID = f"/{FIELDS['place']}{FIELDS['id']}"

# The first that matches speaks, of all that is no route and writes nothing.
LACKS = (
    NotOffered(
        f"^/+{_ID.removeprefix('/')}(?:\\.git)?/info/lfs/.*$",
        "This mirror has no git: download with hf download, or by the address of a file (/ID/resolve/main/PATH)",
        "lfs",
    ),
    NotOffered(
        f"^/+{_ID.removeprefix('/')}(?:\\.git)?/(?:info/refs|git-upload-pack|git-receive-pack|HEAD|objects/.*)$",
        "This mirror has no git: download with hf download, or by the address of a file (/ID/resolve/main/PATH)",
        "text",
    ),
    NotOffered("^/+(?:api/)?buckets(?:/.*)?$", "Only models, datasets, spaces and kernels are mirrored here"),
    NotOffered(
        "^/+api/organizations/[^/]+/overview/?$",
        "This mirror vouches for no kernels of this organization: front.kernel_publishers in its jobs.yaml says whose",
    ),
    NotOffered(
        "^/+(?:api/whoami.*|oauth/.*|login.*|join.*)$",
        "This mirror has no accounts: it asks for no token, and knows none",
    ),
    NotOffered(
        "^/+api/(?:organizations|users|collections|papers|daily_papers|trending|quicksearch|jobs|settings)(?:[/?].*)?$",
        "This mirror knows repos alone: no people, organizations, collections, papers or jobs",
    ),
    NotOffered(
        "^/+api/[a-z]+/.*/discussions.*$", "This mirror has no discussions and no pull requests: see them upstream"
    ),
)


class HubApi:
    """Answers the routes below; raises Refusal, Elsewhere, StoreError, DocumentError. Safe for many threads."""

    def __init__(self, served: Served) -> None:
        self._served, self._snapshots = served, served.snapshots
        self.answers: dict[str, Answering] = {
            "refs": self._refs,
            "auth_check": self._auth_check,
            "xet_token": self._xet_token,
            "revision": self._revision,
            "commits": self._commits,
            "tree": self._tree,
            "paths_info": self._paths_info,
            "harnesses": self._harnesses,
            "whoami": self._whoami,
            "organization": self._organization,
            "listed": self._listed,
            "repo": self._repo,
            "file": self._file,
            "raw": self._raw,
        }

    def _auth_check(self, _asked: FrontRequest, fields: Fields) -> Answer:
        self._served.refs_of(fields)
        return answers.json_answer({"ok": True})

    def _xet_token(self, _asked: FrontRequest, fields: Fields) -> Answer:
        """Of what is here no answer tells a Xet hash, so that nobody asks; an upstream to which a reader was redirected
        does.
        """
        self._served.refs_of(fields)
        raise Unanswered

    def _refs(self, _asked: FrontRequest, fields: Fields) -> Answer:
        return answers.json_answer(self._served.refs_of(fields).shown())

    def _harnesses(self, _asked: FrontRequest, _fields: Fields) -> Answer:
        """While this is missing every process of huggingface_hub asks again; anything else in it breaks downloads."""
        return Answer(200, {"Content-Type": answers.JSON, "Cache-Control": answers.SETTLED}, answers.HARNESSES.encode())

    def _whoami(self, asked: FrontRequest, _fields: Fields) -> Answer:
        """Whose token it is, as `hf auth login` and `hf auth whoami` ask."""
        if not self._served.tokens:
            raise Unanswered
        if asked.reader.badge is not Badge.HELD:
            raise unauthorized(answers.WHOSE if asked.reader.badge is Badge.NONE else answers.STRANGER)
        text = answers.WHOAMI.replace("{name}", asked.reader.name).replace("{role}", asked.reader.role)
        return answers.json_text(text.encode(), Cache_Control=answers.NEVER)

    def _organization(self, asked: FrontRequest, fields: Fields) -> Answer:
        """Who publishes kernels: their client loads none, before any file, of whom the answer does not vouch for."""
        if fields["owner"] not in self._served.kernel_publishers:
            raise Unanswered
        text = answers.PUBLISHER.replace("{owner}", fields["owner"])
        return answers.json_text(text.encode(), Cache_Control=answers.MOVING)

    def _listed(self, asked: FrontRequest, fields: Fields) -> Answer:
        self._served.expect_site()
        access, role = self._served.access, asked.reader.role
        items, following = self._served.lists.page(
            RepoListRequest.of(fields["kinds"], asked.query),
            partial(sees, access, role),
            everything=bool(role),
        )
        headers = {"Cache_Control": answers.MOVING}
        if following is not None:
            kept = [(name, value) for name, value in parse_qsl(asked.query) if name != "cursor"]
            query = urlencode([*kept, ("cursor", following)])
            headers |= asked.link(f"/api/{fields['kinds']}?{query}")
        return answers.json_text(f"[{','.join(items)}]".encode(), **headers)

    def _repo(self, asked: FrontRequest, fields: Fields) -> Answer:
        return self._revision(asked, {"rev": "main", **fields})

    def _revision(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened = self._served.open(fields)
        return self._document(asked, opened, opened.root.info, answers.UNKNOWN_COUNTS)

    def _commits(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened = self._served.open(fields)
        return self._document(asked, opened, opened.root.commits)

    def _document(self, asked: FrontRequest, opened: Opened, digest: Sha256, added: str = "") -> Answer:
        """A document of a snapshot; `added` are keys for the front of an object. The published text stays as it is."""
        headers = {**opened.headers, "ETag": f'"{digest}{answers.ADDED if added else ""}"'}
        if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
            return Answer(304, _named(headers))
        text = self._snapshots.document(digest)
        return answers.json_text(b"{" + added.encode() + text[1:] if added else text, **headers)

    def _tree(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened, folder = self._served.open(fields), "/".join(filter(None, decoded(fields["folder"]).split("/")))
        if folder:
            self._served.entry(opened, folder, "directory")
        expand, recursive = asked.is_set("expand"), asked.is_set("recursive")
        wanted, headers = listing.ListingRequest(folder, recursive), opened.headers
        page = listing.page(opened.root, self._served.shards(opened.root), wanted, _resumed(opened, folder, asked))
        if page.next is not None:
            path = f"/api/{fields['kinds']}/{fields['id']}/tree/{opened.commit}{fields['folder']}"
            headers |= asked.link(f"{path}?{_next_page(opened, wanted, page.next, expand=expand)}")
        return answers.json_text(listing.array(page.entries, opened.root.last if expand else None), **headers)

    def _paths_info(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened = self._served.open(fields)
        paths, expand = read_paths(asked.body, asked.headers.get("content-type", ""))
        entries = listing.find_all(opened.root, self._served.shards(opened.root), paths)
        last = opened.root.last if expand else None
        return answers.json_text(listing.array(entries, last), **opened.headers | {"Cache_Control": answers.NEVER})

    def _file(self, asked: FrontRequest, fields: Fields) -> Answer:
        opened, path = self._served.open(fields), decoded(fields["path"])
        file = self._served.entry(opened, path, "file")
        if asked.method == "HEAD" and not opened.pinned:
            # so that a client's HEAD and GET never meet two revisions.
            # Never for what is not there: who only asks whether a file exists follows no redirect, and believes it
            location = f"/{fields['place']}{fields['id']}/resolve/{opened.commit}/{fields['path']}"
            return asked.redirected(location, _named(opened.headers))
        answer = blob_of(asked, opened, path, file, described_by(asked.raw_path, fields, opened.commit))
        return replace(answer, links=duplicates(self._served, opened, fields))

    def _raw(self, asked: FrontRequest, fields: Fields) -> Answer:
        """A file as git keeps it: of one in LFS the pointer, which is made anew and proved by its git id."""
        opened, path = self._served.open(fields), decoded(fields["path"])
        file = self._served.entry(opened, path, "file")
        if "lfs" not in file:
            return blob_of(asked, opened, path, file)
        text = LFS_POINTER.format(digest=file["lfs"]["oid"], size=file["size"]).encode()
        if GitOid.of_blob(text) != file["oid"]:
            raise answers.pointer_not_known(opened.commit)
        headers = _headers_at(opened) | {"Content-Type": answers.TEXT, "ETag": f'"{file["oid"]}"'}
        return content(asked, len(text), headers, lambda start, stop: text[start:stop])


def sees(access: AccessRules, role: str, one: Listed) -> bool:
    """Whether a role may see a repo of a list: of what is listed for everybody only the name is looked at."""
    repo = Repo(one.kind, one.id)
    if not role:
        return access.may_be_public(repo)
    if access.decide(role, repo, closed=True) is not Sight.HIDDEN:
        return True
    return access.may_be_public(repo) and access.is_public(repo, closed=closed_by(json.loads(one.item)))


def _next_page(opened: Opened, wanted: listing.ListingRequest, place: listing.EntryPlace, *, expand: bool) -> str:
    """The query of the next page. It names this root: a listing never mixes two selections."""
    flags = f"recursive={wanted.recursive}&expand={expand}".lower()
    return f"{flags}&cursor={opened.digest}-{place.shard}-{place.entry}"


def _resumed(opened: Opened, folder: str, asked: FrontRequest) -> listing.EntryPlace | None:
    """Where the cursor of a request says that its page begins. Another root under the same commit ends a listing."""
    cursor = asked.argument("cursor")
    if not cursor:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise Refusal(400, answers.BAD_CURSOR)
    if found[1] != opened.digest:
        raise Refusal(410, answers.GONE)
    if int(found[2]) >= listing.end_shard(opened.root, folder):
        raise Refusal(400, answers.BAD_CURSOR)
    return listing.EntryPlace(int(found[2]), int(found[3]))


def _headers_at(opened: Opened) -> dict[str, str]:
    """Of what never changes under a commit."""
    caching = answers.IMMUTABLE if opened.pinned else answers.MOVING
    return {"Cache-Control": caching, "X-Repo-Commit": opened.commit}


def blob_of(
    asked: FrontRequest, opened: Opened, path: str, file: dict[str, Any], described: Mapping[str, str] = _NOTHING
) -> Answer:
    """A file of a snapshot, as the entry of its listing says. Raises Refusal for a range that cannot be had.

    `described`: headers that say where more is told of it.
    """
    size, etag = int(file["size"]), f'"{file["lfs"]["oid"] if "lfs" in file else file["oid"]}"'
    headers = _headers_at(opened) | {
        "Content-Type": answers.media_type(path),
        "ETag": etag,
        "X-Linked-Etag": etag,
        "X-Linked-Size": str(size),
        **answers.digests(Sha256(file["sha256"])),
        **described,
    }
    body = partial(BlobSlice, Sha256(file["sha256"]))
    if asked.method != "HEAD" or size <= answers.SIZE_SAID_UP_TO:
        return content(asked, size, headers, body)
    answer = content(asked, size, headers | {"Vary": "User-Agent"}, body)
    return answer.without_size() if _SIZELESS.search(asked.headers.get("user-agent", "")) else answer


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


HUB = Protocol("hub", ROUTES, lambda served: HubApi(served).answers, ("hub.js",), locations="hub.conf.j2", lacks=LACKS)
