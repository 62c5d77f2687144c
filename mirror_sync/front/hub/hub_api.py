"""The Hub's answers, made from snapshots: one method for every route of routes.py. Nothing here knows a socket.

Source: huggingface_hub 0.36 to 2.4 (hf_api.py, file_download.py), run against a front; /docs/hub/api of the Hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import LFS_POINTER, MAX_PATH_BYTES
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.hub import answers, catalogue_pages, listing, routes
from mirror_sync.front.hub.answers import Answer, BlobSlice, Refusal
from mirror_sync.front.hub.bodies import TRUE, read_paths
from mirror_sync.front.hub.conditions import byte_range, is_current
from mirror_sync.front.hub.cors import PREFLIGHT
from mirror_sync.front.hub.hub_lists import Lists, RepoListRequest
from mirror_sync.front.hub.reasons import Reasons
from mirror_sync.front.hub.snapshots import Snapshots
from mirror_sync.ports.store import MAX_TREE, Store

_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_SIZELESS = re.compile(answers.SIZELESS)
_CURSOR = re.compile(r"([0-9a-f]{64})-(\d{1,9})-(\d{1,9})", re.ASCII)

Fields = Mapping[str, str]
"""What stood in the fields of a route, still percent-encoded."""


@dataclass(frozen=True, slots=True)
class HubRequest:
    """A request: the path as it came, header names in lower case.

    `origin` is the public `scheme://host` with the `prefix` below which clients find this front, each "" where nothing
    is known. `told`: they are what the client said, and not for others to see.
    """

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    origin: str
    body: bytes = b""
    told: bool = True
    prefix: str = ""

    def redirected(self, target: str, headers: dict[str, str]) -> Answer:
        """A 307 to one of our own addresses: an absolute path, the only form that clients of all ages follow."""
        private = {"Cache-Control": answers.LINKED} if self.prefix else {}
        said = {"Vary": answers.PREFIX, **private} if self.told else {}
        return Answer(307, {"Location": self.prefix + target, **headers, **said})

    def argument(self, name: str) -> str:
        return parse_qs(self.query).get(name, [""])[-1]

    def is_set(self, name: str) -> bool:
        return self.argument(name).lower() in TRUE


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot that a request leads to; `pinned` when the request named the commit itself."""

    commit: CommitId
    root: Root
    digest: Sha256
    pinned: bool

    @property
    def headers(self) -> dict[str, str]:
        caching = answers.SETTLED if self.pinned else answers.MOVING
        return {"X_Repo_Commit": self.commit, "Cache_Control": caching}


class _Elsewhere(Exception):
    """What was asked for is published under another id."""

    def __init__(self, fields: Fields, repo: Repo) -> None:
        super().__init__(str(repo))
        self._fields, self._repo = fields, repo

    def answer(self, asked: HubRequest) -> Answer:
        """A 307 to the same under the other id, as the Hub's: an absolute path, which the oldest clients follow too."""
        fields = self._fields
        before = f"/api/{fields['kinds']}/" if "kinds" in fields else f"/{fields['place']}"
        after = f"/{asked.raw_path.lstrip('/')}".removeprefix(before + fields["id"])
        query = f"?{asked.query}" if asked.query else ""
        return asked.redirected(f"{before}{self._repo.id}{after}{query}", {"Cache-Control": answers.MOVING})


