"""The Hub's API for one repo, by verb."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs

from . import shapes
from .access import caller, check_gate, commit_at
from .answer import Answer, Request, as_json, error
from .listing import asked_facts
from .paging import next_link, page_after
from .repo import Commit, Repo
from .tree import Node
from .world import World

Verb = Callable[[World, Request, Repo, list[str]], Answer]
"""Answers for a repo; the list holds the decoded path segments after the verb."""


def repo_info(_: World, request: Request, repo: Repo, rest: list[str]) -> Answer:
    """``GET /api/{kind}s/{id}[/revision/{rev}]``, with ``blobs``, ``securityStatus`` or ``expand``."""
    commit = commit_at(repo, rest[0]) if rest else repo.find("main")
    facts = shapes.repo_facts(repo, commit, asked_facts(request, repo.kind, shapes.INFO_FACTS))
    if request.flag("blobs") and commit is not None:
        files = sorted(commit.tree.files.items())
        facts["siblings"] = [shapes.sibling(path, file, blobs=True) for path, file in files]
    if request.flag("securityStatus"):
        facts["securityRepoStatus"] = shapes.scan_facts(repo)
    return as_json(facts)


def tree(world: World, request: Request, repo: Repo, rest: list[str]) -> Answer:
    """``GET .../tree/{rev}[/{folder}]``, with ``recursive`` and ``expand``, in pages."""
    commit, folder = commit_at(repo, _need(rest)), "/".join(rest[1:])
    try:
        nodes = commit.tree.below(folder, recursive=request.flag("recursive"))
    except KeyError as fault:
        missing = f'"{folder}" does not exist on "{rest[0]}"'
        raise error(404, missing, "EntryNotFound", {"X-Repo-Commit": commit.id}) from fault
    expand, behaviour = request.flag("expand"), world.behaviour
    size = behaviour.expanded_page if expand else behaviour.tree_page
    page, link = page_after(request, nodes, lambda node: node.path, size)
    return as_json([_entry(repo, commit, node, expand=expand) for node in page], link)


def paths_info(_: World, request: Request, repo: Repo, rest: list[str]) -> Answer:
    """``POST .../paths-info/{rev}`` with a form or JSON of ``paths`` and ``expand``; unknown paths are left out."""
    commit = commit_at(repo, _need(rest))
    if request.headers.get("content-type", "").startswith("application/json"):
        asked = json.loads(request.body)
        paths, expand = asked["paths"], bool(asked.get("expand"))
    else:
        form = parse_qs(request.body.decode())
        paths, expand = form.get("paths", []), form.get("expand", [""])[0].lower() in {"true", "1"}
    nodes = [commit.tree.by_path[path] for path in dict.fromkeys(paths) if path in commit.tree.by_path]
    return as_json([_entry(repo, commit, node, expand=expand) for node in nodes])


def refs(_: World, request: Request, repo: Repo, __: list[str]) -> Answer:
    """``GET .../refs``, with ``include_prs``."""
    return as_json(shapes.refs_facts(repo, pull_requests=request.flag("include_prs")))


def commits(world: World, request: Request, repo: Repo, rest: list[str]) -> Answer:
    """``GET .../commits/{rev}``, newest first, in pages numbered from ``p=0``."""
    history = list(commit_at(repo, _need(rest)).history())
    size, number = world.behaviour.commits_page, request.first("p", "0")
    if not number.isdigit():
        raise error(400, '"p" must be a number from 0')
    stop = (int(number) + 1) * size
    link = next_link(request, {"p": str(int(number) + 1)}) if stop < len(history) else {}
    page = [shapes.commit_facts(commit) for commit in history[stop - size : stop]]
    return as_json(page, {"X-Total-Count": str(len(history)), **link})


def scan(_: World, __: Request, repo: Repo, rest: list[str]) -> Answer:
    """``GET .../scan``: the scanners' verdict on the newest commit; no other can be asked for."""
    if rest:
        raise error(404, "Not found")
    return as_json(shapes.scan_facts(repo))


def auth_check(world: World, request: Request, repo: Repo, _: list[str]) -> Answer:
    """``GET .../auth-check``: 200 when the files may be read."""
    check_gate(world, request, repo)
    return as_json({"ok": True})


def xet_token(world: World, request: Request, repo: Repo, rest: list[str]) -> Answer:
    """``GET .../xet-read-token/{rev}``: the same facts as headers and as JSON."""
    check_gate(world, request, repo)
    commit_at(repo, _need(rest))
    cas = world.behaviour.cas_url
    if cas is None:
        raise error(404, "No Xet storage")
    until = int(world.clock.now() + world.behaviour.url_lifetime)
    headers = {"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": str(until)}
    return as_json({"accessToken": "xet", "exp": until, "casUrl": cas}, headers)


def whoami(world: World, request: Request) -> Answer:
    """``GET /api/whoami-v2``: whose token this is."""
    token = caller(world, request)
    if token is None:
        raise error(401, "Invalid username or password.")
    access = {"type": "access_token", "accessToken": {"displayName": "test", "role": "read"}}
    facts = {"type": "user", "id": token.user, "name": token.user, "fullname": token.user, "isPro": False}
    return as_json({**facts, "orgs": [], "auth": access})


VERBS: dict[str, Verb] = {
    "revision": repo_info,
    "tree": tree,
    "refs": refs,
    "commits": commits,
    "scan": scan,
    "auth-check": auth_check,
    "xet-read-token": xet_token,
}
"""What can be asked of a repo with GET or HEAD, by the path segment after its id."""


def _need(rest: list[str]) -> str:
    if not rest:
        raise error(404, "Not found")
    return rest[0]


def _entry(repo: Repo, commit: Commit, node: Node, *, expand: bool) -> shapes.Json:
    return shapes.expanded_entry(repo, commit, node) if expand else shapes.entry(node)
