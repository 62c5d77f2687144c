"""`serve` as an ASGI application over a store: requests in, answers out. What to answer is decided in
protocols/mounted.py.

The deciding is synchronous and runs in threads, since a store may be slow.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from mirror_sync.domain.access.reader_limits import UNLIMITED, ReaderLimits, counted_as
from mirror_sync.domain.access.rights import OPEN_TO_PUBLIC, AccessRules
from mirror_sync.domain.content.keys import USUAL, Caching
from mirror_sync.domain.doors.torrent_metainfo import TorrentOptions
from mirror_sync.domain.outcome.replicas import PUBLISHED_HEADER, ReplicaFront
from mirror_sync.errors import BlobFrozen, DocumentError, StoreError
from mirror_sync.front.hub.answers import BAD_BUCKET, BROKEN, SAFETY, SECURED, Answer, JoinedSlices, Refusal
from mirror_sync.front.hub.cors import ANY, Cors
from mirror_sync.front.hub.doorkeeper import Doorkeeper, TokensFile
from mirror_sync.front.hub.front_request import FrontRequest
from mirror_sync.front.hub.hub_lists import Lists
from mirror_sync.front.hub.served import Served
from mirror_sync.front.hub.snapshots import DOCUMENT_BYTES, Snapshots
from mirror_sync.front.misses.daemon_desk import DaemonDesk, DeskOptions
from mirror_sync.front.protocols.mounted import Mounted
from mirror_sync.front.protocols.s3 import DOOR as S3_DOOR
from mirror_sync.front.protocols.s3_addresses import addressed, is_marked
from mirror_sync.front.serve.reader_turns import ReaderTurns
from mirror_sync.front.serve.streaming import BlobResponse, BlobStream, Paced, Threads, expect_given, joined_chunks
from mirror_sync.ports.store import Store

READER, CLIENT, ASKED_DOOR = "mirror_sync.reader", "mirror_sync.client", "mirror_sync.door"  # of a scope, for the log
LONGEST_PREFIX = 256  # characters
BODY_LIMIT = 1 << 20  # bytes of a request's body: only paths-info has one

# No part begins with a dot, so none leads upwards.
_PREFIX = re.compile(r"((?:/[A-Za-z0-9_~\-][A-Za-z0-9._~\-]*)+)/?")
_HOST = re.compile(r"[A-Za-z0-9._\-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_ABSOLUTE = re.compile(r"https?://[^/]*", re.IGNORECASE)
_IMMUTABLE = "immutable"  # the same in all replicas, however late
_BODILESS = (204, 304)  # they must not give the length of none
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Links lead to `public_url`; None: to where each client, or the proxy before us, says that it found us.

    `site`: a catalogue is published, and `/` and the addresses of repos lead there. `by_digest`: contents are given by
    their digest alone, too, whether anything published names them or not. `cors`: whose pages may read the answers.
    `access`: who may read what; `tokens`: the file of those of readers. `secured`: by TLS alone, as browsers are told.
    `limits`: how much one reader may ask. `caching`: how long others may keep an answer.
    `doors`: those that are open beside the Hub's. `torrents`: how they are put together. `kernel_publishers`: whose
    kernels clients are told to trust. `s3_port`: all that is asked there is asked of the S3 door.
    `desk`: where the daemon is asked about what is not here, None for nowhere.
    `replicas`: those with fronts of their own, the best first. `restores`: blobs may lie in a class of storage that
    gives nothing before it has restored it.
    """

    public_url: str | None = None
    site: bool = True
    by_digest: bool = False
    cors: Cors = ANY
    access: AccessRules = OPEN_TO_PUBLIC
    tokens: Path | None = None
    secured: bool = False
    limits: ReaderLimits = UNLIMITED
    caching: Caching = USUAL
    doors: frozenset[str] = frozenset()
    kernel_publishers: frozenset[str] = frozenset()
    torrents: TorrentOptions = TorrentOptions()
    s3_port: int | None = None
    desk: DeskOptions | None = None
    replicas: tuple[ReplicaFront, ...] = ()
    restores: bool = False


_DEFAULTS = ServeOptions()


