"""Open connections: made straight or through a proxy, to allowed addresses, kept while they can serve again."""

from __future__ import annotations

import base64
import select
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mirror_sync.domain.url import Url
from mirror_sync.errors import BadAnswer, Unreachable
from mirror_sync.net.http1 import USER_AGENT, HeadDeadline, read_head, request_head

if TYPE_CHECKING:
    import ssl

_ADDRESSES = 4  # of a name that are tried: each may cost a whole connect time-out
_ESTABLISHED = range(200, 300)
_PORTS = {"http": 80, "https": 443}


class Connection:
    """A socket that is connected. `peer` is the address at the other end: the server's, or the proxy's."""

    __slots__ = ("peer", "sock")

    def __init__(self, sock: socket.socket, peer: str = "") -> None:
        self.sock, self.peer = sock, peer

    def close(self) -> None:
        """Close it, whatever state it is in."""
        self.sock.close()

    def secure(self, tls: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on, with who can prove that it is `host`. OSError."""
        try:
            self.sock = tls.wrap_socket(self.sock, server_hostname=host.rstrip("."))
        except BaseException:
            self.close()
            raise


def connected(
    host: str, port: int, seconds: float, allows: Callable[[str], bool] | None = None, tls: ssl.SSLContext | None = None
) -> Connection:
    """A connection to a host, as its certificate names it; `seconds` for each of its addresses, and for TLS.

    The name is resolved once, and what was looked at is what is connected to: a name whose address changes between look
    and use (DNS rebinding) gains nothing. OSError; BadAnswer for an address that is not allowed.
    """
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    places = {str(place[4][0]): place for place in reversed(found)}
    addresses = [*dict.fromkeys(str(place[4][0]) for place in found)]
    if allows is not None:
        addresses = [address for address in addresses if allows(address)]
        if not addresses:
            raise BadAnswer(f"a redirect to {host}, which is not on the open internet: refused")
    error: OSError | None = None
    for address in addresses[:_ADDRESSES]:
        family, kind, protocol, _, place = places[address]
        try:
            connection = Connection(_opened(family, kind, protocol, place, seconds), address)
        except OSError as caught:
            error = caught
            continue
        if tls is not None:
            connection.secure(tls, host)
        return connection
    raise error or ConnectionError(f"{host} has no address")


def _opened(family: int, kind: int, protocol: int, place: object, seconds: float) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.connect(place)  # type: ignore[arg-type]  # as getaddrinfo gave it
    except BaseException:
        sock.close()
        raise
    return sock


@dataclass(frozen=True, slots=True)
class Proxy:
    """`authorization` is what it is told of us, empty for nothing."""

    host: str
    port: int
    tls: bool
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Unreachable for what is no proxy of ours; nothing of the text is repeated, which may hold a password."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
            host.encode("ascii")
        except ValueError as error:
            raise Unreachable("the proxy that the environment names is no address") from error
        if parts.scheme not in ("http", "https") or not host:
            raise Unreachable(f"a proxy of kind {parts.scheme} is not supported; name an http or https one")
        said = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else ""
        basic = f"Basic {base64.b64encode(said.encode()).decode()}" if said else ""
        return cls(host, port or _PORTS[parts.scheme], parts.scheme == "https", basic)

    @property
    def headers(self) -> dict[str, str]:
        """What is said to the proxy alone."""
        return {"proxy-authorization": self.authorization} if self.authorization else {}

    def tunnel(self, connection: Connection, place: Url, seconds: float, clock: Callable[[], float]) -> None:
        """Have it join a connection of its own to a server; its answer has so many seconds. OSError, ValueError."""
        beyond = f"{place.bracketed}:{place.port}"
        connection.sock.sendall(
            request_head("CONNECT", beyond, {"host": beyond, "user-agent": USER_AGENT}, self.headers)
        )
        head, rest = read_head(HeadDeadline(connection.sock, seconds, clock), plain=False)
        if head.status not in _ESTABLISHED or rest:
            raise OSError(None, f"the proxy answered {head.status}")

    def secure(self, connection: Connection, tls: ssl.SSLContext, host: str) -> None:
        """Speak TLS with a server through the tunnel. OSError."""
        if not self.tls:
            connection.secure(tls, host)
            return
        from urllib3.util.ssltransport import SSLTransport  # TLS in TLS, which the standard library does not wrap

        connection.sock = SSLTransport(connection.sock, tls, server_hostname=host.rstrip("."))  # type: ignore[assignment]


class Idle:
    """Keeps at most `most` open connections that wait for work. Safe for many threads."""

    def __init__(self, most: int) -> None:
        self._kept: deque[Connection] = deque(maxlen=most)

    def take(self) -> Connection | None:
        """The one that worked last, None where there is none. Those on which something came meanwhile, the end or an
        answer that nobody asked for, are closed.
        """
        while (connection := self._pop()) is not None:
            if not is_readable(connection.sock):
                return connection
            connection.close()
        return None

    def give_back(self, connection: Connection) -> None:
        """Keep one on which nothing is left."""
        if len(self._kept) == self._kept.maxlen:
            connection.close()
        else:
            self._kept.append(connection)

    def close(self) -> None:
        """Close those that are idle."""
        while (connection := self._pop()) is not None:
            connection.close()

    def _pop(self) -> Connection | None:
        try:
            return self._kept.pop()
        except IndexError:
            return None


def is_readable(sock: socket.socket) -> bool:
    """Whether something has come, the end included."""
    poll = select.poll()  # select itself takes no descriptor beyond 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0)) or (hasattr(sock, "pending") and sock.pending() > 0)
