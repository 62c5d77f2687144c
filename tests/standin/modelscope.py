"""A stand-in for ModelScope on the sockets, repos and faults of the Hub's: what its clients and a mirror ask it for.

Shapes: modelscope 1.25.0 and 1.37.1, modelscope_hub 0.5.1, and published answers of modelscope.cn. Where servers are
seen to differ it is the strictest: a listing is cut and says nothing, an unknown revision is an empty success, an error
has a code in its body, a token is refused by 400.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .answer import Answer, Refusal, Request, as_json, redirect
from .cdn import answer as cdn_answer
from .cdn import signed_url
from .hub import Hub
from .ranges import Part, file_answer
from .repo import Commit, Repo
from .settings import Kind
from .tree import File, Node

MASTER = "master"
CUT = 3000
_KINDS: Mapping[str, Kind] = {"models": "model", "datasets": "dataset"}
_NO_REPO, _NO_FILE, _BAD_TOKEN = 10010205001, 10990101007, 10010103009


@dataclass
class Ways:
    """How it answers; a test may change any of it at any time."""

    silent_of: set[str] = field(default_factory=set)
    """Paths of which listings tell no SHA-256."""
    committer: bool = True
    """Whether listings tell the newest commit."""
    whole_up_to: int = 0
    """Bytes of a file up to which a Range is ignored."""
    ranges_as_200: bool = False
    """Whether a part is answered by 200 with Content-Range."""
    knows_commits: bool = True
    """Whether the id of a commit is a revision."""


class ModelScope(Hub):
    """``with ModelScope() as site``: models and datasets of which the default branch is ``master``."""

    def __init__(self) -> None:
        super().__init__()
        self.ways = Ways()

    def commit(self, repo: Repo, files: Mapping[str, Any], **words: Any) -> str:
        """Commit onto ``master``."""
        return repo.commit(files, **{"branch": MASTER, **words})

    @property
    def leaks(self) -> list[Any]:
        """Requests that brought a token to the CDN, by a header or the cookie."""
        records = self.log.records(origin="cdn")
        return [one for one in records if one.had_authorization or "cookie" in one.request.headers]

    def _sound_answer(self, request: Request) -> Answer:
        try:
            if request.origin == "cdn":
                return cdn_answer(self.world, request)
            with self.world.lock:
                return self._route(request)
        except Refusal as refusal:
            return refusal.answer

    def _route(self, request: Request) -> Answer:
        segments = [unquote(one) for one in request.path.strip("/").split("/")]
        match segments:
            case ["openapi", "v1", "users", "me"]:
                return self._me(request)
            case ["openapi", "v1", kinds] if kinds in _KINDS:
                return self._list(request, _KINDS[kinds])
            case ["openapi", "v1", kinds, owner, name] if kinds in _KINDS:
                return _opened(_open_info(self._repo(request, _KINDS[kinds], f"{owner}/{name}")))
            case ["api", "v1", "datasets", number, *rest] if number.isdigit():  # as older clients go on
                ids = (one.id for one in self.world.repos("dataset") if _number(one) == int(number))
                return self._about(request, self._repo(request, "dataset", next(ids, "")), "/".join(rest))
            case ["api", "v1", kinds, owner, name, *rest] if kinds in _KINDS:
                return self._about(request, self._repo(request, _KINDS[kinds], f"{owner}/{name}"), "/".join(rest))
        raise _refused(404, 404, "no such route")

    def _about(self, request: Request, repo: Repo, rest: str) -> Answer:
        if not rest:
            return _told(_info(repo))
        if rest == "revisions":
            return _told({"RevisionMap": _names(repo)})
        if rest == {"model": "repo/files", "dataset": "repo/tree"}[repo.kind]:
            return self._listing(request, repo, paged=repo.kind == "dataset")
        if rest == "repo":
            return self._file(request, repo)
        raise _refused(404, 404, "no such route")

    def _user(self, request: Request) -> Any:
        """Whose token came; 400 for one that is not known, or two that differ."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        cookies = dict(one.strip().partition("=")[::2] for one in request.headers.get("cookie", "").split(";"))
        given = {one for one in (sent, cookies.get("m_session_id", "")) if one}
        if not given:
            return None
        if len(given) > 1 or not given & set(self.world.tokens):
            raise _refused(400, _BAD_TOKEN, "The token is not valid")
        return self.world.tokens[given.pop()]

    def _me(self, request: Request) -> Answer:
        user = self._user(request)
        if user is None:
            raise _refused(401, 401, "Not logged in")
        return _opened({"username": user.user})

    def _repo(self, request: Request, kind: Kind, repo_id: str) -> Repo:
        user, repo = self._user(request), self.world.find(kind, repo_id)
        if repo is None or (repo.settings.private and (user is None or repo_id not in user.private)):
            raise _refused(404, _NO_REPO, "Record not found")
        return repo

    def _list(self, request: Request, kind: Kind) -> Answer:
        self._user(request)
        number, size = int(request.first("page_number", "1")), int(request.first("page_size", "10"))
        if number * size > CUT:
            raise _refused(400, 400, "page_number * page_size must be <= 3000")
        owner = request.first("owner")
        repos = [one for one in self.world.repos(kind) if one.id.startswith(f"{owner}/") and not one.settings.private]
        page = repos[(number - 1) * size : number * size]
        data = {f"{kind}s": [_open_info(one) for one in page], "total_count": len(repos), "page_number": number}
        return _opened({**data, "page_size": size})

    def _listing(self, request: Request, repo: Repo, *, paged: bool) -> Answer:
        commit = self._commit(repo, request)
        if commit is None:
            return _told({"Files": None, "TotalCount": 0})
        try:
            found = commit.tree.below(request.first("Root").strip("/"), recursive=request.flag("Recursive"))
        except KeyError:
            return _told({"Files": None, "TotalCount": 0})
        total = len(found)
        if paged:
            number, size = int(request.first("PageNumber", "1")), int(request.first("PageSize", "100"))
            found = found[(number - 1) * size : number * size]
        entries = [self._entry(commit, node) for node in found[:CUT]]
        newest = {"LatestCommitter": _committer(commit)} if self.ways.committer else {}
        return _told({"Files": entries, **newest, **({"TotalCount": total} if paged else {})})

    def _entry(self, commit: Commit, node: Node) -> dict[str, Any]:
        name = node.path.rpartition("/")[2]
        if node.file is None:
            return {"Name": name, "Path": node.path, "Type": "tree", "Size": 0, "Sha256": "", "Revision": ""}
        last = commit.last_change(node.path)
        return {
            "Name": name,
            "Path": node.path,
            "Type": "blob",
            "Size": node.file.size,
            "Sha256": None if node.path in self.ways.silent_of else node.file.content.sha256,
            "IsLFS": node.file.lfs,
            "Mode": "33188",
            "Revision": last.id,
            "CommittedDate": int(last.date.timestamp()),
        }

    def _file(self, request: Request, repo: Repo) -> Answer:
        user = self._user(request)
        if repo.settings.gated and (user is None or repo.id not in user.approved):
            raise _refused(403, 403, "The repo is gated: ask its owner for access")
        commit, path = self._commit(repo, request), request.first("FilePath")
        file = None if commit is None else commit.tree.files.get(path)
        if file is None:
            raise _refused(404, _NO_FILE, "The file does not exist")
        if file.lfs:
            return redirect(302, signed_url(self.world, file, path.rpartition("/")[2]))
        return self._served(request, file)

    def _served(self, request: Request, file: File) -> Answer:
        headers = {"Content-Type": "application/octet-stream", "ETag": f'"{file.content.git_oid}"'}
        found = file_answer(request, file.content, headers)
        if found.status != 206:
            return found
        if file.size <= self.ways.whole_up_to:
            return Answer(200, headers, file.content)
        assert isinstance(found.body, Part)
        return Answer(200 if self.ways.ranges_as_200 else 206, found.headers, found.body, start=found.start)

    def _commit(self, repo: Repo, request: Request) -> Commit | None:
        revision = request.first("Revision") or MASTER
        if revision in repo.commits:
            return repo.commits[revision] if self.ways.knows_commits else None
        return None if revision.startswith("refs/") else repo.find(revision)