def make_app(
    store: Store,
    options: ServeOptions = _DEFAULTS,
    *,
    refs_seconds: float = 1.0,
    document_bytes: int = DOCUMENT_BYTES,
) -> Starlette:
    """The front over a store; what a branch leads to is looked up again after `refs_seconds`.

    `document_bytes` of documents are kept; how often what was looked for was there says `state.looks` of what is given.
    """
    served = Served(
        store,
        Snapshots(store, refs_seconds, document_bytes=document_bytes),
        Lists(store, refs_seconds),
        site=options.site,
        by_digest=options.by_digest,
        access=options.access,
        tokens=options.tokens is not None,
        caching=options.caching,
        doors=options.doors,
        kernel_publishers=options.kernel_publishers,
        torrents=options.torrents,
        desk=None if options.desk is None else DaemonDesk(options.desk),
        miss="404" if options.desk is None else options.desk.mode,
        replicas=options.replicas,
    )
    tokens = None if options.tokens is None else TokensFile(options.tokens)
    door = Doorkeeper(served, tokens)
    mounted = Mounted(served, preflight=bool(options.cors.origins), door=door)
    app = Starlette(routes=[_Front(mounted, store, options, served.snapshots.as_of)])
    app.state.looks = served.snapshots.looks
    return app


def always(cors: Cors) -> dict[str, str]:
    """The headers of an answer to a request that could not be read."""
    return {**SAFETY, **cors.headers("")}


class _Front(BaseRoute):
    """Takes every path: Starlette's own routes match decoded ones, and protocols must see them raw."""

    def __init__(self, mounted: Mounted, store: Store, options: ServeOptions, ask_as_of: Callable[[], str]) -> None:
        self._mounted = mounted
        self._store = store
        self._public_url = options.public_url
        self._cors = options.cors
        self._always = SECURED if options.secured else {}
        self._threads = Threads()
        self._turns = ReaderTurns(options.limits) if options.limits else None
        self._s3, self._restores = S3_DOOR in options.doors, options.restores
        self._ask_as_of, self._as_of = ask_as_of, ""  # of the target, where this is a replica of it
        self._s3_port, self._tokens = options.s3_port, options.tokens is not None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        async with AsyncExitStack() as held:
            try:
                response = await self._respond(request, held)
            except ClientDisconnect:
                return
            if self._as_of and _IMMUTABLE not in response.headers.get("cache-control", ""):
                response.headers[PUBLISHED_HEADER] = self._as_of
            response.headers.update(self._always | self._cors.headers(request.headers.get("origin", "")))
            if self._cors.named:
                response.headers.add_vary_header("Origin")
            await response(scope, receive, send)

    async def _respond(self, request: Request, held: AsyncExitStack) -> Response:
        """The answer, for which the reader's turn was waited for, and is held until `held` is left."""
        asked: FrontRequest | None = None
        try:
            asked = self._placed(request, _asked(request, self._public_url))
            asked = replace(asked, body=await _read_body(request))
            peer = str((request.scope.get("client") or ("", 0))[0])
            client = self._mounted.door.client(peer, request.headers.get("x-forwarded-for", ""))
            asked, paced = await self._turn(request.scope, replace(asked, client=client), held)
            answer = await self._threads.run(partial(self._answer, request.scope, asked))
            return _linked(await self._response(asked, answer, paced), answer)
        except Refusal as refusal:
            return self._refused(request, asked, refusal)
        except BlobFrozen as error:
            _log.info("cold: %s: %s", request.scope["path"], error)
            if asked is None:
                return self._refused(request, asked, Refusal(502, BAD_BUCKET))
            return self._refused(request, asked, await self._threads.run(partial(self._mounted.frozen, asked)))
        except (StoreError, DocumentError) as error:
            # a KeyMissing too: what a published snapshot names must be there
            _log.error("cannot answer %s: %s", request.scope["path"], error)
            return self._refused(request, asked, Refusal(502, BAD_BUCKET))
        except ClientDisconnect:
            raise
        except Exception:  # a fault of ours in one answer: the client must not wait for it, nor others suffer
            _log.exception("cannot answer %s", request.scope["path"])
            return self._refused(request, asked, Refusal(500, BROKEN))

    def _refused(self, request: Request, asked: FrontRequest | None, refusal: Refusal) -> Response:
        """In the form of the protocol that was asked by; `asked` None for a request that could not be read."""
        raw_path = _raw_path(request.scope) if asked is None else asked.raw_path
        return _plain(
            request.method, self._mounted.shaped(refusal, raw_path, "" if asked is None else asked.origin).answer
        )

    def _placed(self, request: Request, asked: FrontRequest) -> FrontRequest:
        """The request at the address of the door that it is meant for."""
        at_port = self._s3_port is not None and (request.scope.get("server") or ("", 0))[1] == self._s3_port
        if not self._s3 or not (at_port or is_marked(asked.headers, asked.query)):
            return asked
        request.scope[ASKED_DOOR] = S3_DOOR
        return addressed(asked, tokens=self._tokens)

    async def _turn(self, scope: Scope, asked: FrontRequest, held: AsyncExitStack) -> tuple[FrontRequest, Paced | None]:
        """The request with who asks, where readers have limits, when its turn has come."""
        if self._turns is None or self._mounted.is_open(asked):
            return asked, None
        asked = await self._threads.run(partial(self._known, scope, asked))
        pace = await held.enter_async_context(self._turns.turn(counted_as(asked.reader, asked.client)))
        return asked, None if pace is None else Paced(pace, self._turns.piece)

    def _known(self, scope: Scope, asked: FrontRequest) -> FrontRequest:
        """The log finds in the scope whose token was sent, and from where."""
        known = self._mounted.known(asked)
        scope[READER], scope[CLIENT] = known.reader.name, known.client
        return known

    def _answer(self, scope: Scope, asked: FrontRequest) -> Answer:
        """Who asks is looked up anew: whoever has waited may have lost their token meanwhile."""
        self._as_of = self._ask_as_of()
        return self._mounted.answer(self._known(scope, asked))

    async def _response(self, asked: FrontRequest, answer: Answer, paced: Paced | None) -> Response:
        if asked.method == "HEAD" or isinstance(answer.body, bytes) or answer.length == 0:
            return _plain(asked.method, answer)
        if isinstance(answer.body, JoinedSlices):
            if self._restores:
                await expect_given(self._threads, self._store, answer.body.may_be_cold)
            joined = joined_chunks(self._threads, self._store, answer.body, paced)
            return StreamingResponse(joined, answer.status, _headers(answer))
        stream = await BlobStream.open(self._threads, self._store, answer.body)
        return BlobResponse(stream, answer.length, answer.status, _headers(answer), paced)


