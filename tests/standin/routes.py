"""From a request's path to the part that answers it. Paths are split before they are decoded."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from .access import visible_repo
from .answer import Answer, Refusal, Request, error
from .api import VERBS, paths_info, repo_info, whoami
from .listing import list_repos
from .resolve import resolve, resolve_cache
from .settings import Kind
from .webhooks import organization, webhooks
from .world import World

_KINDS: dict[str, Kind] = {"models": "model", "datasets": "dataset", "spaces": "space", "kernels": "kernel"}
_REF_PREFIXES = {"pr", "convert", "heads", "tags"}


def answer(world: World, request: Request) -> Answer:
    """Answer a request to the Hub's origin. Raises Refusal with the answer otherwise."""
    segments = request.path.strip("/").split("/")
    with world.lock:
        _check_known(world, segments)
        match segments:
            case ["api", "whoami-v2"]:
                return whoami(world, request)
            case ["api", "settings", "webhooks"]:
                return webhooks(world, request)
            case ["api", "organizations", owner, "overview"]:
                return organization(world, request, owner)
            case ["api", "resolve-cache", kinds, *rest] if kinds in _KINDS and len(rest) > 2:
                repo_id, tail = _split_id(rest, lambda segment: len(segment) == 40)
                return resolve_cache(world, request, _KINDS[kinds], repo_id, _place(tail))
            case ["api", kinds, *rest] if kinds in _KINDS:
                return _api(world, request, _KINDS[kinds], rest)
            case _:
                return _file(world, request, segments)


def _check_known(world: World, segments: list[str]) -> None:
    """Refuse what this hub lacks: lists by the kind alone, all else by the word that says what is asked for."""
    match segments:
        case ["api", word] | ["api", "models" | "datasets" | "spaces" | "kernels", _, _, word, *_] if (
            word in world.behaviour.lacks
        ):
            raise _nothing_here()


def _nothing_here() -> Refusal:
    return error(404, "Sorry, we can't find the page you are looking for.")


def _api(world: World, request: Request, kind: Kind, rest: list[str]) -> Answer:
    if not rest:
        return list_repos(world, request, kind)
    repo_id, tail = _split_id(rest, lambda segment: segment in VERBS or segment == "paths-info")
    repo = visible_repo(world, request, kind, repo_id)
    if not tail:
        return repo_info(world, request, repo, [])
    verb, arguments = tail[0], _whole_ref([unquote(segment) for segment in tail[1:]])
    if verb == "paths-info" and request.method == "POST":
        return paths_info(world, request, repo, arguments)
    if verb not in VERBS or request.method not in {"GET", "HEAD"}:
        raise _nothing_here()
    return VERBS[verb](world, request, repo, arguments)


def _file(world: World, request: Request, segments: list[str]) -> Answer:
    kind: Kind = "model" if segments[0] == "models" else _KINDS.get(segments[0], "model")
    rest = segments if kind == "model" else segments[1:]
    repo_id, tail = _split_id(rest, lambda segment: segment == "resolve")
    if tail[:1] != ["resolve"] or len(tail) < 3 or request.method not in {"GET", "HEAD"}:
        raise _nothing_here()
    return resolve(world, request, kind, repo_id, _place(tail[1:]))


def _split_id(segments: list[str], is_verb: Callable[[str], bool]) -> tuple[str, list[str]]:
    """Cut the repo id off; old ids such as ``gpt2`` have one part, and a verb right behind it."""
    parts = 1 if len(segments) > 1 and is_verb(segments[1]) else 2
    return unquote("/".join(segments[:parts])), segments[parts:]


def _place(tail: list[str]) -> tuple[str, str]:
    revision, *path = _whole_ref([unquote(segment) for segment in tail])
    return revision, "/".join(path)


def _whole_ref(segments: list[str]) -> list[str]:
    """Join ``refs/pr/1`` when its slashes came unquoted."""
    if len(segments) > 2 and segments[0] == "refs" and segments[1] in _REF_PREFIXES:
        return ["/".join(segments[:3]), *segments[3:]]
    return segments
