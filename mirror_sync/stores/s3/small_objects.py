"""The short way into a bucket, of objects that are put whole and of parts: one signature, one request, one connection.

botocore takes over a millisecond of CPU for a call, more than a small object costs on all the rest of its way. So it
makes the first call, and shows by what it sends where objects are and how requests are signed; the next ones follow it.
Whatever does not end in a plain answer is given to botocore, which has the retries, the redirects and the errors.

The signature is AWS Signature Version 4, for PUT and HEAD of an object and PUT of a part:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.auth import UNSIGNED_PAYLOAD
from botocore.credentials import ReadOnlyCredentials
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies, percent_encode

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.url import Url
from mirror_sync.net.http1 import Head
from mirror_sync.stores.s3.client import Access, S3Options
from mirror_sync.stores.s3.s3_connections import PIECE, ConnectionPool, Server
from mirror_sync.stores.s3.server_proof import Absent

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

_MOST = 16 * 1024 * 1024  # bytes of a body; beyond them botocore's share does not matter
_SHY = (
    60.0  # seconds after a failure in which bodies of many pieces are left to botocore, who asks whether they may come
)
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/s3/aws4_request,")
_PLAIN = re.compile(r"[A-Za-z0-9/_.~-]+")  # stands in an address as it is
_OK, _NOT_FOUND = 200, 404
_MOVED, _FAILED = 300, 500  # from here to there an answer speaks against the way itself
_DOUBTS = 3  # refusals in a row of what botocore then sent with success: this way is not for this server
_EMPTY = Sha256.of(b"")

Stated = tuple[int, float]
"""Size in bytes, and when it was written, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class _Way:
    """`base` is the path before an object's name, with its slash."""

    lines: ConnectionPool
    host: str
    base: str
    region: str
    agent: str


class ShortWay:
    """Puts objects into one bucket, and asks what is there. Safe for many threads.

    A bucket behind a proxy, and one that is read without credentials, are left to botocore.
    """

    def __init__(self, access: Access, options: S3Options) -> None:
        self._access, self._options = access, options
        self._heard = threading.local()
        self._lock = threading.Lock()
        self._way: _Way | None = None
        self._doubts = 0
        self._shy_until = 0.0
        events: Any = access.client.meta.events
        for operation in ("PutObject", "HeadObject"):
            events.register(f"before-send.s3.{operation}", self._overhear)

    def put(
        self,
        name: str,
        body: bytes | bytearray | memoryview,
        digest: Sha256 | None,
        send: Callable[[], object],
        described: Mapping[str, str],
    ) -> None:
        """Put an object, by `send`, botocore's call for the same, unless the short way does. What `send` raises.

        `described` are headers of the object, in lower case. Without a `digest` the body is not signed.
        """
        way = self._way
        if way is None or not self._takes(len(body)):
            send()
            self._learn(name)
            return
        asked = Signed("PUT", way.host, way.base + _quoted(name), digest or UNSIGNED_PAYLOAD, described)
        answer = self._ask(way, asked, body)
        if answer is not None and answer.status == _OK:
            self._doubts = 0
            return
        against = self._is_against(answer)
        send()
        self._doubts += against
        self._learn(name)

    def put_part(
        self,
        name: str,
        part: tuple[int, str],
        body: bytes | bytearray | memoryview,
        digest: Sha256 | None,
        send: Callable[[], str],
    ) -> str:
        """Put a part, by its number (from 1) and its upload's id, and return its ETag; by `send`, botocore's call for
        the same, unless the short way does. What `send` raises. Without a `digest` the body is not signed.
        """
        way = self._way
        if way is None or time.monotonic() < self._shy_until:
            return send()
        query = f"partNumber={part[0]}&uploadId={percent_encode(part[1], safe='~')}"
        asked = Signed("PUT", way.host, way.base + _quoted(name), digest or UNSIGNED_PAYLOAD, query=query)
        answer = self._ask(way, asked, body)
        etag = None if answer is None or answer.status != _OK else answer.fields.get("etag")
        if etag:
            self._doubts = 0
            return str(etag)
        against = self._is_against(answer)
        sent = send()
        self._doubts += against
        return sent

    def stat(self, name: str, send: Callable[[], Stated | Absent]) -> Stated | Absent:
        """Size and time of an object, or what says that there is none; by `send`, botocore's call for the same, unless
        the short way knows. What `send` raises.
        """
        way = self._way
        if way is not None:
            answer = self._ask(way, Signed("HEAD", way.host, way.base + _quoted(name), _EMPTY))
            if answer is not None and answer.status == _NOT_FOUND:
                return Absent.of(answer.fields)
            stated = None if answer is None or answer.status != _OK else _stated(answer)
            if stated is not None:
                return stated
        try:
            return send()
        finally:
            self._learn(name)

    def _is_against(self, answer: Head | None) -> bool:
        """Whether an answer that is no good one speaks against this way, which is then left; large bodies are shy."""
        self._shy_until = time.monotonic() + _SHY
        against = answer is not None and _MOVED <= answer.status < _FAILED
        if against:
            self._way = None
        return against

    def _takes(self, size: int) -> bool:
        return size <= PIECE or (size <= _MOST and time.monotonic() >= self._shy_until)

    def _ask(self, way: _Way, asked: Signed, body: bytes | bytearray | memoryview = b"") -> Head | None:
        keys = self._access.keys()
        if keys is None:
            return None
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {"host": way.host, "user-agent": way.agent, **signed_headers(asked, way.region, keys, now)}
        try:
            return way.lines.ask(asked.method, asked.target, headers, body)
        except (OSError, ValueError):
            return None

    def _overhear(self, request: AWSPreparedRequest, **_: Any) -> None:
        self._heard.request = request

    def _learn(self, name: str) -> None:
        """Follow what botocore has just sent, from this thread."""
        request: AWSPreparedRequest | None = self._heard.__dict__.pop("request", None)
        if self._way is not None or request is None or self._doubts >= _DOUBTS:
            return
        try:
            place = Url.parse(request.url)
        except ValueError:
            return  # botocore reads it in some way of its own
        signed = _SIGNED.match(_text(request.headers.get("Authorization")))
        keys = self._access.keys()
        if keys is None or signed is None or signed[1] != keys.access_key or _is_proxied(place):
            return
        if place.query or not place.path.endswith(f"/{_quoted(name)}"):
            return
        base = place.path.removesuffix(_quoted(name))
        with self._lock:
            if self._way is None:
                lines = ConnectionPool(self._server(place), self._options.max_connections)
                self._way = _Way(lines, place.netloc, base, signed[2], _text(request.headers.get("User-Agent")))

    def _server(self, place: Url) -> Server:
        tls = None
        if place.scheme == "https":
            tls = ssl.create_default_context(cafile=self._access.trusted or get_cert_path(verify=True))
        options = self._options
        return Server(place.host, place.port, tls, options.connect_timeout, options.read_timeout)


