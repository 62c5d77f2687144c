"""The log of a front: one JSON object a line, as nginx.conf.j2 and `Logged` write it, and what a line says of a reader.

Fields: `time` (ISO 8601), `client` (address), `user` (the name of the token), `method`, `uri` (raw, as the client sent
it), `status`, `bytes` (of the body that was sent), `seconds`, `range` (the request's header), `commit` (the answer's
X-Repo-Commit), `agent`, `door` (`s3` where that was asked, whose addresses are as the Hub's; else empty), `first`
(seconds to the first byte, null where none was sent), and of nginx's caches `zone`, `cache` (what that did with the
answer) and `pointer` (what the zone `pointers` did); empty for none.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mirror_sync.domain.content.keys import BLOBS
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.outcome.front_counts import FrontCounts
from mirror_sync.domain.outcome.traffic import Hit
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.hub.hub_api import HUB
from mirror_sync.front.hub.protocol import Match, RouteTable
from mirror_sync.front.protocols.modelscope_api import MODELSCOPE
from mirror_sync.front.protocols.oci import OCI
from mirror_sync.front.protocols.s3 import DOOR as S3_DOOR
from mirror_sync.front.protocols.s3 import S3
from mirror_sync.front.protocols.s3_addresses import address_of

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_KINDS = {word: kind for kind in Kind for word in (kind.plural, kind.place)}
_GONE = 499  # as nginx has it: the client went away before it was answered
POINTERS = "pointers"  # the zone of nginx that says where files are
_ADDRESS = 64  # characters; an IPv6 address with its zone is shorter
_OURS = ("127.0.0.1", "::1")
_FROM_THE_START = ("", "-", "bytes=0-")
BEARS_KEY = re.compile(r"(?i)(?:^|&)(?:x-amz-credential|awsaccesskeyid)=")
"""Of a presigned address of S3, whose key is a token here: its query is in no log. In nginx.conf.j2, too."""
_ROUTES = RouteTable((MODELSCOPE, OCI, HUB))
_S3_ROUTES = RouteTable((S3,))
_FILES = ("file", "raw", "ms_file", "oci_blob", "s3_object")
_BY_DIGEST = f"/{BLOBS}"
_OK, _REFUSED = 200, 400
_ASKS_NOTHING = "OPTIONS"  # is answered whatever stands behind it, to whoever asks, and is no read of it
_LOOKS_FIRST = "ollama/"  # its first GET of a blob wants the answer's Location alone; then come ranges


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


@dataclass(frozen=True, slots=True)
class LogLine:
    """`hit`: what a line says of a repo, None for nothing. `whole`: no door's reads are left out where such lines are.

    `unnamed`: content was given by its digest alone, of whatever repos.
    """

    at: datetime
    hit: Hit | None
    whole: bool
    unnamed: bool


def hit_of(line: str) -> Hit | None:
    """What a line says; None for what asks for nothing of a repo. ValueError for a line that is not of this log."""
    return line_of(line).hit


def line_of(line: str) -> LogLine:
    """A line of the log, as it is read. ValueError for one that is not of this log."""
    try:
        entry = json.loads(line)
        at, (raw_path, _, query) = _time(str(entry["time"])), str(entry["uri"]).partition("?")
        if entry.get("door") == S3_DOOR:  # programs before wrote no door, and what was asked of it is as nothing
            match = _S3_ROUTES.match(address_of(str(entry["method"]), raw_path, query, tokens=False))
        else:
            match = _ROUTES.match(raw_path)
        if entry["method"] == _ASKS_NOTHING:
            match, raw_path = None, ""
        unnamed = raw_path.startswith(_BY_DIGEST) and _OK <= int(entry["status"]) < _REFUSED
        return LogLine(at, _hit(entry, at, match), "door" in entry, unnamed)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no line of a front's log: {error!r}") from None


def count_line(counts: FrontCounts, line: str | bytes) -> None:
    """Add what a line says of an answer, whatever was asked. ValueError for a line that is not of this log."""
    try:
        entry = json.loads(line)
        status, sent = int(entry["status"]), int(entry["bytes"])
        first = entry.get("first")  # programs before wrote none
        began = None if first is None or status == _GONE else max(0.0, float(first))
        caches = [(str(entry.get("zone", "")), str(entry.get("cache", ""))), (POINTERS, str(entry.get("pointer", "")))]
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no line of a front's log: {error!r}") from None
    counts.add(status, sent, began)
    for zone, outcome in caches:
        counts.add_cached(zone, outcome)


def _hit(entry: dict[str, Any], at: datetime, match: Match | None) -> Hit | None:
    repo = None if match is None else _repo(match.fields)
    if match is None or repo is None:
        return None
    commit, wanted = str(entry["commit"]), entry["range"]
    looks = match.route.name == "oci_blob" and str(entry.get("agent", "")).startswith(_LOOKS_FIRST)
    return Hit(
        at=at,
        client=str(entry["client"]),
        repo=repo,
        commit=CommitId(commit) if CommitId.matches(commit) else None,
        status=int(entry["status"]),
        bytes=int(entry["bytes"]),
        is_file=match.route.name in _FILES and entry["method"] == "GET",
        user=str(entry.get("user", "")),
        begins=str(wanted).startswith("bytes=0-") or (wanted in _FROM_THE_START and not looks),
        digest=Sha256(match.fields["digest"]) if "digest" in match.fields else None,
        any_letters=match.route.tagged,
    )


def _repo(fields: dict[str, str]) -> Repo | None:
    """None for spaces, which are not mirrored, and for what no repo can be called."""
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


class LogFile:
    """A file to append lines to, for one thread. One that was moved away, as logrotate does, is made anew.

    OSError when it cannot be opened at first; later, lines that cannot be written are lost, and nobody waits for them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def write(self, line: str) -> None:
        """Append a line; one that cannot be written is lost, and no request with it."""
        with suppress(OSError):
            if self._is_moved():
                self._file.close()
                self._file = self._open()
            self._file.write(f"{line}\n".encode())

    def close(self) -> None:
        """Close the file; nothing may be written afterwards."""
        self._file.close()

    def _open(self) -> IO[bytes]:
        return self._path.open("ab", buffering=0)

    def _is_moved(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return True


class Logged:
    """An ASGI app that writes a line for each request that another one answers, as nginx's log has it.

    Behind a server on this machine the client is whom that server names last in X-Forwarded-For.
    """

    def __init__(self, app: ASGIApp, write: Callable[[str], None]) -> None:
        self._app, self._write = app, write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer, began = SentAnswer(send), time.monotonic()
        try:
            await self._app(scope, receive, answer.send)
        finally:
            self._write(_line(scope, answer, time.monotonic() - began))


class SentAnswer:
    """What was sent to one client: `first` in seconds after this was made, None before the first byte."""

    def __init__(self, send: Send) -> None:
        self._send, self._began = send, time.monotonic()
        self.status, self.bytes, self.commit = _GONE, 0, ""
        self.first: float | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on, and note what it sends."""
        if message["type"] == "http.response.start":
            self.status, self.first = message["status"], time.monotonic() - self._began
            self.commit = Headers(raw=message["headers"]).get("x-repo-commit", "")
        await self._send(message)
        self.bytes += message.get("count") or len(message.get("body", b""))


def _line(scope: Scope, answer: SentAnswer, seconds: float) -> str:
    headers = Headers(scope=scope)
    query = scope["query_string"].decode("latin-1")
    if BEARS_KEY.search(query):
        query = "-"
    fields = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "client": scope.get("mirror_sync.client") or _client(scope, headers),
        "user": scope.get("mirror_sync.reader", ""),
        "method": scope["method"],
        "uri": scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
        "status": answer.status,
        "bytes": answer.bytes,
        "seconds": round(seconds, 3),
        "range": headers.get("range", ""),
        "commit": answer.commit,
        "agent": headers.get("user-agent", ""),
        "door": scope.get("mirror_sync.door", ""),
        "first": None if answer.first is None else round(answer.first, 3),
        "zone": "",
        "cache": "",
        "pointer": "",
    }
    return json.dumps(fields, ensure_ascii=True)


def _client(scope: Scope, headers: Headers) -> str:
    address = str((scope.get("client") or ("", 0))[0])
    named = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return named[:_ADDRESS] if named and address in _OURS else address
