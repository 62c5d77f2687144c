"""Which addresses are public: a public server must not send us to the machines of our own network."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal")  # RFC 6761, 6762 and common use


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
