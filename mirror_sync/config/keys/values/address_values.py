"""Addresses in jobs.yaml: endpoints, the places of targets, listening sockets. ValueError says what would be right.

A message never repeats an address that may carry a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import unquote

from mirror_sync.config.findings import quoted
from mirror_sync.domain.url import Url

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?")
_WITH_USER = re.compile(r"https?://[^/?#]*@", re.IGNORECASE)
_WITH_PORT = re.compile(r":[0-9]+$")
_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+):(?P<port>[0-9]{1,5})")
_PORT = re.compile(r"[0-9]{1,5}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{1,61}[A-Za-z0-9]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+\-]+):")
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9._~\-]+)*")
_TRACKER = re.compile(
    r"(?:https?|udp)://(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/\-]*)?"
)
_BEHIND = re.compile(r"http://(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?")
_MAILTO = re.compile(r"mailto:[A-Za-z0-9._+\-]+@[A-Za-z0-9.\-]+(?:\?[A-Za-z0-9._~=&%+\-]*)?")
_UNLINKED = re.compile(r"[^!-~]")
_PREFIX = re.compile(r"[^\s?#%\\]*")


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A place in S3; `prefix` is empty or ends with a slash."""

    name: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Listen:
    host: str
    port: int


def endpoint(text: str, example: str = "https://huggingface.co") -> str:
    """An http(s) URL of a server, without a final slash; a path is one that a gateway puts before the hub's.

    Read as those read it who connect to it.
    """
    if _WITH_USER.match(text):
        raise ValueError("an address with a user or password; write it without, and the secret under its own key")
    place = _place(text)
    if place is None:
        raise ValueError(f"must be an address like {example}")
    if "?" in text or "#" in text:
        raise ValueError("an address with ? or # in it; write only what comes before")
    path = text.partition("://")[2].partition("/")[2].rstrip("/")
    if "//" in path or "/." in f"/{path}" or f"/{path}".endswith("/api"):
        raise ValueError("the path of the address must not contain // or /., nor end in /api; leave it out")
    return str(place).rstrip("/")


def front(text: str) -> str:
    """Where clients find a front; a path is one that a gateway puts before ours, of plain words."""
    found = endpoint(text, "https://models.example.org")
    if _PLAIN_PATH.fullmatch(Url.parse(found).path.rstrip("/")) is None:
        raise ValueError("the path of the address must be plain words with slashes between; best leave it out")
    return found


def tracker(text: str) -> str:
    """Where clients of BitTorrent announce themselves: BEP 3, by UDP BEP 15."""
    if _TRACKER.fullmatch(text) is None:
        raise ValueError("must be an address like http://tracker.example.org:6969/announce, or udp:// or https://")
    return text


def page(text: str) -> str:
    """What a link of a page leads to: an http(s) address with whatever path and query, or a mailto: address."""
    if _MAILTO.fullmatch(text):
        return text
    if _WITH_USER.match(text) or _place(text) is None or _UNLINKED.search(text):
        raise ValueError("must be an address like https://tickets.example.org/new, or mailto:someone@example.org")
    return text


def behind(text: str) -> str:
    """A server of ours behind another one: plain HTTP, a host and a port."""
    if _BEHIND.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no server behind this one; write http://127.0.0.1:8081")
    return text.rstrip("/")


def origin(text: str) -> str:
    """Whose pages: scheme, host and port, as a browser says them in Origin."""
    place = _place(text)
    if place is None or text.rstrip("/").count("/") != 2:  # noqa: PLR2004  those before the host
        raise ValueError(f"{quoted(text)} is no origin; write https://app.example.org, without a path")
    return f"{place.scheme}://{place.netloc}"


def scheduler(text: str) -> str:
    """`tcp://host:port`, or `tls://` the same."""
    scheme, _, rest = text.partition("://")
    server = re.split(r"[/?#]", rest, maxsplit=1)[0]
    place = _place(f"http://{server.rpartition('@')[2]}")
    if scheme not in {"tcp", "tls"} or place is None or not _WITH_PORT.search(server):
        raise ValueError("must be an address like tcp://scheduler:8786, or tls://scheduler:8786")
    if "@" in server or rest.removeprefix(server).strip("/"):
        raise ValueError("must be no more than tcp://, the host and the port; Dask's certificates are said to Dask")
    return f"{scheme}://{place.bracketed}:{place.port}"


def _place(text: str) -> Url | None:
    try:
        return Url.parse(text)
    except ValueError:
        return None


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


_FOLDERS = "file:///srv/mirror or ./var/mirror"
PLACES = f"s3://bucket, {_FOLDERS}"
"""What is right where a bucket may stand as well as a folder."""


def folder(text: str, right: str = _FOLDERS) -> str:
    """The path of `file:///abs`, `file:rel` (both with %-escapes), `/abs` or `./rel`, as it was written.

    ValueError, which says what would be `right`.
    """
    if text.startswith("file:"):
        rest = text.removeprefix("file:")
        if rest.startswith("//") and not rest.startswith("///"):
            raise ValueError(f"{quoted(text)} names a host; write three slashes, as in file:///srv/mirror")
        path = unquote(rest.removeprefix("//"), errors="surrogateescape")
    else:
        path = _plain(text, right)
    if not path.strip() or not path.isprintable():
        raise ValueError(f"must be a folder, as in {_FOLDERS}")
    return path


def _plain(text: str, right: str) -> str:
    scheme = _SCHEME.match(text)
    if scheme:
        raise ValueError(f"{quoted(scheme[1])} is not known here; write {right}")
    if text.startswith("~"):
        raise ValueError(f"{quoted(text)}: ~ is not expanded; write ${{HOME}} for it")
    return text


def bucket(text: str) -> BucketAddress:
    """`s3://bucket/optional/prefix`."""
    name, _, rest = text.removeprefix("s3://").partition("/")
    prefix = rest.strip("/")
    if not text.startswith("s3://") or _BUCKET.fullmatch(name) is None:
        raise ValueError("must be an address like s3://bucket or s3://bucket/prefix")
    if prefix and (_PREFIX.fullmatch(prefix) is None or {"", ".", ".."} & set(prefix.split("/"))):
        raise ValueError("the prefix must be plain words with slashes between, as in s3://bucket/some/prefix")
    return BucketAddress(name, f"{prefix}/" if prefix else "")


def listen(text: str, port: int = 8080) -> Listen:
    """`host:port`, `[::1]:port`; `port` is that of the example in a message, unless a port is all that was written."""
    port = int(text) if _PORT.fullmatch(text) and 1 <= int(text) <= 65535 else port  # noqa: PLR2004  the largest port
    example = f"write 127.0.0.1:{port}, or 0.0.0.0:{port} for all interfaces"
    match = _LISTEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is no host:port; {example}")
    found = int(match["port"])
    if not 1 <= found <= 65535:  # noqa: PLR2004  the largest port
        raise ValueError(f"{found} is no port, which is 1 to 65535; {example}")
    host = match["host"].strip("[]")
    if not (_is_ipv6(host) if match["host"].startswith("[") else _HOST.fullmatch(host)):
        raise ValueError(f"{quoted(host)} is no host; {example}")
    return Listen(host, found)
