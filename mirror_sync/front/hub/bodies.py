"""What stands in a request's body: only paths-info has one."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from mirror_sync.domain.content.manifest import MAX_PATH_BYTES
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Refusal

_LONGEST_FIELD = len("paths=") + 3 * MAX_PATH_BYTES  # with every byte percent-encoded; a longer path is in no listing
_MOST_FIELDS = answers.MOST_PATHS + 10  # of a form; `expand` is one, too
TRUE = ("true", "1")  # as clients spell it, in whatever letters


def read_paths(body: bytes, content_type: str) -> tuple[list[str], bool]:
    """The paths that a paths-info request asks for, each once, and whether it wants `lastCommit`: a form, or JSON.

    Half characters, which JSON can name, stand in no path. Refusal 413 for more than MOST_PATHS.
    """
    try:
        asked = _read_json(body) if "json" in content_type.lower() else _read_form(body)
        paths = [asked["paths"]] if isinstance(asked["paths"], str) else asked["paths"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(400, answers.BAD_BODY) from None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise Refusal(400, answers.BAD_BODY)
    if len(paths) > answers.MOST_PATHS:
        raise Refusal(413, answers.MANY_PATHS)
    return [path for path in dict.fromkeys(paths) if len(path) <= MAX_PATH_BYTES and _is_text(path)], str(
        asked.get("expand", "")
    ).lower() in TRUE


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_json(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    if not isinstance(document, dict):
        raise TypeError("not an object")
    return document


def _read_form(body: bytes) -> dict[str, Any]:
    if body.count(b"&") > _MOST_FIELDS:  # counted before any of them is read
        raise Refusal(413, answers.MANY_PATHS)
    fields = [field for field in body.decode().split("&") if len(field) <= _LONGEST_FIELD]
    form = parse_qs("&".join(fields))
    return {"paths": form.get("paths", []), "expand": form.get("expand", [""])[-1]}
