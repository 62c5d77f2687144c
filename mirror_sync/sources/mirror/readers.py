"""How another mirror is read: by requests to its front, or straight out of its bucket.

Both raise UpstreamErrors alone. A document is proved by its digest; of all else nothing is believed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from mirror_sync.domain.catalogue.rows import LARGEST
from mirror_sync.domain.content.keys import COLD_BEGUN, HUB, blob_key, repo_of, site_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import (
    BadAnswer,
    BlobFrozen,
    Disabled,
    DocumentError,
    KeyMissing,
    NoSuchCall,
    NotFoundOrPrivate,
    NotSeen,
    StoreDenied,
    StoreError,
    Unreachable,
    UpstreamError,
)
from mirror_sync.net.body import ENCODINGS, read_whole
from mirror_sync.net.response import Response
from mirror_sync.net.transport import Transport
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import MAX_REFS, Store, proved_beginning, read_beginning, read_refs_json, read_site
from mirror_sync.sources.hub.budget import Budget
from mirror_sync.sources.hub.download_addresses import Address
from mirror_sync.sources.hub.endpoint import Endpoint
from mirror_sync.sources.hub.hub_errors import RequestContext, refusal
from mirror_sync.sources.hub.hub_source import HubSource

_NOT_MODIFIED, _ERROR, _NOT_FOUND = 304, 400, 404


@dataclass(frozen=True, slots=True)
class Told:
    """What stands at an address, and the tag by which to ask whether it still does; `body` None: it does."""

    tag: str
    body: bytes | None


class MirrorReader(Protocol):
    """Safe for many threads."""

    def site(self, name: str, tag: str, limit: int) -> Told:
        """One conditional call for a part of the catalogue. NotFoundOrPrivate where there is none for us."""
        ...

    def refs(self, repo: Repo, known: str) -> bytes | None:
        """One conditional call for refs.json; None where its SHA-256 is still the known one."""
        ...

    def document(self, repo: Repo, commit: CommitId, digest: Sha256, kept: int, limit: int) -> bytes:
        """The first `kept` bytes of a document of a snapshot, which is proved whole; BadAnswer where that fails."""
        ...

    def stream(self, repo: Repo, commit: CommitId, digest: Sha256) -> AbstractContextManager[ByteStream]:
        """The bytes of a document of a snapshot, of any size, which nobody has proved."""
        ...

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, digest: Sha256, start: int, stop: int | None
    ) -> AbstractContextManager[ByteStream]:
        """The bytes of a file, which the listing says has this digest."""
        ...

    def repos(self, kind: Kind) -> Iterator[Repo]:
        """All repos, without the feed. NoSuchCall where nobody lists them."""
        ...


class FrontReader:
    """Asks a front, as any client reaches it."""

    def __init__(
        self,
        url: str,
        token: str | None,
        transport: Transport,
        budget: Budget,
        *,
        allow_private: bool = False,
        tell: Observer = lambda _: None,
    ) -> None:
        self._line = Endpoint(url, token, transport, budget, allow_private=allow_private, tell=tell)
        self._files = HubSource(url, token, transport, budget=budget, allow_private=allow_private, tell=tell)
        self._token = token

    def __str__(self) -> str:
        return self._line.url

    def site(self, name: str, tag: str, limit: int) -> Told:
        return self._told(RequestContext(self._line.url, self._token), f"/-/{name}", tag, limit)

    def refs(self, repo: Repo, known: str) -> bytes | None:
        asked = RequestContext(self._line.url, self._token, repo)
        return self._told(asked, f"{_place(repo)}/refs.json", f'"{known}"' if known else "", MAX_REFS).body

    def document(self, repo: Repo, commit: CommitId, digest: Sha256, kept: int, limit: int) -> bytes:
        with self.stream(repo, commit, digest) as stream:
            try:
                return proved_beginning(stream.readinto, digest, kept, limit)
            except DocumentError as error:
                asked = RequestContext(self._line.url, self._token, repo, commit)
                raise BadAnswer(f"{asked.page}: {error}") from error

    @contextmanager
    def stream(self, repo: Repo, commit: CommitId, digest: Sha256) -> Iterator[ByteStream]:
        asked = RequestContext(self._line.url, self._token, repo, commit)
        answer = self._answer(asked, f"{_place(repo)}/{commit}/{digest}", {})
        try:
            yield answer
        except BaseException:
            answer.discard()
            raise
        answer.release()

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, digest: Sha256, start: int, stop: int | None
    ) -> AbstractContextManager[ByteStream]:
        return self._files.fetch(repo, commit, file, start, stop)

    def repos(self, kind: Kind) -> Iterator[Repo]:
        raise NoSuchCall(f"{self._line.url} shows no feed of its repos to us; name them one by one")

    def _told(self, asked: RequestContext, path: str, tag: str, limit: int) -> Told:
        headers = {"accept-encoding": ENCODINGS, **({"If-None-Match": tag} if tag else {})}
        answer = self._answer(asked, path, headers)
        if answer.status == _NOT_MODIFIED:
            answer.finish()
            return Told(tag, None)
        return Told(str(answer.headers.get("ETag", "")), read_whole(answer, limit))

    def _answer(self, asked: RequestContext, path: str, headers: dict[str, str]) -> Response:
        _, answer = self._line.get(asked, Address(f"{self._line.url}{path}"), headers, stay=True)
        if answer.status >= _ERROR:
            answer.finish()
            raise self._refusal(answer, asked)
        return answer

    def _refusal(self, answer: Response, asked: RequestContext) -> UpstreamError:
        said = answer.headers
        if said.get("X-Mirror-State") == "withdrawn":
            return Disabled(f"disabled: {asked.endpoint}: {asked.spoken(said.get('X-Error-Message', ''))}")
        if answer.status == _NOT_FOUND and asked.repo is not None and said.get("X-Error-Code") is None:
            return UpstreamError(
                f"{asked.endpoint} answers nothing at /-/mirror/: it is no mirror-sync, or an older one"
            )
        return refusal(answer.status, said, asked)


class StoreReader:
    """Reads a bucket or a folder that another mirror publishes into; `place` is what messages call it."""

    def __init__(self, store: Store, place: str) -> None:
        self._store, self._place = store, place

    def __str__(self) -> str:
        return self._place

    def site(self, name: str, tag: str, limit: int) -> Told:
        try:
            body = read_site(self._store, name, max(limit, LARGEST))
        except KeyMissing:
            raise NotFoundOrPrivate(f"{self._place} has no {site_key(name)}") from None
        except StoreError as error:
            raise _as_upstream(error, self._place) from error
        found = str(Sha256.of(body))
        return Told(found, None if found == tag else body)

    def refs(self, repo: Repo, known: str) -> bytes | None:
        try:
            body = read_refs_json(self._store, repo)
        except KeyMissing:
            raise self._absence(repo) from None
        except (StoreError, DocumentError) as error:
            raise _as_upstream(error, self._place) from error
        return None if Sha256.of(body) == known else body

    def document(self, repo: Repo, commit: CommitId, digest: Sha256, kept: int, limit: int) -> bytes:
        try:
            return read_beginning(self._store, digest, kept, limit)
        except (StoreError, DocumentError) as error:
            raise _as_upstream(error, f"{self._place}: {repo}") from error

    def stream(self, repo: Repo, commit: CommitId, digest: Sha256) -> AbstractContextManager[ByteStream]:
        return _Opened(self._store, digest, 0, None, f"{self._place}: {repo}")

    @contextmanager
    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, digest: Sha256, start: int, stop: int | None
    ) -> Iterator[ByteStream]:
        with ExitStack() as opened:
            try:
                stream = opened.enter_context(_Opened(self._store, digest, start, stop, f"{self._place}: {repo}"))
            except UpstreamError as error:
                if self._is_cold(error.__cause__):
                    raise UpstreamError(
                        f"{self._place}: {repo}: {file.path} lies in that mirror's cold tier, which is not read from "
                        f"here: have it brought back there (mirror-sync thaw {repo}), or name its front as the url"
                    ) from error
                raise
            yield stream

    def _is_cold(self, error: BaseException | None) -> bool:
        """Whether a file that the listing names is not given because it lies elsewhere, or is to be restored.

        That is no fault of the answer, and nothing to be asked again.
        """
        if not isinstance(error, KeyMissing):
            return isinstance(error, BlobFrozen)
        with suppress(StoreError):
            return self._store.stat(COLD_BEGUN) is not None
        return False

    def repos(self, kind: Kind) -> Iterator[Repo]:
        try:
            for stat in self._store.list(f"{HUB}{kind.plural}/"):
                repo = repo_of(stat.key)
                if repo is not None:
                    yield repo
        except StoreError as error:
            raise _as_upstream(error, self._place) from error

    def _absence(self, repo: Repo) -> NotFoundOrPrivate:
        """A folder may be a mount that is off: only what holds something else of a mirror says that it is not there."""
        said = f"not found: {self._place} publishes no {repo}"
        try:
            there = next(iter(self._store.list(HUB)), None) is not None
        except StoreError:
            there = False
        return NotFoundOrPrivate(said) if there else NotSeen(said, f"nothing is published in {self._place} at all")


class _Opened:
    """A blob as it is read; what goes wrong with its store is the upstream's, and with nothing else."""

    def __init__(self, store: Store, digest: Sha256, start: int, stop: int | None, place: str) -> None:
        self._reading = store.read(blob_key(digest), start, stop)
        self._place = place

    def __enter__(self) -> _Opened:
        with self._translated():
            self._stream = self._reading.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._reading.__exit__(None, None, None)

    def readinto(self, buffer: memoryview) -> int:
        """Raises UpstreamError."""
        with self._translated():
            return self._stream.readinto(buffer)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            raise _as_upstream(error, self._place) from error


def _place(repo: Repo) -> str:
    return f"/-/mirror/{repo.kind.plural}/{repo.id}"


def _as_upstream(error: StoreError | DocumentError, place: str) -> UpstreamError:
    """Of a store that is read as an upstream. What a pointer names and is not there may be a prune's: it is looked for
    again.
    """
    said = f"{place}: {error}"
    if isinstance(error, DocumentError | KeyMissing):
        return BadAnswer(said)
    if isinstance(error, StoreDenied):
        return UpstreamError(f"{said}; check the keys, and what they may read")
    return Unreachable(said)
