"""The HTTP client that huggingface_hub uses for our calls: our own way to the network instead of its.

Only the calls about an account's webhooks are huggingface_hub's. It has one client for a whole process, made by a
factory that may be set. Ours is the library's own but for calls from within `speaking`: other users of huggingface_hub
in the process keep its ways.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2
from huggingface_hub import constants, set_client_factory

from mirror_sync.errors import BadAnswer
from mirror_sync.net.network import trusted
from mirror_sync.sources.hub.api_calls import ApiCalls
from mirror_sync.sources.hub.hub_errors import RequestContext, refusal

_REPEATED_BY_LIBRARY = {408, 429, 500, 502, 503, 504}
_TAKEN_CARE_OF = {"content-encoding", "content-length", "transfer-encoding"}
_KEPT = ("accept", "content-type")
_installed = threading.Lock()
_spoken_by: ContextVar[tuple[ApiCalls, RequestContext] | None] = ContextVar("spoken_by", default=None)


class Session(httpx2.Client):
    """httpx2's client, but for calls of ours, which go our way."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Raises our own errors, which huggingface_hub does not know and therefore does not repeat."""
        ours = _spoken_by.get()
        return super().send(request, **options) if ours is None else _answer(*ours, request)


@contextmanager
def speaking(calls: ApiCalls, asked: RequestContext) -> Iterator[None]:
    """Meanwhile what this thread has huggingface_hub ask is asked by `calls`."""
    if _installed.acquire(blocking=False):
        # The variable of that name is read at import, which may be over: with telemetry on, the first request of a
        # process calls the default endpoint, though no job names it (huggingface_hub.utils.detect_agent).
        constants.HF_HUB_DISABLE_TELEMETRY = True
        set_client_factory(_new_session)
    token = _spoken_by.set((calls, asked))
    try:
        yield
    finally:
        _spoken_by.reset(token)


def _new_session() -> Session:
    # The library's hook that honours HF_HUB_OFFLINE is left out: a mirror that was told to sync is not offline.
    return Session(follow_redirects=True, timeout=None, verify=trusted())


def _answer(calls: ApiCalls, asked: RequestContext, request: httpx2.Request) -> httpx2.Response:
    """One call and its redirects. The token is the endpoint's to add, so none is taken over."""
    if request.method not in ("GET", "POST"):
        raise BadAnswer(f"a call by {request.method}, which is none of ours")
    headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
    post = request.read() if request.method == "POST" else None
    found = calls.call(asked, str(request.url), headers, post)
    if found.status in _REPEATED_BY_LIBRARY:
        raise refusal(found.status, found.headers, asked)
    return httpx2.Response(
        found.status,
        headers=[(name, value) for name, value in found.headers.items() if name not in _TAKEN_CARE_OF],
        content=found.body,
        request=httpx2.Request(request.method, found.url),
    )
