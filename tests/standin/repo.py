"""Repos with branches, tags and commits, built by a test and read by the servers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

import yaml

from .settings import Changes, Kind, Settings
from .tree import File, FileLike, Tree, as_file


@dataclass(frozen=True)
class Commit:
    """One immutable state of a repo's files."""

    id: str
    title: str
    message: str
    date: datetime
    author: str
    parent: Commit | None
    tree: Tree
    card: Mapping[str, Any]

    def history(self) -> Iterator[Commit]:
        """Yield this commit and its parents, newest first."""
        commit: Commit | None = self
        while commit is not None:
            yield commit
            commit = commit.parent

    def last_change(self, path: str) -> Commit:
        """Return the commit that gave ``path`` the content it has here."""
        oid = self.tree.by_path[path].oid
        found = self
        for commit in self.history():
            node = commit.tree.by_path.get(path)
            if node is None or node.oid != oid:
                break
            found = commit
        return found


@dataclass(frozen=True)
class CommitOptions:
    """How a commit is made, besides its files."""

    title: str = ""
    message: str = ""
    branch: str = "main"
    author: str = "someone"
    date: datetime | None = None
    delete: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    replace_all: bool = False


class CommitWords(TypedDict, total=False):
    """The keywords of `Repo.commit`; see `CommitOptions`."""

    title: str
    message: str
    branch: str
    author: str
    date: datetime | None
    delete: Iterable[str]
    rename: Mapping[str, str]
    replace_all: bool


