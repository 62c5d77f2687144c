"""The log of the nginx front: one JSON object a line, as nginx.conf.j2 writes it, and what a line says of a reader.

Fields: `time` (ISO 8601), `client` (address), `method`, `uri` (raw, as the client sent it), `status`, `bytes` (of the
body that was sent), `seconds`, `range` (the request's header), `commit` (the answer's X-Repo-Commit), `agent`.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.traffic import Hit
from mirror_sync.front import routes

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_KINDS = {"models": Kind.MODEL, "datasets": Kind.DATASET, "": Kind.MODEL, "datasets/": Kind.DATASET}
_FROM_THE_START = ("", "-", "bytes=0-")


def lines_of(paths: Iterable[str]) -> Iterator[str]:
    """The lines of logs, also of rotated ones that are compressed; `-` is standard input. OSError."""
    for path in paths:
        with _opened(path) as file:
            yield from file


def count_hits(lines: Iterable[str], add: Callable[[Hit], None]) -> tuple[int, int]:
    """Adds what the lines say; returns how many there are, and how many of them are of no such log."""
    count = unread = 0
    for count, line in enumerate(lines, 1):  # noqa: B007  how many there were
        try:
            hit = hit_of(line)
        except ValueError:
            unread += 1
            continue
        if hit is not None:
            add(hit)
    return count, unread


def hit_of(line: str) -> Hit | None:
    """What a line says; None for what asks for nothing of a repo. ValueError for a line that is not of this log."""
    try:
        entry = json.loads(line)
        raw_path = str(entry["uri"]).partition("?")[0]
        return _hit(entry, routes.match(raw_path))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no line of a front's log: {error!r}") from None


def _hit(entry: dict[str, Any], match: routes.Match | None) -> Hit | None:
    repo = None if match is None else _repo(match.fields)
    if match is None or repo is None or match.route.name == "page":
        return None
    commit = str(entry["commit"])
    return Hit(
        at=_time(str(entry["time"])),
        client=str(entry["client"]),
        repo=repo,
        commit=CommitId(commit) if CommitId.matches(commit) else None,
        status=int(entry["status"]),
        bytes=int(entry["bytes"]),
        is_file=match.route.name in ("file", "raw") and entry["method"] == "GET",
        begins=str(entry["range"]).startswith("bytes=0-") or entry["range"] in _FROM_THE_START,
    )


def _repo(fields: dict[str, str]) -> Repo | None:
    """None for spaces, which are not mirrored, for the addresses of blobs, and for what no repo can be called."""
    kind = _KINDS.get(fields.get("kinds", fields.get("place") or ""))
    try:
        return None if kind is None or "id" not in fields else Repo(kind, unquote(fields["id"]))
    except ValueError:
        return None


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"a time without its zone: {text!r}")
    return at.astimezone(UTC)


def _opened(path: str) -> AbstractContextManager[IO[str]]:
    if path == "-":
        return nullcontext(sys.stdin)
    opener: Any = _OPENERS.get(Path(path).suffix, open)
    return cast("IO[str]", opener(path, "rt", encoding="utf-8", errors="replace"))
