"""One file's way from the Hub's address to its bytes: redirects, the token's limits, ranges, promises.

Source of the wire format: huggingface_hub.file_download; the Hub's first answer names commit, size and digest, and for
large files redirects to a signed address of another origin, which expires.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.errors import BadAnswer, IntegrityError, Unreachable, UpstreamError
from mirror_sync.net.body import Body, Empty, WantedRange
from mirror_sync.net.network import spoken_origin
from mirror_sync.net.response import Response
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.sources.hub.download_addresses import Address, Addresses
from mirror_sync.sources.hub.endpoint import Endpoint
from mirror_sync.sources.hub.hub_errors import RequestContext, bad_answer, refusal

_SERVED = {200, 206}
_BAD_REQUEST = 400
_WAITING = {408, 425, 429}


class _ExpiredError(Exception):
    """A signed address that no longer opens."""


class _TooLargeError(Exception):
    """A 400 for a whole file, which may be given by a range."""


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a hub's bytes: its endpoint, and where it has redirected to."""

    endpoint: Endpoint
    addresses: Addresses


def place_of(asked: RequestContext, file: RemoteFile) -> str:
    """The address by which the Hub names a file's bytes."""
    return f"{asked.page}/resolve/{asked.revision}/{quote(file.path)}"


class Download(AbstractContextManager[ByteStream]):
    """The bytes [start, stop) of a file at a commit; as a context it gives them, while the connection is held.

    `place`: where the file is asked for, if not as the Hub names it.
    """

    def __init__(
        self, way: Way, asked: RequestContext, file: RemoteFile, start: int, stop: int, *, place: str = ""
    ) -> None:
        self._endpoint, self._addresses = way.endpoint, way.addresses
        self._asked, self._file = asked, file
        self._wanted = WantedRange(start, min(stop, file.size), file.size)
        self._place = place or place_of(asked, file)
        self._given: Body | None = None
        self._ranged = not self._wanted.whole or file.size > self._addresses.whole_up_to

    def __enter__(self) -> ByteStream:
        if self._wanted.empty:
            return Empty()
        self._given = self._begin()
        return self._given

    def __exit__(self, *exc: object) -> None:
        if self._given is not None:
            self._given.close()
            if not self._given.complete:
                self._addresses.forget(self._place)

    def _begin(self) -> Body:
        """What is refused whole by a 400 is asked for by a range of all, and so are larger ones from then on."""
        try:
            return self._opened()
        except _TooLargeError:
            self._ranged = True
        body = self._opened()
        self._addresses.whole_up_to = min(self._addresses.whole_up_to, self._file.size - 1)
        return body

    def _opened(self) -> Body:
        known = None if self._wanted.whole else self._addresses.find(self._place)
        if known is not None:
            try:
                return self._follow(known)
            except _ExpiredError:
                pass  # it served other ranges: nothing is said against those that are signed now
        try:
            return self._follow(Address(self._place))
        except _ExpiredError:
            pass  # signed addresses expire: the Hub signs a new one
        try:
            return self._follow(Address(self._place))
        except _ExpiredError as error:
            raise Unreachable(f"{self._asked.page}: {error} refuses even freshly signed addresses") from error

    def _follow(self, address: Address) -> Body:
        """Remembers where the bytes were found for the other ranges of the file, and forgets what fails."""
        headers = {"Range": f"bytes={self._wanted.start}-{self._wanted.stop - 1}"} if self._ranged else {}
        try:
            found, answer = self._endpoint.get(self._asked, address, headers, self.check_promises)
            try:
                body = self._body(answer)
            except BaseException:
                answer.finish()
                raise
        except BaseException:
            self._addresses.forget(self._place)
            raise
        if not self._wanted.whole and not self._endpoint.is_home(found.url):
            self._addresses.keep(self._place, found)
        return body

    def check_promises(self, answer: Response) -> None:
        """The Hub's own words about the file must be those of its listing: BadAnswer, IntegrityError."""
        if not self._endpoint.is_home(answer.url) or answer.status >= 400:  # noqa: PLR2004  a refusal promises nothing
            return
        commit = answer.headers.get("X-Repo-Commit")
        if commit is not None and commit != self._asked.revision:
            raise bad_answer(self._asked, f"asked for commit {self._asked.revision}, got {commit}")
        size = answer.headers.get("X-Linked-Size")
        if size is not None and size != str(self._file.size):
            self.broken(f"{self._file.size} bytes", f"{size} bytes")
        digest = answer.headers.get("X-Linked-ETag", "").removeprefix("W/").strip('"')
        if digest and self._file.sha256 and digest != self._file.sha256:
            self.broken(self._file.sha256, digest)

    def refused(self, answer: Response) -> UpstreamError:
        """What a refusal of the endpoint's own means."""
        return refusal(answer.status, answer.headers, self._asked)

    def broken(self, expected: str, actual: str) -> NoReturn:
        """The endpoint says other things of the file than its listing: raises IntegrityError."""
        raise IntegrityError(self._file.path, expected, self._asked.spoken(actual))

    def _body(self, answer: Response) -> Body:
        if answer.status in _SERVED:
            try:
                return Body(answer, self._wanted)
            except ValueError as error:
                place = f"{self._asked.page}: {self._file.path!r}"
                raise BadAnswer(f"{place}: {spoken_origin(answer.url)} sent {error}") from error
        if answer.status == _BAD_REQUEST and not self._ranged:
            raise _TooLargeError
        if self._endpoint.is_home(answer.url):
            raise self.refused(answer)
        if answer.status < 500 and answer.status not in _WAITING:  # noqa: PLR2004  the class of client errors
            raise _ExpiredError(spoken_origin(answer.url))
        raise refusal(answer.status, answer.headers, RequestContext(spoken_origin(answer.url)))
