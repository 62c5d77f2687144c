"""The way to the network: connections to servers, straight or through a proxy. No redirects, no repeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.url import Origin, Url
from mirror_sync.errors import BadAnswer
from mirror_sync.net.connection import Connection, Idle, Proxy, connected
from mirror_sync.net.http1 import USER_AGENT, HeadDeadline, read_final_head, request_head
from mirror_sync.net.network import BROKEN, is_public, names_private, proxy_for, trusted, unreachable
from mirror_sync.net.response import Patience, Response

if TYPE_CHECKING:
    import ssl

_ROUTES = 64  # whose connections are kept open
_ORIGINS = 1024  # hosts whose proxy is remembered


class _Route:
    """Where connections lead: to a server, or to the proxy that passes requests on."""

    __slots__ = ("connect", "idle")

    def __init__(self, connect: Callable[[], Connection], most: int) -> None:
        self.connect, self.idle = connect, Idle(most)


class Transport:
    """Connections for many threads; `connections` is how many stay open to one host, `clock` in seconds, `public` says
    of an IP address whether it is one of the open internet.

    SSL_CERT_FILE, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are honoured as they stand when they are first
    needed, the proxies of each host by itself; no proxy is where `direct`, as for what listens on this machine.
    """

    def __init__(
        self,
        *,
        timeouts: Timeouts | None = None,
        connections: int = 32,
        clock: Callable[[], float] = time.monotonic,
        public: Callable[[str], bool] = is_public,
        direct: bool = False,
    ) -> None:
        self._direct = direct
        self.timeouts = timeouts or Timeouts()
        self._connections, self._clock, self._public = connections, clock, public
        self._patience = Patience(self.timeouts, clock)
        self._tls: ssl.SSLContext | None = None
        self._proxies: dict[Origin, str | None] = {}
        self._routes: dict[tuple[Origin, str | None, bool], _Route] = {}
        self._lock = threading.Lock()

    def open(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        public_only: bool = False,
        post: bytes | None = None,
        method: str = "GET",
    ) -> Response:
        """One GET, or what `method` says and has no body, or POST of a body; what it is answered is unread, and as it
        came. Unreachable when there is no answer, ValueError for a URL that is none. Where the connection leads is what
        `Url` reads there, and no other reader of addresses has a say.

        `public_only`: BadAnswer when the address is not one of the open internet. Every address that is connected to
        is looked at; through a proxy, which resolves names itself, only what a name says by itself.
        """
        place = Url.parse(url)
        proxy = self._proxy(place)
        if public_only and proxy is not None and names_private(place.host, self._public):
            raise BadAnswer(f"a redirect to {place.host}, which is not on the open internet: refused")
        ours = {"host": place.netloc, "user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity"}
        through = {} if proxy is None or place.scheme == "https" else Proxy.parse(proxy).headers
        target = place.target if proxy is None or place.scheme == "https" else str(place)
        try:
            if post is None:
                request = request_head(method, target, ours, headers, through)
            else:
                length = {"content-length": str(len(post))}
                request = request_head("POST", target, ours, headers, length, through) + post
            return self._ask(self._route(place, proxy, public_only), request, url, again=post is None)
        except BROKEN as error:
            raise unreachable(url, error) from error

    def came_from_inside(self, answer: Response) -> bool:
        """Whether a server that is not on the open internet answered; behind a proxy, by its name."""
        place = Url.parse(answer.url)
        return names_private(place.host, self._public) if self._proxy(place) else not self._public(answer.peer)

    def close(self) -> None:
        """Close the idle connections; those in use end with their streams."""
        with self._lock:
            for route in self._routes.values():
                route.idle.close()

    def _ask(self, route: _Route, request: bytes, url: str, *, again: bool) -> Response:
        """A server ends what is idle whenever it likes: then a request that may be repeated is, on a new connection."""
        kept = route.idle.take() if again else None
        if kept is not None:
            try:
                return self._exchange(kept, route.idle, request, url)
            except TimeoutError:
                raise
            except OSError:  # ssl has errors of its own for an end that comes without a word
                pass
        return self._exchange(route.connect(), route.idle, request, url)

    def _exchange(self, connection: Connection, idle: Idle, request: bytes, url: str) -> Response:
        """The headers as a whole, with those that only announce them, have the time of a first byte."""
        try:
            receive = HeadDeadline(connection.sock, self.timeouts.first_byte, self._clock)
            connection.sock.sendall(request)
            head, rest = read_final_head(receive)
            return Response(head, rest, url, connection, idle, self._patience)
        except BaseException:
            connection.close()
            raise

    def _route(self, place: Url, proxy: str | None, public_only: bool) -> _Route:
        key = place.origin, proxy, public_only
        route = self._routes.get(key)
        if route is None:
            with self._lock:
                if key not in self._routes:
                    self._routes[key] = self._new_route(place, proxy, self._public if public_only else None)
                    if len(self._routes) > _ROUTES:
                        self._routes.pop(next(iter(self._routes))).idle.close()
                route = self._routes[key]
        return route

    def _new_route(self, place: Url, proxy: str | None, allows: Callable[[str], bool] | None) -> _Route:
        if proxy is None:
            return _Route(partial(self._straight, place, allows), self._connections)
        return _Route(partial(self._through, place, Proxy.parse(proxy)), self._connections)

    def _straight(self, place: Url, allows: Callable[[str], bool] | None) -> Connection:
        tls = self._trust() if place.scheme == "https" else None
        return connected(place.host, place.port, self.timeouts.connect, allows, tls)

    def _through(self, place: Url, proxy: Proxy) -> Connection:
        seconds = self.timeouts.connect
        connection = connected(proxy.host, proxy.port, seconds, tls=self._trust() if proxy.tls else None)
        if place.scheme == "http":
            return connection
        try:
            proxy.tunnel(connection, place, self.timeouts.first_byte, self._clock)
            connection.sock.settimeout(seconds)
            proxy.secure(connection, self._trust(), place.host)
        except BaseException:
            connection.close()
            raise
        return connection

    def _trust(self) -> ssl.SSLContext:
        """One for all connections: to read the system's certificates takes longer than to connect."""
        if self._tls is None:
            self._tls = trusted()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    def _proxy(self, place: Url) -> str | None:
        """Looked up once for each host: to read the whole environment takes longer than to ask for a small file."""
        try:
            return self._proxies[place.origin]
        except KeyError:
            proxy = None if self._direct else proxy_for(place)
            if len(self._proxies) >= _ORIGINS:
                self._proxies.clear()  # by any thread, at any time: what was read is kept in hand
            self._proxies[place.origin] = proxy
        return proxy
