"""POST /webhook: the Hub says that a repo has changed, and a sync of it begins at once.

A hint, and never more: what the Hub forgets to say, the schedules find. Nothing of a payload is believed but the name.

202   {"begun": [...]}         a sync was started, or waits already
200   {"ignored": "why"}       no job wants it: the Hub switches off webhooks that are answered by errors
400, 401, 408, 413, 429        no payload; another secret; too slow; too large; too many
503                            of two daemons this one is the standby: the other one takes webhooks

The secret is looked at before anything is counted: who does not know it spends nothing of what the Hub may send.

Source: https://huggingface.co/docs/hub/webhooks
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from typing import Protocol

from prometheus_client import Counter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mirror_sync.daemon.requests import RequestState, Started
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import MirrorError
from mirror_sync.logger import Logger

MOST = 64 * 1024  # bytes of a body
RATE, BURST = 10.0, 50  # requests a second over time, and at once
_PATIENCE = 10.0  # seconds that a body may take
_HEADS = ("refs/heads/", "refs/tags/")

_log = Logger()


class Ask(Protocol):
    """Starts syncs of a repo in the jobs that want it; of these revisions alone where some are named."""

    def __call__(self, repo: Repo, revisions: Collection[str] = ()) -> tuple[Started, ...]: ...


class _Event(BaseModel):
    action: str
    scope: str


class _Repo(BaseModel):
    type: str
    name: str


class _Ref(BaseModel):
    ref: str


class Payload(BaseModel):
    """What of a payload is looked at; unknown fields are ignored."""

    event: _Event
    repo: _Repo
    updated_refs: tuple[_Ref, ...] = Field(default=(), alias="updatedRefs")

    @property
    def wanted(self) -> Repo | None:
        """None for what changes no repo that could be mirrored: discussions, spaces. ValueError for a bad name.

        A scope that is not known counts as the one above it: repo.config.dois is repo.
        """
        if self.event.scope.partition(".")[0] != "repo" or self.repo.type not in tuple(Kind):
            return None
        return Repo(Kind(self.repo.type), self.repo.name)

    @property
    def revisions(self) -> frozenset[str]:
        """All names of the refs that have moved, short and in full; empty where none is named."""
        full = {ref.ref for ref in self.updated_refs}
        return frozenset(full | {name.removeprefix(head) for name in full for head in _HEADS})


class _RefusedCall(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(slots=True)
class TokenBucket:
    """Lets `burst` requests through at once, and `rate` a second over time; for one thread."""

    rate: float = RATE
    burst: int = BURST
    clock: Callable[[], float] = time.monotonic
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._at = self.burst, self.clock()

    def take(self) -> bool:
        """Whether one more may pass now; if so, it is counted."""
        now = self.clock()
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def webhook_route(
    secret: str,
    ask: Ask,
    count: Counter,
    bucket: TokenBucket | None = None,
    away: Callable[[], str] = lambda: "",
) -> Route:
    """`ask` starts syncs; `count` has the label outcome; `bucket` is of those who know the secret. `away` says why
    another daemon has to be asked, empty where this one is right.
    """
    limit, strangers = bucket or TokenBucket(), TokenBucket()

    def admit(request: Request) -> None:
        known = hmac.compare_digest(request.headers.get("x-webhook-secret", "").encode(), secret.encode())
        if not (limit if known else strangers).take():
            raise _RefusedCall(429, "too many webhooks")
        if not known:
            raise _RefusedCall(401, "X-Webhook-Secret is not http.webhook_secret of jobs.yaml")
        if why := away():
            raise _RefusedCall(503, why)

    async def webhook(request: Request) -> Response:
        answer, outcome = await _answer(request)
        count.labels(outcome).inc()
        return answer

    async def _answer(request: Request) -> tuple[Response, str]:
        try:
            admit(request)
            payload, repo = await _payload(request)
        except _RefusedCall as refused:
            return JSONResponse({"error": refused.why}, refused.status), "refused"
        if repo is None:
            return _ignored("it changes no model and no dataset")
        return await run_in_threadpool(_start, ask, repo, payload.revisions)

    return Route("/webhook", webhook, methods=["POST"])


async def _payload(request: Request) -> tuple[Payload, Repo | None]:
    try:
        body = await asyncio.wait_for(_body(request), _PATIENCE)
        payload = Payload.model_validate_json(body)
        wanted = payload.wanted
    except TimeoutError:
        raise _RefusedCall(408, "the body took too long") from None
    except ValueError:
        raise _RefusedCall(400, "no payload of a webhook") from None
    return payload, wanted


async def _body(request: Request) -> bytes:
    came = bytearray()
    async for part in request.stream():
        came += part
        if len(came) > MOST:
            raise _RefusedCall(413, f"more than {MOST} bytes")
    return bytes(came)


def _start(ask: Ask, repo: Repo, revisions: Collection[str]) -> tuple[Response, str]:
    try:
        begun = ask(repo, revisions)
    except MirrorError as error:  # it is stopping
        return _ignored(str(error))
    if not begun:
        return _ignored(f"no job names {repo}, or follows what has moved")
    _log.info("webhook.received", repo=str(repo), begun=[f"{one.job}: {one.state}" for one in begun])
    states = {one.state for one in begun}
    if all(state.idle for state in states):
        return _ignored(f"of all jobs that name {repo}: {', '.join(sorted(states))}")
    outcome = "started" if states & {RequestState.STARTED, RequestState.WAITS} else "merged"
    return JSONResponse({"begun": [asdict(one) for one in begun]}, 202), outcome


def _ignored(why: str) -> tuple[Response, str]:
    return JSONResponse({"ignored": why}), "ignored"
