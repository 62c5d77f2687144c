"""Folders as an upstream, for import where no network is: `org/name/` are models, `datasets/org/name/` datasets.

There is no git: a folder has one revision, `main`, and its commit id is made from its content alone. It is the first 40
hexadecimal digits of the SHA-256 over the lines

    <path> NUL <size in bytes> NUL <SHA-256 of the content> LF

of all files, sorted by path in UTF-8, so that equal folders have equal ids on every machine. An LFS pointer counts as
the file that it stands for.

What is not there may be on a disk that is off: a mount point stays, empty, and so does what else is on other disks. So
only a root that holds MARKER, which lies on the disk, says of anything that it is gone.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.content.manifest import RemoteFile, expect_bytes, spoken_paths
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import Commit, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.policy.terms import terms_from_card
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.errors import (
    FileNotFound,
    FolderUnreadable,
    NotFoundOrPrivate,
    NotSeen,
    RevisionNotFound,
    UnsafePath,
    UpstreamError,
)
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.directory.card import UnreadableCard, read_card
from mirror_sync.sources.directory.folder import (
    FileHasher,
    FolderFileStream,
    FolderWalk,
    Hashed,
    disk,
    is_folder,
    is_link,
    open_file,
)

MARKER = ".mirror-sync-whole"
"""A file in the root by which an operator says: all that this upstream has is here, and what is not is gone."""

_BRANCH = "main"
_CARD = "README.md"
_OTHERS = frozenset(kind.plural for kind in Kind if kind.place)  # folders of kinds, and no owners of models
_LAST = 253402300799.0  # seconds since the epoch: the end of the year 9999


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What is known of a folder, but for its files: `newest` is when the last of them was changed, since the epoch."""

    commit: CommitId
    newest: float
    has_card: bool = False
    leavings: tuple[str, ...] = ()
    pointers: frozenset[str] = frozenset()

    @property
    def remark(self) -> str:
        return f"left out, as the leavings of downloads: {spoken_paths(self.leavings)}" if self.leavings else ""

    @property
    def date(self) -> str:
        """When the newest file was changed, as the Hub writes dates; an odd time as near as they go."""
        return (
            datetime.fromtimestamp(min(max(self.newest, 0.0), _LAST), UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )


class DirectorySource(Source):
    """Reads folders below `root`. Large files are promised by SHA-256, as LFS files are; small ones by git blob id.

    Every file is read once a run to learn its digest; later calls look only whether size, time or inode have changed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hasher = FileHasher()
        self._known: dict[Repo, _Snapshot] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"DirectorySource({str(self._root)!r})"

    def search(self, sought: Sought) -> Iterator[Resolved | Repo]:
        """The folders of one owner that match; reads all of their files that are new or have changed.

        UpstreamError for a ranking.
        """
        if isinstance(sought, Ranking):
            raise UpstreamError(f"{self._root} is a folder, which ranks nothing; name its repos, or write owner/*")
        yield from self._matching(sought)

    def _matching(self, pattern: RepoPattern) -> Iterator[Resolved | Repo]:
        self._check_root()
        owner = self._base(pattern.kind) / pattern.owner
        with disk(owner):
            names = sorted(entry.name for entry in owner.iterdir() if _may_be_repo(entry)) if is_folder(owner) else []
        for name in names:
            repo = _repo_named(pattern, name)
            if repo is not None and pattern.matches(repo):
                yield self._resolved(repo)

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        """Reads every file that is new or has changed since. RevisionNotFound for any commit but the present one."""
        snapshot = self._snapshot(repo)
        if revision not in (_BRANCH, snapshot.commit):
            raise RevisionNotFound(f"{self._folder(repo)} is a folder: its only revision is {_BRANCH}")
        card, unread = self._card(repo, snapshot)
        terms = terms_from_card(card, (), unread=unread)
        described = {
            "id": repo.id,
            "author": repo.id.partition("/")[0],
            "private": False,
            "gated": False,
            "disabled": False,
            "lastModified": snapshot.date,
            "tags": [f"license:{name}" for name in sorted(terms.card)],
            "cardData": card,
        }
        return Resolved(repo, repo, snapshot.commit, terms, described, remark=snapshot.remark)

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        return (Ref("branches", _BRANCH, f"refs/heads/{_BRANCH}", self._snapshot(repo).commit),)

    def authorize(self, repo: Repo) -> None:
        """Whoever can see the folder may read it; each file says for itself when not."""
        self._existing(repo)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """RevisionNotFound when all files have come, and are no longer those of the commit."""
        reading = _Reading(self._existing(repo), self._root, self._hasher)
        for file in reading.files():
            yield file.remote
        self._expect(repo, commit, self._learned(repo, reading))

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        """One commit: a folder does not remember others."""
        return (Commit(commit, f"Import of {repo.id}", self._at(repo, commit).date),)

    @contextmanager
    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> Iterator[ByteStream]:
        """Unreachable when the file has changed its size since it was listed, FileNotFound when it is gone, PointerOnly
        when it was never there.
        """
        known = self._at(repo, commit)
        expect_bytes([replace(file, pointer_only=file.path in known.pointers)])
        path = self._existing(repo) / file.path
        with ExitStack() as held:
            with disk(path):
                try:
                    opened = held.enter_context(open_file(path))
                except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                    raise FileNotFound(f"{plain(str(path))}: no such file") from None
                stream = FolderFileStream(opened, path, file.size, start, file.size if stop is None else stop)
            yield stream

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """The file has changed without showing it by size or time: it is read again, and has another digest then."""
        self._hasher.forget(self._folder(repo) / file.path)
        with self._lock:
            self._known.pop(repo, None)

    def prove(self) -> TokenStatus:
        """A folder has no tokens: PROVED is one that says that it is whole, and UNPROVEN any other."""
        self._check_root()
        return TokenStatus.PROVED if self._is_whole() else TokenStatus.UNPROVEN

    def _resolved(self, repo: Repo) -> Resolved | Repo:
        """The bare repo where its folder cannot be read or published: the others of its owner can."""
        try:
            return self.resolve(repo, _BRANCH)
        except (UpstreamError, UnsafePath):
            return repo

    def _at(self, repo: Repo, commit: CommitId) -> _Snapshot:
        """What was seen of the very commit; a folder that nobody has seen at it is read."""
        with self._lock:
            known = self._known.get(repo)
        if known is not None and known.commit == commit:
            return known
        return self._expect(repo, commit, self._snapshot(repo))

    def _expect(self, repo: Repo, commit: CommitId, found: _Snapshot) -> _Snapshot:
        if found.commit != commit:
            raise RevisionNotFound(f"{self._folder(repo)} has changed: it is {found.commit} now, no longer {commit}")
        return found

    def _snapshot(self, repo: Repo) -> _Snapshot:
        reading = _Reading(self._existing(repo), self._root, self._hasher)
        for _ in reading.files():
            pass
        return self._learned(repo, reading)

    def _learned(self, repo: Repo, reading: _Reading) -> _Snapshot:
        with self._lock:
            self._known[repo] = reading.snapshot
        return reading.snapshot

    def _card(self, repo: Repo, snapshot: _Snapshot) -> tuple[dict[str, object], str]:
        """The card's metadata, and why it could not be read."""
        if _CARD in snapshot.leavings or _CARD in snapshot.pointers:
            return {}, f"{_CARD} is not there whole: its download was cut, or an LFS pointer lies in its place"
        if not snapshot.has_card:
            return {}, ""
        readme = self._folder(repo) / _CARD
        with disk(readme):
            try:
                return read_card(readme), ""
            except UnreadableCard as error:
                return {}, f"{_CARD}: {error}"

    def _base(self, kind: Kind) -> Path:
        return self._root / kind.place

    def _folder(self, repo: Repo) -> Path:
        return self._base(repo.kind) / repo.id

    def _existing(self, repo: Repo) -> Path:
        self._check_root()
        folder = self._folder(repo)
        owner, _, name = repo.id.partition("/")
        said = f"not found: {folder} is no folder of a {repo.kind}"
        if not name or (repo.kind is Kind.MODEL and owner in _OTHERS):
            raise NotSeen(said)
        if not is_folder(folder):
            raise self._absence(folder, said)
        return folder

    def _absence(self, folder: Path, said: str) -> NotFoundOrPrivate:
        """NotSeen where the absence of a folder may be that of a disk. Raises FolderUnreadable for a link to nothing.

        The root must say that it is whole before and after a second look: a disk may come and go between two.
        """
        above = folder.parents[: len(folder.relative_to(self._root).parts)]
        for place in (folder, *above):
            if _leads_nowhere(place):
                raise FolderUnreadable(f"{place} is a link to what is not there: is its disk mounted?")
        near = next((place for place in above if is_folder(place)), self._root)
        if _is_bare(near):
            return NotSeen(f"{said} ({near} is empty: is its disk mounted?)")
        if self._is_whole() and not is_folder(folder) and self._is_whole():
            return NotFoundOrPrivate(said)
        return NotSeen(said, f"no {MARKER} says that {self._root} is whole")

    def _is_whole(self) -> bool:
        place = self._root / MARKER
        with disk(place):
            try:
                return S_ISREG(place.lstat().st_mode) and not _is_bare(self._root)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def _check_root(self) -> None:
        if not is_folder(self._root):
            raise FolderUnreadable(f"{self._root} is not there: is the disk mounted?")


class _Reading:
    """Goes over the files of a folder once, and learns of each what its snapshot says."""

    def __init__(self, folder: Path, root: Path, hasher: FileHasher) -> None:
        self._folder, self._root, self._hasher = folder, root, hasher
        self._digest = hashlib.sha256()
        self._newest, self._has_card = 0.0, False
        self._leavings: tuple[str, ...] = ()
        self._pointers: set[str] = set()

    def files(self) -> Iterator[Hashed]:
        """All of them, sorted by path in UTF-8. Unreachable where one cannot be read."""
        with disk(self._folder):
            walk = FolderWalk(self._folder, self._root)
            for path, place in walk:
                file = self._hasher.read(path, place)
                self._digest.update(f"{path}\0{file.remote.size}\0{file.sha256}\n".encode())
                self._newest = max(self._newest, file.modified)
                self._has_card |= path == _CARD
                if file.remote.pointer_only:
                    self._pointers.add(path)
                yield file
            self._leavings = walk.leavings

    @property
    def snapshot(self) -> _Snapshot:
        """What it is, when all files have come."""
        commit = CommitId(self._digest.hexdigest()[:40])
        return _Snapshot(commit, self._newest, self._has_card, self._leavings, frozenset(self._pointers))


def _may_be_repo(place: Path) -> bool:
    """A link to a disk that is off, too: it has to say so, and not to look like nothing."""
    return is_folder(place) or _leads_nowhere(place)


def _leads_nowhere(place: Path) -> bool:
    """Whether a link stands there that leads to nothing."""
    with disk(place):
        try:
            linked = is_link(place)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return linked
    return False


def _is_bare(folder: Path) -> bool:
    """Whether a folder holds nothing, as a mount point does; a marker alone may have been put there by mistake."""
    with disk(folder), os.scandir(folder) as entries:
        return all(entry.name == MARKER for entry in entries)


def _repo_named(pattern: RepoPattern, name: str) -> Repo | None:
    """The repo of a folder; None when no repo can be called so."""
    try:
        return Repo(pattern.kind, f"{pattern.owner}/{name}")
    except ValueError:
        return None
