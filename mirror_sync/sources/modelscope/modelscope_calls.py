"""Calls of ModelScope's API and its files' bytes: what an answer, by its status and its `Code`, means.

An error may come with status 200: `{"Code": 10010205001, "Success": false, "Message": ..., "RequestId": ...}`. Codes,
as modelscope.cn is seen to give them: 10010205001 no such repo, 10990101007 no such file, 10010103009 a bad token.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mirror_sync.domain.repo import Kind
from mirror_sync.errors import (
    BadAnswer,
    FileNotFound,
    MirrorError,
    NotFoundOrPrivate,
    TokenRejected,
    UpstreamError,
)
from mirror_sync.net.body import ENCODINGS, read_whole
from mirror_sync.net.response import Response
from mirror_sync.sources.hub.download import Download
from mirror_sync.sources.hub.download_addresses import Address
from mirror_sync.sources.hub.endpoint import Endpoint
from mirror_sync.sources.hub.hub_errors import RequestContext, refusal
from mirror_sync.sources.hub.hub_json import json_of

_ERROR = 400
_BOUND = 64 * 1024 * 1024  # bytes of an answer: three thousand entries have some two million
_SAID = 64 * 1024  # bytes of a refusal
_NO_REPO, _NO_FILE, _BAD_TOKEN = "10010205001", "10990101007", "10010103009"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ForbiddenAnswer(UpstreamError):
    """403: which of its reasons it is, depends on what has been read of the repo."""


@dataclass(frozen=True, slots=True)
class ModelScopeContext(RequestContext):
    """What a request was about, with ModelScope's addresses of pages."""

    @property
    def page(self) -> str:
        if self.repo is None:
            return self.endpoint
        return f"{self.endpoint}/{'datasets' if self.repo.kind is Kind.DATASET else 'models'}/{self.repo.id}"


class ModelScopeEndpoint(Endpoint):
    """Older calls know the token by a cookie alone, newer ones by the header: as the SDKs, both are sent."""

    cookie = "m_session_id"


class ModelScopeCalls:
    """Makes calls to one endpoint. None is repeated here."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def open(self, asked: RequestContext, path: str) -> None:
        """Ask for a byte of a file, wherever that leads. The error that a refusal is, BadAnswer, Unreachable."""
        _, answer = self._endpoint.get(asked, Address(f"{self._endpoint.url}{path}"), {"range": "bytes=0-0"})
        if answer.status >= _ERROR:
            raise refused(answer, asked)
        answer.finish()

    def get(self, asked: RequestContext, path: str, **query: str | int) -> Any:
        """The data of one answer, which may be anything. The error that a refusal is, BadAnswer, Unreachable."""
        url = f"{self._endpoint.url}{path}{'?' if query else ''}{urlencode(query)}"
        address = Address(url)
        _, answer = self._endpoint.get(asked, address, {"accept-encoding": ENCODINGS}, stay=True)
        if answer.status >= _ERROR:
            raise refused(answer, asked)
        told = json_of(read_whole(answer, _BOUND))
        if not isinstance(told, dict):
            raise TypeError("an answer that is no object")
        code = str(told.get("Code", told.get("code", "200")))
        if told.get("Success", told.get("success")) is False or code not in ("200", "0"):
            raise _by_code(code, str(told.get("Message", told.get("message", ""))), asked)
        return told.get("Data", told.get("data"))


class ModelScopeDownload(Download):
    """A file's bytes; of the endpoint's own words on it a SHA-256 must be that of the listing."""

    def __exit__(self, *exc: object) -> None:
        if self._given is not None and self._file.unproved:
            self._given.drop()  # what it is compared with comes over another connection
            return
        super().__exit__(*exc)

    def check_promises(self, answer: Response) -> None:
        digest = answer.headers.get("X-Linked-ETag", "").removeprefix("W/").strip('"').lower()
        wanted = self._file.sha256
        if wanted and _SHA256.fullmatch(digest) and digest != wanted and answer.status < _ERROR:
            self.broken(wanted, digest)

    def refused(self, answer: Response) -> UpstreamError:
        return refused(answer, self._asked)


def refused(answer: Response, asked: RequestContext) -> UpstreamError:
    """The error that an answer of 400 and above stands for, its body read: the code there says more than the status."""
    code, said = _words(answer)
    if answer.status in (408, 425, 429) or answer.status >= 500:  # noqa: PLR2004  the class of server errors
        return refusal(answer.status, answer.headers, asked)
    if answer.status == 401 or code == _BAD_TOKEN:  # noqa: PLR2004  unauthorized
        return _by_code(_BAD_TOKEN if asked.token else _NO_REPO, said, asked)
    if answer.status == 403:  # noqa: PLR2004  forbidden
        return ForbiddenAnswer(f"{asked.page} is forbidden to us: {asked.spoken(said) or 'no reason given'}")
    if code not in (_NO_REPO, _NO_FILE) and answer.status == 404:  # noqa: PLR2004  not found
        code = _NO_FILE if asked.path else _NO_REPO
    return _by_code(code, said, asked)


def _words(answer: Response) -> tuple[str, str]:
    """The code and the message of a refusal; empty where it has none."""
    try:
        told = json.loads(read_whole(answer, _SAID))
        return str(told.get("Code", told.get("code", ""))), str(told.get("Message", told.get("message", "")))
    except (MirrorError, ValueError, AttributeError, RecursionError):
        return "", ""


def _by_code(code: str, said: str, asked: RequestContext) -> UpstreamError:
    match code:
        case "10010103009":
            return TokenRejected(f"token rejected: {asked.endpoint} does not know our token; set a valid one")
        case "10010205001" if asked.repo is None:
            return NotFoundOrPrivate(f"{asked.endpoint} gives us no list of an owner's repos; name them one by one")
        case "10010205001":
            hint = "and that the token may see it" if asked.token else "or set a token if it is private"
            return NotFoundOrPrivate(f"not found or private: {asked.page}; check the name {hint}")
        case "10990101007":
            return FileNotFound(f"{asked.page} has no file {asked.spoken(asked.path or '')!r}")
    told = f"code {asked.spoken(code)}: {asked.spoken(said)}"
    return BadAnswer(f"{asked.page}: not an answer as ModelScope gives it: {told}")
