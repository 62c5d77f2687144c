"""The daemon's own HTTP: /metrics for Prometheus, /healthz and /readyz for who starts and watches services.

GET /metrics   200, the text format or OpenMetrics, as Accept says
GET /healthz   200 while the scheduler lives, else 503: restart it
GET /readyz    200 when it serves its purpose, else 503 with the reasons as JSON: a person may have to look
GET /leaderz   where jobs.yaml has ha: 200 at the daemon that works, 503 at a standby; JSON
POST /webhook  where jobs.yaml has a secret for it: see webhook.py
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mirror_sync.daemon.health import Pulse, Readiness
from mirror_sync.daemon.lease import Standing
from mirror_sync.domain.times import iso_utc
from mirror_sync.front.serve.uvicorn_server import serving

if TYPE_CHECKING:
    from mirror_sync.config.keys.values.address_values import Listen

_OK, _UNAVAILABLE = 200, 503


def make_app(
    registry: CollectorRegistry, pulse: Pulse, look: Callable[[], Readiness], more: Iterable[BaseRoute] = ()
) -> Starlette:
    """`look` says how ready the daemon is; `more` are routes that others add.

    Answers are made in threads, so that a long one holds up no other; whether we live must not wait for a thread.
    """

    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    async def healthz(_: Request) -> Response:
        if pulse.alive:
            return PlainTextResponse("ok\n")
        return PlainTextResponse(f"no heartbeat of the scheduler for {pulse.age:.0f} s\n", _UNAVAILABLE)

    def readyz(_: Request) -> Response:
        found = look()
        return JSONResponse({"ready": found.ready, **asdict(found)}, _OK if found.ready else _UNAVAILABLE)

    own = [Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]
    return Starlette(routes=[*own, *more])


def leader_route(look: Callable[[], Standing]) -> Route:
    """Which of several daemons works: for who sends webhooks to one address for all of them, and for keepalived."""

    async def leaderz(_: Request) -> Response:
        found = look()
        since, holder = iso_utc(found.since), found.holder
        said = {"role": "leader" if found.leads else "standby", "since": since, "holder": holder}
        return JSONResponse(
            said | ({"trouble": found.trouble} if found.trouble else {}), _OK if found.leads else _UNAVAILABLE
        )

    return Route("/leaderz", leaderz)


@contextmanager
def answering(app: Starlette, listen: Listen) -> Iterator[str]:
    """Serve in a thread for as long as the block lasts; gives the URL. OSError, in one line, when it cannot listen."""
    place = f"{listen.host}:{listen.port}"
    with ExitStack() as stack:
        try:
            url = stack.enter_context(serving(app, listen.host, listen.port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "another program listens there already" if taken else error.strerror or str(error)
            raise OSError(f"http.listen: {place}: {why}; choose another address in jobs.yaml, or none") from error
        yield url
