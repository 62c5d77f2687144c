"""The bytes' way to the network: pools of connections, straight or through a proxy. No redirects, no repeats."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.metadata import version

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers, parse_url

from mirror_sync.errors import Unreachable
from mirror_sync.sources.hub_errors import unreachable
from mirror_sync.sources.network import Timeouts, proxy_for, trusted

USER_AGENT = f"mirror-sync/{version('mirror-sync')}; hf_hub/{version('huggingface_hub')}"
_HOSTS = 16  # pools kept open; a CDN has a few names
_SHORT = 64 * 1024  # bytes that are sooner read than a connection is made


class Transport:
    """Connections for many threads; `connections` is how many stay open to one host.

    HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE are honoured as they stand when it is made and used.
    """

    def __init__(self, *, timeouts: Timeouts | None = None, connections: int = 32) -> None:
        self.timeouts = timeouts or Timeouts()
        self._connections = connections
        self._tls = trusted()
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def open(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """One GET, its body unread and as it came. Unreachable when there is no answer."""
        try:
            return self._pool(proxy_for(url)).request(
                "GET",
                url,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except (HTTPError, OSError) as error:
            raise unreachable(url, error) from error

    def close(self) -> None:
        """Close the idle connections; those in use end with their streams."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()

    def _pool(self, proxy: str | None) -> urllib3.PoolManager:
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = self._new_pool(proxy)
            return self._pools[proxy]

    def _new_pool(self, proxy: str | None) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=self.timeouts.connect, read=self.timeouts.read)
        if proxy is None:
            return urllib3.PoolManager(
                num_pools=_HOSTS, maxsize=self._connections, timeout=timeout, ssl_context=self._tls
            )
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


def finish(answer: urllib3.BaseHTTPResponse) -> None:
    """Have done with an answer whose body does not matter: a short one is read, so that its connection serves again."""
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) <= _SHORT:
        answer.drain_conn()
        answer.release_conn()
    else:
        discard(answer)


def discard(answer: urllib3.BaseHTTPResponse) -> None:
    """Give an answer up: a connection with unread bytes must not serve another request."""
    answer.close()
    answer.release_conn()
