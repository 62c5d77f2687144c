"""Files by revision and path: the first hop of every download."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

from .access import check_gate, commit_at, file_at, visible_repo
from .answer import Answer, Request, redirect
from .cdn import signed_url
from .ranges import file_answer
from .repo import Commit, Repo
from .settings import Kind
from .tree import File
from .world import World


def resolve(world: World, request: Request, kind: Kind, repo_id: str, place: tuple[str, str]) -> Answer:
    """Answer for the file at ``place``, which is a revision and a path."""
    repo, commit, file = _located(world, request, kind, repo_id, place)
    if file.lfs:
        return _to_cdn(world, request, repo, commit, file, place[1])
    if world.behaviour.small_files == "resolve-cache":
        cached = f"/api/resolve-cache/{kind}s/{quote(repo.id)}/{commit.id}/{quote(place[1])}"
        return redirect(307, cached, _names(commit, file))
    return _served(request, commit, file, place[1])


def resolve_cache(world: World, request: Request, kind: Kind, repo_id: str, place: tuple[str, str]) -> Answer:
    """Answer for a small file at its pinned address."""
    _, commit, file = _located(world, request, kind, repo_id, place)
    return _served(request, commit, file, place[1])


def _located(
    world: World, request: Request, kind: Kind, repo_id: str, place: tuple[str, str]
) -> tuple[Repo, Commit, File]:
    revision, path = place
    repo = visible_repo(world, request, kind, repo_id)
    check_gate(world, request, repo)
    commit = commit_at(repo, revision)
    return repo, commit, file_at(commit, path)


def _names(commit: Commit, file: File) -> dict[str, str]:
    return {"X-Repo-Commit": commit.id, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}


def _served(request: Request, commit: Commit, file: File, path: str) -> Answer:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    shown = "text/plain; charset=utf-8" if kind.startswith("text/") or kind == "application/json" else kind
    return file_answer(request, file.content, _names(commit, file) | {"Content-Type": shown})


def _to_cdn(world: World, request: Request, repo: Repo, commit: Commit, file: File, path: str) -> Answer:
    linked = {"X-Linked-Size": str(file.size), "X-Linked-ETag": f'"{file.content.sha256}"'}
    name = quote(path.rpartition("/")[2], safe="")
    answer = redirect(302, signed_url(world, file, name), _names(commit, file) | linked)
    if file.xet_hash is None:
        return answer
    route = f"{request.base}/api/{repo.kind}s/{repo.id}/xet-read-token/{commit.id}"
    return answer.having({"X-Xet-Hash": file.xet_hash, "Link": f'<{route}>; rel="xet-auth"'})
