"""Where a proof is looked for: in a bucket or a folder that holds a mirror, or at a front that serves it.

Nothing that is read here is believed: `proof` checks it. KeyMissing says that something is not there, every other
StoreError that nobody could look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from http.client import HTTPException
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import STATEMENT, STATEMENT_SIGNATURE, Refs
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import (
    DocumentError,
    KeyMissing,
    NewerFormat,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    cause_of,
)
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import MAX_DOCUMENT, MAX_REFS, Store, read_document, read_refs_json
from mirror_sync.signing.sshsig import LARGEST
from mirror_sync.signing.sums import SUMS, SUMS_SIGNATURE

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector

_PATIENCE = 60.0  # seconds without a byte
_LONGEST = 600.0  # seconds that a document may take, however slowly it comes
_SAID = 1000  # characters of why a front does not give something
_CHUNK = 1024 * 1024
_NOT_FOUND, _DENIED = 404, (401, 403)


class Evidence(Protocol):
    """What a mirror shows to whoever asks. Safe for many threads."""

    def refs(self, repo: Repo) -> Refs | None:
        """What is published; None where that cannot be seen from here."""
        ...

    def statement(self, repo: Repo) -> tuple[bytes, bytes]:
        """The statement of a repo, and its signature."""
        ...

    def sums(self, repo: Repo, commit: CommitId, digests: tuple[Sha256, Sha256] | None) -> tuple[bytes, bytes]:
        """SHA256SUMS of a commit and its signature; by their digests where the root is known that names them."""
        ...

    def document(self, digest: Sha256) -> bytes | None:
        """A document, proved by its digest; None where nobody gives one by it. Raises DocumentError, KeyMissing."""
        ...

    def file(self, repo: Repo, commit: CommitId, path: str, digest: Sha256) -> AbstractContextManager[ByteStream]:
        """The bytes of a file."""
        ...


class StoreEvidence:
    """A bucket, or a folder."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def refs(self, repo: Repo) -> Refs:
        try:
            return Refs.decode(read_refs_json(self._store, repo))
        except NewerFormat as error:  # it may be signed well
            raise StoreError(str(error)) from None

    def statement(self, repo: Repo) -> tuple[bytes, bytes]:
        named = self.refs(repo).attachments
        for name in (STATEMENT, STATEMENT_SIGNATURE):
            if name not in named:
                raise KeyMissing(name)
        return (
            read_document(self._store, named[STATEMENT], MAX_REFS),
            read_document(self._store, named[STATEMENT_SIGNATURE], LARGEST),
        )

    def sums(self, repo: Repo, commit: CommitId, digests: tuple[Sha256, Sha256] | None) -> tuple[bytes, bytes]:
        if digests is None:
            raise KeyMissing(f"{SUMS} of {commit}")
        return (
            read_document(self._store, digests[0], MAX_DOCUMENT),
            read_document(self._store, digests[1], LARGEST),
        )

    def document(self, digest: Sha256) -> bytes | None:
        return read_document(self._store, digest, MAX_DOCUMENT)

    def file(self, repo: Repo, commit: CommitId, path: str, digest: Sha256) -> AbstractContextManager[ByteStream]:
        return self._store.read(blob_key(digest))