class Hub:
    """Answers requests; raises Refusal, StoreError, DocumentError. Safe for many threads.

    Without a `site` no address leads to the catalogue; only with `by_digest` are contents given by their digest alone,
    and only with `preflight` is a browser told that a page of another origin may ask.
    """

    def __init__(
        self,
        store: Store,
        snapshots: Snapshots,
        *,
        site: bool = True,
        by_digest: bool = False,
        preflight: bool = True,
        refs_seconds: float = 1.0,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._site_published = site
        self._lists = Lists(store, refs_seconds)
        self._reasons = Reasons(store, self._lists) if site else None
        self._by_digest = by_digest
        self._preflight = preflight

    def answer(self, asked: HubRequest) -> Answer:
        try:
            return self._answer(asked)
        except Refusal as refusal:
            if self._reasons is None:
                raise
            browser = asked.method in routes.GET and "text/html" in asked.headers.get("accept", "").lower()
            return self._reasons.answer(refusal, asked.raw_path, asked.origin, browser=browser)

    def _answer(self, asked: HubRequest) -> Answer:
        if len(asked.raw_path) > answers.LONGEST_ADDRESS:
            raise Refusal(414, answers.LONG_ADDRESS)
        if routes.has_dots(asked.raw_path) or _BAD_PERCENT.search(asked.raw_path):
            raise Refusal(400, answers.BAD_PATH)
        if asked.method == "OPTIONS" and self._preflight:
            return Answer(204, dict(PREFLIGHT))
        match = routes.match(asked.raw_path)
        if match is None:
            raise _lacking(asked)
        if asked.method not in match.route.methods:
            raise Refusal(405, answers.NO_METHOD, Allow=", ".join(match.route.methods))
        try:
            answer: Answer = getattr(self, f"_{match.route.name}")(asked, match.fields)
        except _Elsewhere as elsewhere:
            return elsewhere.answer(asked)
        return answer

    def _healthz(self, _asked: HubRequest, _fields: Fields) -> Answer:
        return Answer(200, {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": answers.NEVER}, b"ok\n")

    def _root(self, _asked: HubRequest, _fields: Fields) -> Answer:
        self._expect_site()
        return catalogue_pages.to_home()

    def _site(self, asked: HubRequest, fields: Fields) -> Answer:
        return catalogue_pages.page(self._store, fields["page"] or "index.html", asked.headers.get("if-none-match"))

    def _page(self, _asked: HubRequest, fields: Fields) -> Answer:
        self._expect_site()
        self._refs_of(fields)
        return catalogue_pages.to_page(fields["place"], fields["id"])

    def _expect_site(self) -> None:
        if not self._site_published:
            raise Refusal(404, answers.NO_SITE)

    def _blob(self, asked: HubRequest, fields: Fields) -> Answer:
        if not self._by_digest:
            raise Refusal(404, answers.NO_DIGESTS)
        digest = Sha256(fields["digest"])
        stat = self._store.stat(blob_key(digest)) if digest.startswith(fields["shelf"]) else None
        if stat is None:
            raise answers.entry_not_found()
        headers = {"Content-Type": answers.BINARY, "Cache-Control": answers.IMMUTABLE, "ETag": f'"{digest}"'}
        return _content(asked, stat.size, headers, partial(BlobSlice, digest))

    def _auth_check(self, _asked: HubRequest, fields: Fields) -> Answer:
        self._refs_of(fields)
        return answers.json_answer({"ok": True})

    def _refs(self, _asked: HubRequest, fields: Fields) -> Answer:
        document = json.loads(self._refs_of(fields).encode())
        for ours in ("snapshots", "gone"):
            document.pop(ours, None)
        return answers.json_answer(document)

    def _harnesses(self, _asked: HubRequest, _fields: Fields) -> Answer:
        """While this is missing every process of huggingface_hub asks again; anything else in it breaks downloads."""
        return Answer(200, {"Content-Type": answers.JSON, "Cache-Control": answers.SETTLED}, answers.HARNESSES.encode())

    def _listed(self, asked: HubRequest, fields: Fields) -> Answer:
        self._expect_site()
        if fields["kinds"] == "spaces":
            raise _lacking(asked)
        items, following = self._lists.page(RepoListRequest.of(fields["kinds"], asked.query))
        headers = {"Cache_Control": answers.MOVING}
        if following is not None:
            kept = [(name, value) for name, value in parse_qsl(asked.query) if name != "cursor"]
            query = urlencode([*kept, ("cursor", following)])
            headers |= _link(asked, f"/api/{fields['kinds']}?{query}")
        return answers.json_text(f"[{','.join(items)}]".encode(), **headers)

    def _repo(self, asked: HubRequest, fields: Fields) -> Answer:
        return self._revision(asked, {**fields, "rev": "main"})

    def _revision(self, asked: HubRequest, fields: Fields) -> Answer:
        opened = self._open(fields)
        return self._document(asked, opened, opened.root.info, answers.UNKNOWN_COUNTS)

    def _commits(self, asked: HubRequest, fields: Fields) -> Answer:
        opened = self._open(fields)
        return self._document(asked, opened, opened.root.commits)

    def _document(self, asked: HubRequest, opened: Opened, digest: Sha256, added: str = "") -> Answer:
        """A document of a snapshot; `added` are keys for the front of an object. The published text stays as it is."""
        headers = {**opened.headers, "ETag": f'"{digest}{answers.ADDED if added else ""}"'}
        if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
            return Answer(304, _named(headers))
        text = self._snapshots.document(digest)
        return answers.json_text(b"{" + added.encode() + text[1:] if added else text, **headers)

    def _tree(self, asked: HubRequest, fields: Fields) -> Answer:
        opened, folder = self._open(fields), "/".join(filter(None, _decoded(fields["folder"]).split("/")))
        if folder:
            self._expect(opened, folder, "directory")
        expand, recursive = asked.is_set("expand"), asked.is_set("recursive")
        wanted, headers = listing.ListingRequest(folder, recursive), opened.headers
        page = listing.page(opened.root, self._reader(opened.root), wanted, _resumed(opened, folder, asked))
        if page.next is not None:
            path = f"/api/{fields['kinds']}/{fields['id']}/tree/{opened.commit}{fields['folder']}"
            headers |= _link(asked, f"{path}?{_next_page(opened, wanted, page.next, expand=expand)}")
        return answers.json_text(listing.array(page.entries, opened.root.last if expand else None), **headers)

    def _paths_info(self, asked: HubRequest, fields: Fields) -> Answer:
        opened = self._open(fields)
        paths, expand = read_paths(asked.body, asked.headers.get("content-type", ""))
        entries = listing.find_all(opened.root, self._reader(opened.root), paths)
        last = opened.root.last if expand else None
        return answers.json_text(listing.array(entries, last), **opened.headers | {"Cache_Control": answers.NEVER})

    def _file(self, asked: HubRequest, fields: Fields) -> Answer:
        opened, path = self._open(fields), _decoded(fields["path"])
        file = self._expect(opened, path, "file")
        if asked.method == "HEAD" and not opened.pinned:
            # so that a client's HEAD and GET never meet two revisions.
            # Never for what is not there: who only asks whether a file exists follows no redirect, and believes it
            location = f"/{fields['place']}{fields['id']}/resolve/{opened.commit}/{fields['path']}"
            return asked.redirected(location, _named(opened.headers))
        return _blob_of(asked, opened, path, file)

    def _raw(self, asked: HubRequest, fields: Fields) -> Answer:
        """A file as git keeps it: of one in LFS the pointer, which is made anew and proved by its git id."""
        opened, path = self._open(fields), _decoded(fields["path"])
        file = self._expect(opened, path, "file")
        if "lfs" not in file:
            return _blob_of(asked, opened, path, file)
        text = LFS_POINTER.format(digest=file["lfs"]["oid"], size=file["size"]).encode()
        if GitOid.of_blob(text) != file["oid"]:
            raise answers.pointer_not_known(opened.commit)
        headers = _headers_at(opened) | {"Content-Type": answers.TEXT, "ETag": f'"{file["oid"]}"'}
        return _content(asked, len(text), headers, lambda start, stop: text[start:stop])

    def _open(self, fields: Fields) -> Opened:
        revision = _decoded(fields["rev"])
        refs = self._refs_of(fields)
        commit = refs.commit_of(revision)
        if commit is None:
            raise answers.revision_not_found()
        digest = refs.snapshots[commit]
        return Opened(commit, self._snapshots.root(digest), digest, pinned=revision == commit)

    def _refs_of(self, fields: Fields) -> Refs:
        plural = fields.get("kinds") or fields["place"].rstrip("/") or Kind.MODEL.plural
        try:
            repo = Repo(Kind(plural.removesuffix("s")), fields["id"])
        except ValueError:
            raise answers.repo_not_found() from None
        refs = self._snapshots.published(repo)
        if refs is not None:
            return refs
        other = self._snapshots.published_by_alias(repo)
        if other is not None:
            raise _Elsewhere(fields, other)
        raise answers.repo_not_found(repo)

    def _reader(self, root: Root) -> listing.ReadShard:
        return lambda number: self._snapshots.document(root.shards[number].digest, MAX_TREE)

    def _expect(self, opened: Opened, path: str, kind: str) -> dict[str, Any]:
        """The entry of a path: `kind` is file or directory."""
        known = len(path) <= MAX_PATH_BYTES  # no listing has a longer one
        found = listing.find(self._reader(opened.root)(opened.root.shard_for(path)), path) if known else None
        entry: dict[str, Any] = {} if found is None else json.loads(found)
        if entry.get("type") != kind:
            raise answers.entry_not_found(opened.commit)
        return entry


def _lacking(asked: HubRequest) -> Refusal:
    """What is no route: with the words for what a mirror does not do."""
    lack = routes.lack(asked.raw_path)
    if asked.method not in routes.GET and (lack is None or lack.form == "json"):
        return Refusal(405, answers.NO_METHOD, Allow=", ".join(routes.GET))
    return Refusal(404, answers.NOTHING) if lack is None else Refusal(404, lack.message, form=lack.form)


def _link(asked: HubRequest, target: str) -> dict[str, str]:
    link = {"Link": f'<{asked.origin}{target}>; rel="next"'}
    return link | ({"Cache_Control": answers.LINKED, "Vary": answers.SAID} if asked.told else {})


def _next_page(opened: Opened, wanted: listing.ListingRequest, place: listing.EntryPlace, *, expand: bool) -> str:
    """The query of the next page. It names this root: a listing never mixes two selections."""
    flags = f"recursive={wanted.recursive}&expand={expand}".lower()
    return f"{flags}&cursor={opened.digest}-{place.shard}-{place.entry}"


def _resumed(opened: Opened, folder: str, asked: HubRequest) -> listing.EntryPlace | None:
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


def _blob_of(asked: HubRequest, opened: Opened, path: str, file: dict[str, Any]) -> Answer:
    size, etag = int(file["size"]), f'"{file["lfs"]["oid"] if "lfs" in file else file["oid"]}"'
    headers = _headers_at(opened) | {
        "Content-Type": answers.media_type(path),
        "ETag": etag,
        "X-Linked-Etag": etag,
        "X-Linked-Size": str(size),
    }
    body = partial(BlobSlice, Sha256(file["sha256"]))
    if asked.method != "HEAD" or size <= answers.SIZE_SAID_UP_TO:
        return _content(asked, size, headers, body)
    answer = _content(asked, size, headers | {"Vary": "User-Agent"}, body)
    return answer.without_size() if _SIZELESS.search(asked.headers.get("user-agent", "")) else answer


def _content(
    asked: HubRequest, size: int, headers: dict[str, str], body: Callable[[int, int], bytes | BlobSlice]
) -> Answer:
    """As much of `size` bytes as the client wants; `body` gives those from a start to a stop."""
    if is_current(asked.headers.get("if-none-match"), headers["ETag"]):
        return Answer(304, headers)
    headers = {**headers, "Accept-Ranges": "bytes"}
    wanted = asked.headers.get("range") if asked.method == "GET" else None
    span = byte_range(wanted, asked.headers.get("if-range"), headers["ETag"], size)
    if span is None:
        return Answer(200, headers, body(0, size))
    return Answer(206, {**headers, "Content-Range": f"bytes {span[0]}-{span[1] - 1}/{size}"}, body(*span))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Refusal(400, answers.BAD_PATH) from None
