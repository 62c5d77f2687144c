"""One file's way from the Hub's address to its bytes: redirects, the token's limits, ranges, promises.

Source of the wire format: huggingface_hub.file_download; the Hub's first answer names commit, size and digest, and for
large files redirects to a signed address of another origin, which expires.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn
from urllib.parse import quote, urljoin

from urllib3 import BaseHTTPResponse

from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.errors import BadAnswer, IntegrityError, Unreachable
from mirror_sync.ports import ByteStream
from mirror_sync.sources.body import Body, Empty
from mirror_sync.sources.hub_errors import Asked, bad_answer, refusal
from mirror_sync.sources.network import origin_of, spoken_origin
from mirror_sync.sources.transport import Transport, finish

_HOPS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_SERVED = {200, 206}
_WAITING = {408, 425, 429}


class _ExpiredError(Exception):
    """A signed address that no longer opens."""


class Download:
    """The bytes [start, stop) of a file at a commit."""

    def __init__(self, transport: Transport, asked: Asked, file: RemoteFile, start: int, stop: int) -> None:
        self._transport, self._asked, self._file = transport, asked, file
        self._start, self._stop = start, min(stop, file.size)

    @contextmanager
    def open(self) -> Iterator[ByteStream]:
        """The bytes, while the connection is held."""
        if self._start >= self._stop:
            yield Empty()
            return
        body = self._begin()
        try:
            yield body
        finally:
            body.close()

    def _begin(self) -> Body:
        try:
            return self._follow()
        except _ExpiredError:
            pass  # signed addresses expire: the Hub signs a new one
        try:
            return self._follow()
        except _ExpiredError as error:
            raise Unreachable(f"{self._asked.page}: {error} refuses even freshly signed addresses") from error

    def _follow(self) -> Body:
        url = f"{self._asked.page}/resolve/{self._asked.revision}/{quote(self._file.path)}"
        for _ in range(_HOPS + 1):
            answer = self._transport.open(url, self._headers(url))
            try:
                self._check_promises(url, answer)
                if answer.status not in _REDIRECTS:
                    return self._body(url, answer)
                target = self._next(url, answer)
            except BaseException:
                finish(answer)
                raise
            finish(answer)
            url = target
        raise bad_answer(self._asked, f"more than {_HOPS} redirects")

    def _headers(self, url: str) -> dict[str, str]:
        headers = {}
        if self._asked.token and self._is_home(url):
            headers["Authorization"] = f"Bearer {self._asked.token}"
        if (self._start, self._stop) != (0, self._file.size):
            headers["Range"] = f"bytes={self._start}-{self._stop - 1}"
        return headers

    def _is_home(self, url: str) -> bool:
        return origin_of(url) == origin_of(self._asked.endpoint)

    def _next(self, url: str, answer: BaseHTTPResponse) -> str:
        try:
            target = urljoin(url, answer.headers.get("Location", ""))
            scheme = origin_of(target)[0]
        except ValueError as error:
            raise bad_answer(self._asked, "a redirect to something that is no http or https address") from error
        if scheme == "http" and url.startswith("https:"):
            raise bad_answer(self._asked, f"a redirect from https to unprotected {spoken_origin(target)}")
        return target

    def _check_promises(self, url: str, answer: BaseHTTPResponse) -> None:
        """The Hub's own words about the file must be those of its listing."""
        if not self._is_home(url) or answer.status >= 400:  # noqa: PLR2004  a refusal promises nothing
            return
        commit = answer.headers.get("X-Repo-Commit")
        if commit is not None and commit != self._asked.revision:
            raise bad_answer(self._asked, f"asked for commit {self._asked.revision}, got {commit}")
        size = answer.headers.get("X-Linked-Size")
        if size is not None and size != str(self._file.size):
            self._broken(f"{self._file.size} bytes", f"{size} bytes")
        digest = answer.headers.get("X-Linked-ETag", "").removeprefix("W/").strip('"')
        if digest and self._file.sha256 and digest != self._file.sha256:
            self._broken(self._file.sha256, digest)

    def _broken(self, expected: str, actual: str) -> NoReturn:
        raise IntegrityError(self._file.path, expected, self._asked.spoken(actual))

    def _body(self, url: str, answer: BaseHTTPResponse) -> Body:
        if answer.status in _SERVED:
            try:
                return Body(answer, url, self._start, self._stop, self._file.size)
            except ValueError as error:
                place = f"{self._asked.page}: {self._file.path!r}"
                raise BadAnswer(f"{place}: {spoken_origin(url)} sent {error}") from error
        if self._is_home(url):
            raise refusal(answer.status, answer.headers, self._asked)
        if answer.status < 500 and answer.status not in _WAITING:  # noqa: PLR2004  the class of client errors
            raise _ExpiredError(spoken_origin(url))
        raise refusal(answer.status, answer.headers, Asked(spoken_origin(url)))