def _committer(commit: Commit) -> dict[str, Any]:
    at = int(commit.date.timestamp())
    return {
        "Id": "",
        "ShortId": commit.id[:8],
        "Title": commit.title,
        "Message": commit.message or commit.title,
        "AuthorName": commit.author,
        "CommittedDate": at,
        "CreatedAt": at,
    }


def _number(repo: Repo) -> int:
    return zlib.crc32(f"{repo.kind} {repo.first_id}".encode())


def _license(repo: Repo) -> str:
    return str(repo.settings.card.get("license", ""))


def _open_info(repo: Repo) -> dict[str, Any]:
    newest = max((one.date for one in repo.commits.values()), default=repo.settings.created)
    return {
        "id": repo.id,
        "display_name": repo.id.partition("/")[2],
        "license": _license(repo),
        "tags": list(repo.settings.tags),
        "tasks": [],
        "private": repo.settings.private,
        "gated": bool(repo.settings.gated),
        "file_size": 1,
        "created_at": repo.settings.created.isoformat(),
        "last_modified": newest.isoformat(),
        "downloads": repo.settings.downloads,
        "likes": repo.settings.likes,
    }


def _info(repo: Repo) -> dict[str, Any]:
    owner, _, name = repo.id.partition("/")
    seen = 1 if repo.settings.private else 5
    at = int(repo.settings.created.timestamp())
    about = {"Id": _number(repo), "Name": name, "Path": owner, "Visibility": seen, "License": _license(repo)}
    return {
        **about,
        "Type": 4,
        "CreatedTime": at,
        "LastUpdatedTime": at,
        "Downloads": 1,
        "Stars": 1,
        "Namespace": owner,
    }


def _names(repo: Repo) -> dict[str, Any]:
    groups: dict[str, list[dict[str, Any]]] = {"Branches": [], "Tags": []}
    for ref, commit in repo.refs.items():
        for group, prefix in (("Branches", "refs/heads/"), ("Tags", "refs/tags/")):
            if ref.startswith(prefix):
                name, at = ref.removeprefix(prefix), int(repo.commits[commit].date.timestamp())
                groups[group].append({"Revision": name, "ShowName": name, "CreatedAt": at})
    return groups


def _told(data: Any) -> Answer:
    return as_json({"Code": 200, "Success": True, "Message": "success", "RequestId": "r", "Data": data})


def _opened(data: Any) -> Answer:
    return as_json({"success": True, "request_id": "r", "data": data})


def _refused(status: int, code: int, message: str) -> Refusal:
    return Refusal(
        as_json({"Code": code, "Success": False, "Message": message, "RequestId": "r", "Data": None}, status=status)
    )
