"""Lists of repos: ``GET /api/models`` and ``GET /api/datasets``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .access import caller, can_see
from .answer import Answer, Request, as_json, error
from .paging import page_after
from .repo import Repo
from .settings import Kind
from .shapes import FACTS, LACKING, LIST_FACTS, UNKNOWN_FACTS, repo_facts, repo_tags
from .world import World

_SORTS: dict[str, Callable[[Repo], float]] = {
    "lastModified": lambda repo: repo.last_modified.timestamp(),
    "createdAt": lambda repo: repo.settings.created.timestamp(),
    "downloads": lambda repo: repo.settings.downloads,
    "likes": lambda repo: repo.settings.likes,
    "trendingScore": lambda repo: repo.settings.trending,
}


def list_repos(world: World, request: Request, kind: Kind) -> Answer:
    """Answer one page of the repos that fit the question, newest or biggest first."""
    wanted = asked_facts(request, kind, (*LIST_FACTS[kind], *_more(request)))
    key = _sort_key(request)
    token = caller(world, request)
    fitting = [repo for repo in world.repos(kind) if can_see(token, repo) and _fits(request, repo)]
    size = min(_limit(request), world.behaviour.list_page)
    page, link = page_after(request, sorted(fitting, key=key), key, size)
    return as_json([repo_facts(repo, repo.find("main"), wanted) for repo in page], link)


def asked_facts(request: Request, kind: Kind, otherwise: tuple[str, ...]) -> list[str]:
    """Return the properties that ``expand`` asks for, or ``otherwise``; 400 for an unknown one, or any of a kernel."""
    asked = [*request.query.get("expand", []), *request.query.get("expand[]", [])]
    unknown = [name for name in asked if (name not in FACTS and name not in UNKNOWN_FACTS) or name in LACKING[kind]]
    if asked and kind == "kernel":
        raise error(400, '"expand" is not allowed')
    if unknown:
        raise error(400, f'"expand" must be one of the known properties, not {unknown[0]}')
    return asked or list(otherwise)


def _more(request: Request) -> tuple[str, ...]:
    full = ("author", "sha", "lastModified", "gated", "disabled", "siblings") if request.flag("full") else ()
    return (*full, "cardData") if request.flag("cardData") else full


def _sort_key(request: Request) -> Callable[[Repo], tuple[Any, ...]]:
    name = request.first("sort", "trendingScore")
    if name not in _SORTS:
        raise error(400, f'"sort" must not be {name}')
    rising = request.first("direction", "-1") == "1"
    if rising and name != "createdAt":  # as https://github.com/huggingface/huggingface_hub/pull/3630 says of the Hub
        raise error(400, f'"direction" must not be 1 with {name}')
    sign = 1 if rising else -1
    return lambda repo: (sign * _SORTS[name](repo), repo.id)


def _limit(request: Request) -> int:
    text = request.first("limit", "1000")
    if not text.isdigit() or int(text) < 1:
        raise error(400, '"limit" must be a number from 1')
    return int(text)


def _fits(request: Request, repo: Repo) -> bool:
    author, gated = request.first("author"), request.first("gated").lower()
    tags = {tag for value in request.query.get("filter", []) for tag in value.split(",") if tag}
    return (
        (not author or repo.id.startswith(f"{author}/"))
        and request.first("search").lower() in repo.id.lower()
        and (not gated or bool(repo.settings.gated) == (gated in {"true", "1"}))
        and tags <= set(repo_tags(repo, repo.settings.card))
        and request.first("pipeline_tag") in {"", repo.settings.card.get("pipeline_tag")}
    )
