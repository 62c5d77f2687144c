"""The way to the network: pools of connections, straight or through a proxy. No redirects, no repeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version

import urllib3
from urllib3.util import make_headers, parse_url

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.url import Origin, Url
from mirror_sync.errors import BadAnswer, Unreachable
from mirror_sync.sources.http.arrivals import BROKEN, Arrivals
from mirror_sync.sources.http.connection import ConnectionOptions, Lender, peer, pools
from mirror_sync.sources.http.hub_errors import unreachable
from mirror_sync.sources.http.lean import Answer, LeanAnswer, LeanWay
from mirror_sync.sources.http.network import proxy_for, trusted
from mirror_sync.sources.http.public_addresses import is_public, names_private

USER_AGENT = f"mirror-sync/{version('mirror-sync')}; hf_hub/{version('huggingface_hub')}"
_HOSTS = 16  # pools kept open; a CDN has a few names
_ORIGINS = 1024  # hosts whose proxy is remembered
_SHORT = 64 * 1024  # bytes that are sooner read than a connection is made
_SHORT_WHILE = 1.0  # seconds that reading them may take


class Transport:
    """Connections for many threads; `connections` is how many stay open to one host, `clock` in seconds, `public` says
    of an IP address whether it is one of the open internet.

    SSL_CERT_FILE is honoured as it stands when it is made, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY as they
    stand when a host is first connected to.
    """

    def __init__(
        self,
        *,
        timeouts: Timeouts | None = None,
        connections: int = 32,
        clock: Callable[[], float] = time.monotonic,
        public: Callable[[str], bool] = is_public,
    ) -> None:
        self.timeouts = timeouts or Timeouts()
        self._connections, self._clock, self._public = connections, clock, public
        self._tls = trusted()
        self._lean = {narrow: self._new_lean(public_only=narrow) for narrow in (False, True)}
        self._proxies: dict[Origin, str | None] = {}
        self._pools: dict[tuple[str | None, bool], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def open(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        public_only: bool = False,
        small: bool = False,
        post: bytes | None = None,
    ) -> Answer:
        """One GET, or POST of a body; what it is answered is unread, and as it came. Unreachable when there is no
        answer, ValueError for a URL that is none. Where the connection leads is what `Url` reads there, and no other
        reader of addresses has a say.

        `public_only`: BadAnswer when the address is not one of the open internet. Every address that is connected to
        is looked at; through a proxy, which resolves names itself, only what a name says by itself.
        """
        place = Url.parse(url)
        proxy = self._proxy(place)
        if public_only and proxy is not None and names_private(place.host, self._public):
            raise BadAnswer(f"a redirect to {place.host}, which is not on the open internet: refused")
        said = written(place, headers)
        try:
            if (
                small
                and post is None
                and proxy is None
                and (answer := self._lean[public_only].ask(place, said)) is not None
            ):
                return answer
            pool = self._pool(proxy, public_only=public_only and proxy is None)
            return pool.connection_from_host(place.bracketed, place.port, place.scheme).urlopen(
                "GET" if post is None else "POST",
                place.target if proxy is None or place.scheme == "https" else str(place),
                headers=said,
                body=post,
                assert_same_host=False,  # a proxy is asked for another's address
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except BROKEN as error:
            raise unreachable(url, error) from error

    def arrivals(self, answer: Answer, url: str, within: float | None = None) -> Arrivals:
        """The body of an answer, as it arrives; `within` so many seconds its whole."""
        return Arrivals(answer, url, self.timeouts, self._clock, within)

    def came_from_inside(self, answer: Answer, url: str) -> bool:
        """Whether a server that is not on the open internet answered; behind a proxy, by its name."""
        place = Url.parse(url)
        return names_private(place.host, self._public) if self._proxy(place) else not self._public(_peer(answer))

    def finish(self, answer: Answer, url: str) -> None:
        """Have done with an answer whose body does not matter: a short one is read, so that its connection serves
        again; one that does not come at once is not worth it.
        """
        length = answer.headers.get("Content-Length", "")
        short = length.isdecimal() and len(length) <= len(str(_SHORT)) and int(length) <= _SHORT
        here = isinstance(answer, LeanAnswer) and answer.is_here
        if here or (short and self.arrivals(answer, url).drain(_SHORT_WHILE)):
            answer.release_conn()
        else:
            discard(answer)

    def close(self) -> None:
        """Close the idle connections; those in use end with their streams."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()

    def _proxy(self, place: Url) -> str | None:
        """Looked up once for each host: to read the whole environment takes longer than to ask for a small file."""
        try:
            return self._proxies[place.origin]
        except KeyError:
            proxy = proxy_for(place)
            if len(self._proxies) >= _ORIGINS:
                self._proxies.clear()  # by any thread, at any time: what was read is kept in hand
            self._proxies[place.origin] = proxy
        return proxy

    def _pool(self, proxy: str | None, *, public_only: bool) -> urllib3.PoolManager:
        with self._lock:
            if (proxy, public_only) not in self._pools:
                self._pools[proxy, public_only] = self._new_pool(
                    proxy, self._connection_options(public_only=public_only)
                )
            return self._pools[proxy, public_only]

    def _new_lean(self, *, public_only: bool) -> LeanWay:
        def find(place: Url) -> Lender:
            pools = self._pool(None, public_only=public_only)
            pool = pools.connection_from_host(place.bracketed, place.port, place.scheme)
            assert isinstance(pool, Lender)  # noqa: S101  for the type checker: our managers make no others
            return pool

        return LeanWay(self._connection_options(public_only=public_only), find)

    def _connection_options(self, *, public_only: bool) -> ConnectionOptions:
        return ConnectionOptions(self.timeouts, self._clock, self._public if public_only else None)

    def _new_pool(self, proxy: str | None, connection_options: ConnectionOptions) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=self.timeouts.connect, read=self.timeouts.first_byte)
        made = self._straight(timeout) if proxy is None else self._through(proxy, timeout)
        made.pool_classes_by_scheme = dict(pools(connection_options))
        return made

    def _straight(self, timeout: urllib3.Timeout) -> urllib3.PoolManager:
        return urllib3.PoolManager(num_pools=_HOSTS, maxsize=self._connections, timeout=timeout, ssl_context=self._tls)

    def _through(self, proxy: str, timeout: urllib3.Timeout) -> urllib3.PoolManager:
        address = parse_url(proxy)
        if address.scheme not in ("http", "https"):
            raise Unreachable(f"a proxy of kind {address.scheme} is not supported; name an http or https one")
        return urllib3.ProxyManager(
            proxy,
            num_pools=_HOSTS,
            maxsize=self._connections,
            timeout=timeout,
            ssl_context=self._tls,
            proxy_ssl_context=self._tls,
            proxy_headers=make_headers(proxy_basic_auth=address.auth) if address.auth else None,
        )


def written(place: Url, headers: Mapping[str, str]) -> dict[str, str]:
    """All headers of a request, each once whatever letters its name came in: strict servers refuse a second one.

    The last one counts, so that a caller's replaces ours.
    """
    said = {"host": place.netloc, "user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity"}
    return said | {name.lower(): value for name, value in headers.items()}


def _peer(answer: Answer) -> str:
    return answer.peer if isinstance(answer, LeanAnswer) else peer(answer)


def discard(answer: Answer) -> None:
    """Give an answer up: a connection with unread bytes must not serve another request."""
    answer.close()
    answer.release_conn()
