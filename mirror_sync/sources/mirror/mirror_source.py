"""Another mirror of this kind, as a Source: its refs.json, its documents, its blobs.

Commits keep their ids, and names lead where they lead there: a channel, a pinned main and a tag are what the other
mirror's readers get by them. Each document is proved by the digest that names it, down from the root; where `check` is
given, each root by the statement that the other mirror has signed.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mirror_sync.domain.attested import LARGEST_ATTESTED, Attested, is_carried
from mirror_sync.domain.content.held_note import CLOSED_MARK
from mirror_sync.domain.content.manifest import MirroredFile, RemoteFile
from mirror_sync.domain.content.refs import CLOSED, DEFAULT_BRANCH, STATEMENT, STATEMENT_SIGNATURE, Ref, Refs
from mirror_sync.domain.content.snapshot import Attachment, Root, description, read_shard, sort_key
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.content.upstream import Commit, Found, Resolved
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.own.pushed import PUSHED, Pushed
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import (
    BadAnswer,
    Disabled,
    DocumentError,
    FileNotFound,
    IntegrityError,
    NewerFormat,
    NoSuchCall,
    NotFoundOrPrivate,
    RevisionNotFound,
    SigningError,
    StoreError,
    Unsigned,
    UpstreamError,
)
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.memory import ReadCache
from mirror_sync.ports.source import Source
from mirror_sync.ports.store import MAX_DESCRIPTION, MAX_DOCUMENT, MAX_TREE
from mirror_sync.scratch.spooled import spooled
from mirror_sync.sources.hub.hub_json import UNREADABLE, commits_of, json_of, resolved_of
from mirror_sync.sources.mirror.feed_view import FeedView
from mirror_sync.sources.mirror.readers import MirrorReader

FULL_CHECK = 24 * 3600.0  # seconds within which each repo is checked itself, whatever a feed says
_HISTORY = 50  # commits, as from the Hub
_SHARDS, _ROOTS, _COMMITS = 4, 16, 1024  # that are kept in memory: shards and roots as documents, commits as digests
_K = TypeVar("_K")
_V = TypeVar("_V")

Check = Callable[[Repo, Refs, Callable[[Sha256], bytes]], int]
"""Raises SigningError unless a refs.json is stated and signed; returns the statement's serial. It is given a reader of
documents.
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A refs.json as it was read: its SHA-256, when it was checked itself, and the serial of its statement."""

    digest: str
    checked: float
    serial: int
    body: bytes

    def encode(self) -> bytes:
        return json.dumps([self.digest, self.checked, self.serial]).encode() + b"\n" + self.body

    @classmethod
    def decode(cls, kept: bytes) -> _Seen:
        """ValueError, TypeError for anything else."""
        head, _, body = kept.partition(b"\n")
        digest, checked, serial = json.loads(head)
        return cls(str(digest), float(checked), int(serial), body)


class MirrorSource(Source):
    """Safe for many threads. `memory` outlives the process; `clock` gives seconds since the epoch."""

    def __init__(
        self,
        reader: MirrorReader,
        memory: ReadCache,
        feed: FeedView,
        check: Check | None = None,
        *,
        anonymous: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader, self._memory, self._feed, self._check = reader, memory, feed, check
        self._anonymous, self._clock = anonymous, clock
        self._believed = "signed" if check else "plain"  # what was read without a check is no use with one
        self._moved: set[Repo] = set()
        self._roots: _Latest[tuple[Repo, CommitId], Sha256] = _Latest(_COMMITS)
        self._documents: _Latest[Sha256, Root] = _Latest(_ROOTS)
        self._shards: _Latest[Sha256, dict[str, MirroredFile]] = _Latest(_SHARDS)

    def __str__(self) -> str:
        return str(self._reader)

    def search(self, sought: Sought) -> Iterator[Found]:
        """The feed names them, and a bucket's listing once a day; what is not known yet is told by its name alone.

        UpstreamError for a ranking.
        """
        if isinstance(sought, Ranking):
            raise UpstreamError(f"{self} ranks nothing; name its repos, or write */* for all of them")
        if not sought.is_glob:
            yield self.resolve(sought.repo, DEFAULT_BRANCH)
            return
        for repo in sorted(filter(sought.matches, self._named(sought))):
            seen = self._seen(repo)
            if seen is None or self._is_doubted(repo, seen):
                yield repo
            else:
                yield self._at(repo, Refs.decode(seen.body), DEFAULT_BRANCH) or repo

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        """No call where the feed says that nothing has changed; else one for refs.json, and two for what is new.

        RevisionNotFound for a name that leads nowhere there.
        """
        found = self._at(repo, self._refs(repo), revision)
        if found is None:
            raise RevisionNotFound(f"{self} publishes no branch, tag, channel or commit {revision[:120]!r} of {repo}")
        return found

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        """As its readers are given them: its channels stand among the branches."""
        shown = self._refs(repo).shown()
        return tuple(
            Ref(group, one["name"], one["ref"], CommitId(one["targetCommit"]))
            for group, some in shown.items()
            for one in some
        )

    def authorize(self, repo: Repo) -> None:
        """Whoever is given refs.json is given the files."""
        self._refs(repo)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """A call for each shard. BadAnswer for a listing that is not what its root says."""
        root, count, size, last = self._root(repo, commit), 0, 0, ""
        for shard in root.shards:
            body = self._document(repo, commit, shard.digest, MAX_TREE)
            with self._reading(repo):
                for file in read_shard(body):
                    key = sort_key(file.path)
                    if key <= last:
                        raise BadAnswer(
                            f"{self}: {repo} at {commit}: its listing is not in order at {file.path!r:.120}"
                        )
                    last, count, size = key, count + 1, size + file.size
                    yield file.promised
        if (count, size) != (root.files, root.size):
            said = f"its listing has {count:,} files of {size:,} bytes, its root says {root.files:,} of {root.size:,}"
            raise BadAnswer(f"{self}: {repo} at {commit}: {said}")

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        """One call. BadAnswer for a history of another commit."""
        body = self._document(repo, commit, self._root(repo, commit).commits, MAX_TREE)
        with self._reading(repo):
            commits = commits_of(json_of(body), _HISTORY)
        if not commits or commits[0].id != commit:
            raise BadAnswer(f"{self}: {repo}: a history that does not begin with {commit}")
        return commits

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """One call. The SHA-256 of a small file is checked, too, where all of it comes: its promise is a git id."""
        known = self._file(repo, commit, file.path)
        whole = start == 0 and stop in (None, file.size)
        if whole and file.sha256 is None:
            return self._proving(repo, commit, file, known.sha256)
        return self._reader.fetch(repo, commit, file, known.sha256, start, stop)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """There is no elsewhere."""

    def forget_lists(self, repos: Collection[Repo]) -> None:
        """They are checked themselves, whatever the feed says."""
        self._moved.update(repos)

    def attested(self, repo: Repo, commit: CommitId) -> Attested | None:
        """Two calls, and one for each attachment that is carried. What is large lies in an unnamed file meanwhile."""
        digest = self._digest(repo, commit)
        root = self._root(repo, commit)
        of_repo = self._refs(repo).attachments
        named = {name: of_repo[name] for name in (STATEMENT, STATEMENT_SIGNATURE) if name in of_repo}
        documents = {
            name: self._attachment(repo, commit, one)
            for name, one in {**root.attachments, **named}.items()
            if is_carried(name)
        }
        body = self._document(repo, commit, digest, MAX_TREE)
        return Attested(body, documents, root.verdicts, root.files, root.size)

    def prove(self) -> TokenStatus:
        """A feed that names all there are is given to those only who may see all."""
        if self._feed.is_whole:
            return TokenStatus.PROVED
        return TokenStatus.ANONYMOUS if self._anonymous else TokenStatus.UNPROVEN

    def _named(self, sought: Any) -> set[Repo]:
        try:
            named = self._feed.repos()
        except BadAnswer as error:
            try:  # a bucket is listed without it
                return set(self._reader.repos(sought.kind))
            except NoSuchCall:
                raise error from None
        name, now = f"names/{sought.kind}", self._clock()
        with suppress(StoreError, ValueError):
            if named is not None and now - float(self._memory.recall(name, "") or b"0") < FULL_CHECK:
                return set(named)
        try:
            listed = set(self._reader.repos(sought.kind))
        except UpstreamError:
            if named is None:
                raise
            return set(named)
        with suppress(StoreError):
            self._memory.remember(name, "", str(now).encode())
        return listed | set(named or ())

    def _at(self, repo: Repo, refs: Refs, revision: str) -> Resolved | None:
        commit = refs.leads_to(revision)
        if commit is None:
            return None
        digest = refs.snapshots[commit]
        self._roots.put((repo, commit), digest)
        described = self._described(repo, revision, commit, digest)
        if CLOSED in refs.attachments:
            described |= json.loads(CLOSED_MARK.body)
        with self._reading(repo):
            found = resolved_of(repo, {"id": repo.id, **described, "sha": commit})
        pushed = Pushed.of(described)
        told = found.described if pushed is None else {**found.described, PUSHED: pushed.encode()}
        return replace(found, described=told, provenance=digest)

    def _described(self, repo: Repo, revision: str, commit: CommitId, digest: Sha256) -> dict[str, Any]:
        name = f"at/{repo}@{revision}"
        with suppress(StoreError):
            kept = self._memory.recall(name, digest)
            if kept is not None:
                return dict(json.loads(kept))
        root = self._root(repo, commit)
        body = self._reader.document(repo, commit, root.info, MAX_DESCRIPTION, MAX_DOCUMENT)
        with self._reading(repo):
            described = description(body.decode(errors="ignore"))
        with suppress(StoreError):
            self._memory.remember(name, digest, json.dumps(described).encode())
        return described

    def _refs(self, repo: Repo) -> Refs:
        """What the other mirror publishes of a repo, as it is now, or was when the feed said so."""
        seen = self._seen(repo)
        if seen is not None and not self._is_doubted(repo, seen):
            return self._given(repo, seen.body)
        moved = repo in self._moved
        body = self._reader.refs(repo, "" if seen is None else seen.digest)
        now = self._clock()
        if body is None and seen is not None:
            seen = replace(seen, checked=now)
            refs = self._given(repo, seen.body)
        else:
            refs = self._given(repo, body or b"")
            seen = _Seen(Sha256.of(body or b""), now, self._checked(repo, refs, seen), body or b"")
        with suppress(StoreError):
            self._memory.remember(f"refs/{repo}", self._believed, seen.encode())
        if moved:
            self._moved.discard(repo)
        return refs

    def _given(self, repo: Repo, body: bytes) -> Refs:
        """Raises Disabled for what was taken down there, NotFoundOrPrivate for what is withdrawn."""
        with self._reading(repo):
            refs = Refs.decode(body)
        if refs.tombstone is not None:
            why = "and does not say why"
            with suppress(DocumentError, UpstreamError):
                told = self._reader.document(repo, CommitId("0" * 40), refs.tombstone, MAX_TREE, MAX_TREE)
                why = Tombstone.decode(told).said
            raise Disabled(f"disabled: {self} has taken {repo} down: {why}")
        if not refs.snapshots:
            raise NotFoundOrPrivate(f"not found: {self} publishes nothing of {repo} any more")
        return refs

    def _checked(self, repo: Repo, refs: Refs, seen: _Seen | None) -> int:
        """The serial of the statement; 0 where none is asked for."""
        if self._check is None:
            return 0
        commit = next(iter(refs.snapshots))
        try:
            serial = self._check(repo, refs, lambda digest: self._document(repo, commit, digest, MAX_TREE))
        except SigningError as error:
            raise Unsigned(f"{self}: {repo}: {error}") from error
        if seen is not None and serial < seen.serial:
            raise Unsigned(f"{self}: {repo}: its statement is old: its serial is {serial}, and {seen.serial} was seen")
        return serial

    def _seen(self, repo: Repo) -> _Seen | None:
        with suppress(StoreError, ValueError, TypeError):
            kept = self._memory.recall(f"refs/{repo}", self._believed)
            return None if kept is None else _Seen.decode(kept)
        return None

    def _is_doubted(self, repo: Repo, seen: _Seen) -> bool:
        """Whether a repo is to be checked itself; what was checked together is not all checked together again."""
        spread = 1 - hashlib.sha256(str(repo).encode()).digest()[0] / 1024
        if repo in self._moved or not 0 <= self._clock() - seen.checked < FULL_CHECK * spread:
            return True
        return self._feed.digest_of(repo) != seen.digest

    def _digest(self, repo: Repo, commit: CommitId) -> Sha256:
        known = self._roots.get((repo, commit))
        if known is None:
            known = self._refs(repo).snapshots.get(commit)
            if known is None:
                raise RevisionNotFound(f"{self} publishes no commit {commit} of {repo}")
            self._roots.put((repo, commit), known)
        return known

    def _root(self, repo: Repo, commit: CommitId) -> Root:
        digest = self._digest(repo, commit)
        root = self._documents.get(digest)
        if root is None:
            body = self._document(repo, commit, digest, MAX_TREE)
            with self._reading(repo):
                root = Root.decode(body)
            if (root.commit, root.repo) != (commit, str(repo)):
                raise BadAnswer(f"{self}: {repo} at {commit}: its root is of {root.repo} at {root.commit}")
            self._documents.put(digest, root)
        return root

    def _file(self, repo: Repo, commit: CommitId, path: str) -> MirroredFile:
        """What the listing says of a file: of the shard that has it, which is kept for the next ones."""
        root = self._root(repo, commit)
        shard = root.shards[root.shard_for(path)].digest if root.shards else None
        files = None if shard is None else self._shards.get(shard)
        if files is None and shard is not None:
            body = self._document(repo, commit, shard, MAX_TREE)
            with self._reading(repo):
                files = {file.path: file for file in read_shard(body)}
            self._shards.put(shard, files)
        found = (files or {}).get(path)
        if found is None:
            raise FileNotFound(f"{self}: {repo} at {commit} has no file {path!r:.120}")
        return found

    def _document(self, repo: Repo, commit: CommitId, digest: Sha256, limit: int) -> bytes:
        return self._reader.document(repo, commit, digest, limit, limit)

    def _attachment(self, repo: Repo, commit: CommitId, digest: Sha256) -> Attachment:
        with self._reader.stream(repo, commit, digest) as stream, self._reading(repo):
            return spooled(stream.readinto, digest, LARGEST_ATTESTED)

    @contextmanager
    def _proving(self, repo: Repo, commit: CommitId, file: RemoteFile, digest: Sha256) -> Iterator[ByteStream]:
        with self._reader.fetch(repo, commit, file, digest, 0, None) as stream:
            yield _Proving(stream, file, digest)

    @contextmanager
    def _reading(self, repo: Repo) -> Iterator[None]:
        """BadAnswer for documents that cannot be read; one line for those of a later program."""
        try:
            yield
        except NewerFormat as error:
            raise UpstreamError(f"{self}: {repo}: {error}; this program is to be brought up to date") from error
        except (DocumentError, *UNREADABLE) as error:
            raise BadAnswer(f"{self}: {repo}: {str(error)[:300]}") from error


class _Proving:
    """The bytes of a file, which must have a digest when all have come."""

    def __init__(self, stream: ByteStream, file: RemoteFile, digest: Sha256) -> None:
        self._stream, self._file, self._digest = stream, file, digest
        self._proved, self._left = hashlib.sha256(), file.size

    def readinto(self, buffer: memoryview) -> int:
        """Raises what the stream does, and IntegrityError where the last byte makes another digest."""
        count = self._stream.readinto(buffer)
        self._proved.update(buffer[:count])
        self._left -= count
        if count and self._left == 0 and self._proved.hexdigest() != self._digest:
            raise IntegrityError(self._file.path, self._digest, self._proved.hexdigest())
        return count


class _Latest(OrderedDict[_K, _V]):
    """As many values as are wanted again soon. Safe for many threads."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most, self._lock = most, threading.Lock()

    def put(self, key: _K, value: _V) -> None:
        """Keep a value, and let the oldest go."""
        with self._lock:
            self[key] = value
            if len(self) > self._most:
                self.popitem(last=False)