def _linked(response: Response, answer: Answer) -> Response:
    for link in answer.links:
        response.headers.append("Link", link)
    return response


def _plain(method: str, answer: Answer) -> Response:
    body = answer.body if method != "HEAD" and isinstance(answer.body, bytes) else b""
    response = Response(body, answer.status, _headers(answer))
    if not answer.sized and "content-length" in response.headers:
        del response.headers["content-length"]  # Starlette's own, of the body that a HEAD has not
    return response


def _headers(answer: Answer) -> dict[str, str]:
    length = {} if answer.status in _BODILESS or not answer.sized else {"Content-Length": str(answer.length)}
    return {**SAFETY, **answer.headers, **length}


def _asked(request: Request, public_url: str | None) -> FrontRequest:
    prefix = _prefix(request.headers) if public_url is None else urlsplit(public_url).path
    return FrontRequest(
        method=request.method,
        raw_path=_raw_path(request.scope),
        query=request.scope["query_string"].decode("latin-1"),
        headers=request.headers,
        origin=public_url or _origin(request.headers, request.scope["scheme"]) + prefix,
        prefix=prefix,
        told=public_url is None,
    )


def _raw_path(scope: Scope) -> str:
    """The path as it came; of a whole address, as RFC 9112 (3.2.2) has it and AWS's CRT sends it, what is behind the
    host.
    """
    raw = str(scope["raw_path"].decode("latin-1"))
    return (_ABSOLUTE.sub("", raw, count=1) or "/") if not raw.startswith("/") else raw


def _origin(headers: Headers, scheme: str) -> str:
    """Where clients find this front, as the proxy before it says; "" (a relative link) when nothing usable does."""
    forwarded = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    hosts = (headers.get("x-forwarded-host", "").partition(",")[0].strip(), headers.get("host", ""))
    host = next((host for host in hosts if _HOST.fullmatch(host)), None)
    return f"{forwarded if forwarded in ('http', 'https') else scheme}://{host}" if host else ""


def _prefix(headers: Headers) -> str:
    """The path that a proxy before us takes away, as it says; "" for anything but a plain one."""
    found = _PREFIX.fullmatch(headers.get("x-forwarded-prefix", "").partition(",")[0].strip())
    return "" if found is None or len(found[1]) > LONGEST_PREFIX else found[1]


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise Refusal(413, f"A body may have {BODY_LIMIT} bytes")
    return bytes(body)