def _stated(answer: Head) -> Stated | None:
    try:
        return int(answer.fields["content-length"]), _seconds(answer.fields["last-modified"])
    except (KeyError, TypeError, ValueError):
        return None


@lru_cache(16)  # what was put in one second says so in one way, and the parser for e-mail takes its time
def _seconds(date: str) -> float:
    """Since the epoch. ValueError or TypeError for what is no date."""
    return parsedate_to_datetime(date).timestamp()


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else str(percent_encode(name, safe="/~"))


def _is_proxied(place: Url) -> bool:
    return bool(get_environ_proxies(str(place)).get(place.scheme))


def _text(value: str | bytes | None) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value or ""


_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signed:
    """What is signed: `path` and `query` as they stand in the request line, the query's names in order.

    `payload` is the digest of the body in hex, or the word that says that the body is not signed.

    `described` are headers of the object that is put, in lower case.
    """

    method: str
    host: str
    path: str
    payload: str
    described: Mapping[str, str] = field(default_factory=dict)
    query: str = ""

    @property
    def target(self) -> str:
        """What stands in the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


def signed_headers(asked: Signed, region: str, keys: ReadOnlyCredentials, now: str) -> Mapping[str, str]:
    """The headers that belong on the request, but for `host`. `now` in UTC as 20260131T235959Z."""
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    headers = {**asked.described, "host": asked.host, "x-amz-content-sha256": asked.payload, "x-amz-date": now}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    headers = dict(sorted(headers.items()))
    names = ";".join(headers)
    lines = "".join([f"{name}:{value}\n" for name, value in headers.items()])
    request = f"{asked.method}\n{asked.path}\n{asked.query}\n{lines}\n{names}\n{asked.payload}"
    text = f"{_ALGORITHM}\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(_day_key(keys.secret_key, now[:8], region), text.encode(), "sha256").hex()
    del headers["host"]
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


@lru_cache(maxsize=4)
def _day_key(secret: str, day: str, region: str) -> bytes:
    """The same for all requests of a day."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