class Repo:
    """A model or dataset. Every method may be called while the servers answer."""

    def __init__(self, kind: Kind, repo_id: str, lock: threading.RLock) -> None:
        self.kind: Kind = kind
        self.id = repo_id
        self.settings = Settings()
        self.refs: dict[str, str] = {}
        self.commits: dict[str, Commit] = {}
        self.scans: dict[str, str] = {}
        self.scans_done = True
        self.file_scans: dict[str, str] | None = None
        self.first_id = repo_id
        self._lock = lock

    def set(self, **changes: Unpack[Changes]) -> Repo:
        """Change settings and return the repo."""
        with self._lock:
            self.settings = self.settings.changed(changes)
        return self

    def commit(self, files: Mapping[str, FileLike] | None = None, **words: Unpack[CommitWords]) -> str:
        """Commit ``files`` on top of the branch and return the 40-hex commit id.

        Renames come first (old path -> new path), then deletions, then ``files``. With
        ``replace_all`` the new tree holds ``files`` alone. A README.md with front matter changes
        the card. Raises KeyError when a path to rename or delete is not there.
        """
        with self._lock:
            options = _options(words)
            ref = _full_ref(options.branch)
            parent = self.commits[self.refs[ref]] if ref in self.refs else None
            tree = Tree(_next_files(parent, files or {}, options))
            if files and "README.md" in files:
                self._read_card(tree)
            commit = self._record(parent, tree, options)
            self.refs[ref] = commit.id
            return commit.id

    def tag(self, name: str, commit: str | None = None) -> Repo:
        """Set a tag to ``commit`` (default: the head of main)."""
        return self._point(f"refs/tags/{name}", commit)

    def branch(self, name: str, commit: str | None = None) -> Repo:
        """Set a branch to ``commit`` (default: the head of main); moving it back is a force push."""
        return self._point(f"refs/heads/{name}", commit)

    def pull_request(self, number: int, files: Mapping[str, FileLike], title: str = "") -> str:
        """Open pull request ``number`` on top of main with ``files`` and return its commit id."""
        self._point(f"refs/pr/{number}", None)
        return self.commit(files, title=title or f"Pull request {number}", branch=f"refs/pr/{number}")

    def delete_ref(self, name: str) -> None:
        """Delete a branch, a tag, or any full ref name. Raises KeyError when there is none."""
        with self._lock:
            del self.refs[next((ref for ref in _candidates(name) if ref in self.refs), name)]

    def scan(self, levels: Mapping[str, str], *, done: bool = True, files: Mapping[str, str] | None = None) -> Repo:
        """Set the scanners' verdict per path (``unsafe``, ``suspicious``, ...) and whether they are done.

        ``files`` is what listings say of files, where that is something else than what is said of the repo.
        """
        with self._lock:
            self.scans, self.scans_done = dict(levels), done
            self.file_scans = None if files is None else dict(files)
        return self

    def scan_of(self, path: str) -> str:
        """What listings say of a file."""
        if self.file_scans is not None:
            return self.file_scans.get(path, "safe")
        return self.scans.get(path, "safe" if self.scans_done else "unscanned")

    def find(self, revision: str) -> Commit | None:
        """Return the commit a branch, tag, pull request ref or full commit id means."""
        for ref in _candidates(revision):
            if ref in self.refs:
                return self.commits[self.refs[ref]]
        return self.commits.get(revision)

    def head(self, branch: str = "main") -> str:
        """Return the commit id of ``branch``. Raises KeyError when there is none."""
        return self.refs[_full_ref(branch)]

    @property
    def last_modified(self) -> datetime:
        """When the repo last changed, as the Hub shows it."""
        newest = max((commit.date for commit in self.commits.values()), default=self.settings.created)
        return self.settings.last_modified or newest

    def card_at(self, commit: Commit) -> Mapping[str, Any]:
        """Return the card of ``commit``: the current settings' for the head of main."""
        return self.settings.card if self.refs.get("refs/heads/main") == commit.id else commit.card

    def as_it_is(self) -> Repo:
        """Return a copy that does not follow what becomes of this repo."""
        copied = copy(self)
        copied.refs, copied.commits, copied.scans = dict(self.refs), dict(self.commits), dict(self.scans)
        return copied

    def _point(self, ref: str, commit: str | None) -> Repo:
        with self._lock:
            target = commit or self.head()
            self.refs[ref] = self.commits[target].id
        return self

    def _read_card(self, tree: Tree) -> None:
        front = front_matter(tree.files["README.md"].content.read(0, 1 << 20))
        self.settings = replace(self.settings, card={**self.settings.card, **front})

    def _record(self, parent: Commit | None, tree: Tree, options: CommitOptions) -> Commit:
        newest = max((commit.date for commit in self.commits.values()), default=self.settings.created)
        date = options.date or newest + timedelta(minutes=1)
        origin = f"{self.kind} {self.first_id} {parent.id if parent else ''}\n"
        digest = hashlib.sha1(origin.encode(), usedforsecurity=False)
        digest.update(f"{date.isoformat()}\n{options.author}\n{options.title}\n{options.message}\n".encode())
        for line in tree.identities():
            digest.update(line.encode())
        title = options.title or "Update"
        card = self.settings.card
        commit = Commit(digest.hexdigest(), title, options.message, date, options.author, parent, tree, card)
        self.commits[commit.id] = commit
        return commit


def front_matter(readme: bytes) -> dict[str, Any]:
    """Return the YAML front matter of a model card, or nothing when there is none."""
    head, _, rest = readme.partition(b"---\n")
    text, fence, _ = rest.partition(b"\n---")
    parsed = yaml.safe_load(text) if fence and not head.strip() else None
    return parsed if isinstance(parsed, dict) else {}


def _options(words: CommitWords) -> CommitOptions:
    given: dict[str, Any] = {**words}
    return CommitOptions(**(given | {"delete": tuple(given.get("delete", ()))}))


def _next_files(parent: Commit | None, files: Mapping[str, FileLike], options: CommitOptions) -> dict[str, File]:
    known = dict(parent.tree.files) if parent and not options.replace_all else {}
    for old, new in options.rename.items():
        known[new] = known.pop(old)
    for path in options.delete:
        del known[path]
    return known | {path: as_file(value) for path, value in files.items()}


def _full_ref(branch: str) -> str:
    return branch if branch.startswith("refs/") else f"refs/heads/{branch}"


def _candidates(revision: str) -> tuple[str, ...]:
    if revision == "HEAD":
        return ("refs/heads/main",)
    return (f"refs/heads/{revision}", f"refs/tags/{revision}", revision)
