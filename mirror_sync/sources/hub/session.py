"""The HTTP client that huggingface_hub uses for our calls: our own way to the network instead of its.

huggingface_hub 2.4 has no time-out, reads answers of any size, follows redirects anywhere, sleeps and repeats paginated
calls up to five times (twice the work under our own retries), sends the token along to whatever address a `Link:
rel="next"` names, and asks a default endpoint for a list of agents before its first request. What speaks to a hub marks
its calls with a slip, which never leaves this process; calls without one, by other users of huggingface_hub in the
process, keep the library's ways.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

import httpx2
from huggingface_hub import constants, set_client_factory

from mirror_sync.errors import BadAnswer
from mirror_sync.sources.http.hub_errors import RequestContext, refusal
from mirror_sync.sources.http.lean import Answer
from mirror_sync.sources.http.network import spoken_origin, trusted
from mirror_sync.sources.http.unpacking import ENCODINGS
from mirror_sync.sources.hub.download_addresses import Address
from mirror_sync.sources.hub.endpoint import Endpoint, read_whole

SLIP = "x-mirror-sync-slip"
_MIB = 1024 * 1024
_REPEATED_BY_LIBRARY = {408, 429, 500, 502, 503, 504}
_TAKEN_CARE_OF = {"content-encoding", "content-length", "transfer-encoding"}
_KEPT = ("user-agent", "accept", "content-type")
_ERROR = 400
_LISTS = ("/api/models", "/api/datasets")
_TREE = re.compile(r"/api/(?:models|datasets)/.+/tree/.+")
_installed = threading.Lock()
_slips: WeakValueDictionary[str, Slip] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most bytes of an API answer, unpacked, by its kind: a list of a thousand repos with long cards has some ten
    million, a thousand entries of a tree have half a million, and all else is about one repo.
    """

    info: int = 4 * _MIB
    tree: int = 10 * _MIB
    repos: int = 64 * _MIB

    def of(self, path: str) -> int:
        """By the path that was asked for, without what a gateway puts before it."""
        if path in _LISTS:
            return self.repos
        return self.tree if _TREE.fullmatch(path) else self.info


class Slip:
    """Whose call it is, in a word that can be sent as a header."""

    def __init__(self, endpoint: Endpoint, bounds: Bounds | None = None) -> None:
        self.endpoint, self.bounds = endpoint, bounds or Bounds()
        self.word = uuid4().hex
        _slips[self.word] = self


class Session(httpx2.Client):
    """httpx2's client, but for marked calls, which go our way."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Raises our own errors, which huggingface_hub does not know and therefore does not repeat."""
        word = request.headers.pop(SLIP, None)
        slip = None if word is None else _slips.get(word)
        if slip is not None:
            return _answer(slip, request)
        return super().send(request, **options)


def install_session() -> None:
    """Make huggingface_hub use our client, once a process."""
    if _installed.acquire(blocking=False):
        # The variable of that name is read at import, which may be over: with telemetry on, the first request of a
        # process calls the default endpoint, though no job names it (huggingface_hub.utils.detect_agent).
        constants.HF_HUB_DISABLE_TELEMETRY = True
        set_client_factory(_new_session)


def _new_session() -> Session:
    # The library's hook that honours HF_HUB_OFFLINE is left out: a mirror that was told to sync is not offline.
    return Session(follow_redirects=True, timeout=None, verify=trusted())


def _answer(slip: Slip, request: httpx2.Request) -> httpx2.Response:
    """One call and its redirects. The token is the endpoint's to add, so none is taken over."""
    url, endpoint = str(request.url), slip.endpoint
    _check_origin(url, endpoint)
    headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
    headers["Accept-Encoding"] = ENCODINGS
    post = request.read() if request.method == "POST" else None
    if request.method not in ("GET", "POST"):
        raise BadAnswer(f"a call by {request.method}, which is none of ours")
    address, answer = endpoint.get(RequestContext(endpoint.url), Address(url), headers, stay=True, post=post)
    url = address.url
    if answer.status in _REPEATED_BY_LIBRARY:
        endpoint.finish(answer, url)
        raise refusal(answer.status, answer.headers, RequestContext(endpoint.url))
    return httpx2.Response(
        answer.status,
        headers=[(name, value) for name, value in answer.headers.items() if name.lower() not in _TAKEN_CARE_OF],
        content=_body(slip, url, answer),
        request=httpx2.Request(request.method, url),
    )


def _body(slip: Slip, url: str, answer: Answer) -> bytes:
    if answer.status < _ERROR:
        return read_whole(slip.endpoint, url, answer, slip.bounds.of(slip.endpoint.path_of(url)))
    slip.endpoint.finish(answer, url)  # a refusal's headers say it all
    return b""


def _check_origin(url: str, endpoint: Endpoint) -> None:
    try:
        same = endpoint.is_home(url)
    except ValueError:
        same = False
    if not same:
        raise BadAnswer(f"{endpoint.url} continues its answer at {spoken_origin(url)}: refused")