class FrontEvidence:
    """A front over HTTP, as any client reaches it; `token`, None: HF_TOKEN, goes with each request, if it is set."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url, self._token = url.rstrip("/"), token or os.environ.get("HF_TOKEN", "")

    def refs(self, repo: Repo) -> Refs | None:
        return None  # a front answers /refs for clients, and says no roots there

    def statement(self, repo: Repo) -> tuple[bytes, bytes]:
        place = f"/-/trust/{repo.kind.plural}/{repo.id}/statement.json"
        return self._whole(place, MAX_REFS), self._whole(f"{place}.sig", LARGEST)

    def sums(self, repo: Repo, commit: CommitId, digests: tuple[Sha256, Sha256] | None) -> tuple[bytes, bytes]:
        place = f"/-/trust/{repo.kind.plural}/{repo.id}/{commit}"
        return self._whole(f"{place}/{SUMS}", MAX_DOCUMENT), self._whole(f"{place}/{SUMS_SIGNATURE}", LARGEST)

    def document(self, digest: Sha256) -> bytes | None:
        try:
            body = self._whole(f"/{blob_key(digest)}", MAX_DOCUMENT)
        except (KeyMissing, StoreDenied):  # fronts give contents by their digest only where the operator opened that
            return None
        if Sha256.of(body) != digest:
            raise DocumentError(f"document {digest} holds other bytes, of digest {Sha256.of(body)}")
        return body

    def file(self, repo: Repo, commit: CommitId, path: str, digest: Sha256) -> AbstractContextManager[ByteStream]:
        place = f"{repo.kind.place}{repo.id}"
        return self._open(f"/{place}/resolve/{commit}/{quote(path)}")

    def _whole(self, place: str, limit: int) -> bytes:
        body, end = bytearray(), time.monotonic() + _LONGEST
        with self._open(place) as stream:
            chunk = memoryview(bytearray(_CHUNK))
            while count := stream.readinto(chunk):
                body += chunk[:count]
                if len(body) > limit:
                    raise StoreUnavailable(
                        f"{self._url}{place} is larger than {limit:,} bytes, which none of its kind is"
                    )
                if time.monotonic() > end:
                    raise StoreUnavailable(f"{self._url}{place} did not come in {_LONGEST:.0f} seconds")
        return bytes(body)

    @contextmanager
    def _open(self, place: str) -> Iterator[ByteStream]:
        """What is cut off on the way is StoreUnavailable, not what differs."""
        url = f"{self._url}{place}"
        try:
            with self._ask(url) as answer:
                yield _Counted(answer, url)
        except (OSError, HTTPException) as error:
            raise StoreUnavailable(f"{url}: {cause_of(error)}") from error

    def _ask(self, url: str) -> HTTPResponse:
        from urllib.error import HTTPError
        from urllib.request import Request

        request = Request(url, headers={"User-Agent": "mirror-sync prove"})  # noqa: S310  http(s), by whoever made us
        if self._token:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            answer: HTTPResponse = _opener().open(request, timeout=_PATIENCE)
        except HTTPError as error:
            with error:
                if error.code == _NOT_FOUND:
                    raise KeyMissing(url) from None
                kind = StoreDenied if error.code in _DENIED else StoreUnavailable
                why = error.headers.get("X-Error-Message", "")[:_SAID]
                raise kind(f"{url} answers {error.code}{f': {why}' if why else ''}") from None
        return answer


@cache
def _opener() -> OpenerDirector:
    """One that no mirror leads to anything but HTTP: urllib by itself would follow one to FTP."""
    from http.client import HTTPMessage
    from typing import IO
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class OnlyHttp(HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
        ) -> Request | None:
            if not newurl.lower().startswith(("http://", "https://")):
                raise HTTPError(newurl, code, msg, headers, fp)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return build_opener(OnlyHttp)


class _Counted:
    """A body of which each byte that was promised must come: a cut one is no other one."""

    def __init__(self, answer: HTTPResponse, url: str) -> None:
        length = answer.headers.get("Content-Length")
        self._answer, self._url = answer, url
        self._left = int(length) if length is not None and length.isdecimal() else None

    def readinto(self, buffer: memoryview | bytearray) -> int:
        chunk = self._answer.read1(len(buffer))  # what is there: a slow mirror is not waited for until there is much
        buffer[: len(chunk)], count = chunk, len(chunk)
        if self._left is not None:
            self._left -= count
            if count == 0 and self._left > 0:
                raise StoreUnavailable(f"{self._url}: the connection ended {self._left:,} bytes too early")
        return count
