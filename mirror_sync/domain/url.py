"""Addresses of http and https, read once: the same value decides where a token may go and which server is connected to.

Two readers of one text may disagree about its host. So whatever decides by an address (whose token, which proxy, is it
private) and whatever connects take the parts from here, and a text that is not plain is no address: RFC 3986 without
user information, escapes in the host, odd spellings of an IPv4 address, and anything but printable ASCII.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

_PORTS = {"http": 80, "https": 443}
_LARGEST_PORT = 65535
_LONGEST_HOST = 253  # letters of a DNS name
_URL = re.compile(r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?([/?#].*)?", re.ASCII | re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?")
_PLAIN = re.compile(r"[!-\[\]-~]+")  # printable ASCII without space and backslash
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_OWN = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared
_ODD = "not a plain http or https address"

Origin = tuple[str, str, int]
"""Scheme, host and port."""


@dataclass(frozen=True, slots=True)
class Url:
    """`host` in small letters, an IPv6 address without its brackets; `target` is the path and query that are asked for,
    the path without segments of dots. A fragment is left out.
    """

    scheme: str
    host: str
    port: int
    target: str
    origin: Origin = field(init=False, repr=False, compare=False)
    """Scheme, host and port: who is spoken to."""
    netloc: str = field(init=False, repr=False, compare=False)
    """As the Host header says it: the port only where it is not the scheme's own."""

    def __post_init__(self) -> None:
        own = self.port == _PORTS[self.scheme]
        object.__setattr__(self, "origin", (self.scheme, self.host, self.port))
        object.__setattr__(self, "netloc", self.bracketed if own else f"{self.bracketed}:{self.port}")

    @staticmethod
    def parse(text: str) -> Url:
        """ValueError for what is no plain http or https address; the message does not repeat it."""
        return _parsed(text)

    @property
    def bracketed(self) -> str:
        """The host as it stands in an address."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def path(self) -> str:
        """The path alone, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Without its question mark; empty where there is none."""
        return self.target.partition("?")[2]

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.target}"

    def join(self, reference: str) -> Url:
        """Where a Location or Link of the answer from here leads: RFC 3986, section 5.2. ValueError as of `parse`."""
        if _PLAIN.fullmatch(reference) is None:
            raise ValueError(_ODD)
        if _SCHEME.match(reference):
            return Url.parse(reference)
        if reference.startswith("//"):
            return Url.parse(f"{self.scheme}:{reference}")
        path, mark, query = reference.partition("#")[0].partition("?")
        if not path:
            return replace(self, target=f"{self.path}{mark}{query}" if mark else self.target)
        base = "" if path.startswith("/") else f"{self.path.rpartition('/')[0]}/"
        return replace(self, target=_target(f"{base}{path}{mark}{query}"))


@lru_cache(64)  # everybody on the way of a file reads its address again
def _parsed(text: str) -> Url:
    found = _URL.fullmatch(text)
    if found is None or _PLAIN.fullmatch(text) is None:
        raise ValueError(_ODD)
    scheme, host, port, rest = found.groups()
    return Url(*_origin(scheme.lower(), host.lower(), port), _target(rest or ""))


@lru_cache(256)  # few origins, each asked of thousands of times
def _origin(scheme: str, host: str, port: str | None) -> Origin:
    number = _PORTS[scheme] if port is None else int(port)
    if not 1 <= number <= _LARGEST_PORT:
        raise ValueError(_ODD)
    if host.startswith("["):
        return scheme, _numeric(IPv6Address, host[1:-1]), number
    if len(host) > _LONGEST_HOST or ".." in host or _NAME.fullmatch(host) is None:
        raise ValueError(_ODD)
    if host.rstrip(".").rpartition(".")[2][:1].isdigit() and not _is_a_name(host):
        return scheme, _numeric(IPv4Address, host), number
    return scheme, host, number


def _numeric(kind: type[IPv4Address] | type[IPv6Address], host: str) -> str:
    try:
        return str(kind(host))
    except ValueError:  # its words repeat the address
        raise ValueError(_ODD) from None


def _is_a_name(host: str) -> bool:
    """Whether the last label, which begins with a figure, is more than a number in any spelling."""
    last = host.rstrip(".").rpartition(".")[2]
    return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last) is None


def _target(rest: str) -> str:
    path, mark, query = rest.partition("#")[0].partition("?")
    return f"{_without_dots(path or '/')}{mark}{query}"


def _without_dots(path: str) -> str:
    """RFC 3986, section 5.2.4."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def own_address(host: str) -> str:
    """Where this machine reaches a server of its own that listens at a host: any of its addresses is the loopback's."""
    return _OWN.get(host, host)
