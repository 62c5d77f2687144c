"""What the environment and an address say of a way: certificates, proxies, and which addresses are public.

A public server must not send us to the machines of our own network.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mirror_sync.domain.url import Url
from mirror_sync.errors import Unreachable, UpstreamError, cause_of

if TYPE_CHECKING:
    import ssl

BROKEN = (OSError, ValueError)
"""What a connection raises when it, or what comes through it, is broken: the idna codec included."""
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal")  # RFC 6761, 6762 and common use


def spoken_origin(url: str) -> str:
    """The origin for a message: signed addresses carry secrets behind it."""
    try:
        place = Url.parse(url)
    except ValueError:
        return "an address that is none"
    return f"{place.scheme}://{place.netloc}"


def unreachable(url: str, error: BaseException) -> Unreachable:
    """A request that got no answer, in one line without the address's path: a signed one is a secret."""
    return Unreachable(f"{spoken_origin(url)} does not answer: {cause_of(error)}")


def trusted() -> ssl.SSLContext:
    """The certificates of SSL_CERT_FILE (or its cousins of requests and curl), else the system's.

    UpstreamError when the named file holds none.
    """
    import ssl  # a good part of what a start costs, and plain http needs none of it

    name = next((name for name in _BUNDLES if os.environ.get(name)), None)
    if name is None:
        return _system_trust()
    bundle = os.environ[name]
    try:
        if Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:  # ssl.SSLError is one
        raise UpstreamError(f"{name}={bundle}: cannot be read as certificates: {error.strerror or error}") from error


def _system_trust() -> ssl.SSLContext:
    import ssl

    places = ssl.get_default_verify_paths()
    if places.cafile is None and places.capath is None and not os.environ.get("SSL_CERT_DIR"):
        # a Python that was built elsewhere looks where this system keeps nothing
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context()


def proxy_for(place: Url) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for an address, as a URL.

    As urllib.request reads them: the names in small letters win, and an empty one of those names nothing.
    """
    proxy = _named(f"{place.scheme}_proxy") or _named("all_proxy")
    if not proxy or _is_excepted(place.host.rstrip("."), place.port, _named("no_proxy")):
        return None  # without the dot of a full name, which changes nothing about where it leads
    return proxy if "://" in proxy else f"http://{proxy}"


def _named(name: str) -> str:
    if name == "http_proxy" and "REQUEST_METHOD" in os.environ:
        return os.environ.get(name, "")  # of a CGI program, HTTP_PROXY is a header that a client sent
    return os.environ.get(name, os.environ.get(name.upper(), ""))


def _is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY names a host: itself, a domain that it lies in, its port or not, or its network (10.0.0.0/8)."""
    if no_proxy.strip() == "*":
        return True
    entries = [entry.strip().lower() for entry in no_proxy.split(",")]
    ends = [entry.lstrip(".") for entry in entries if entry.lstrip(".")]
    spoken = (f".{host}", f".{host}:{port}")
    if any(name.endswith(f".{end}") for end in ends for name in spoken):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _networks(entries))


def _networks(entries: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for entry in entries:
        try:
            found.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            continue  # a name, not a network
    return found


@lru_cache(1024)
def is_public(address: str) -> bool:
    """Whether an IP address, as text, is one of the open internet. What cannot be read is not."""
    try:
        found = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    return found.is_global and not found.is_multicast


def names_private(host: str, public: Callable[[str], bool] = is_public) -> bool:
    """Whether a host is private by its name alone: localhost and the like, or an address in any spelling."""
    if host.rstrip(".").rpartition(".")[2].lower() in _LOCAL_NAMES or host.lower().endswith(".home.arpa"):
        return True
    literal = _literal(host)
    return literal is not None and not public(literal)


def _literal(host: str) -> str | None:
    try:
        return socket.inet_ntoa(socket.inet_aton(host))  # 127.1, 0x7f000001 and 2130706433 are 127.0.0.1, too
    except (OSError, UnicodeError):
        return host if ":" in host else None


def _unwrapped(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address leads to through a translator or a tunnel, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
