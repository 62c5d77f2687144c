"""What the upstream has ever had: the one thing that all answers of the mirror are compared with."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass(frozen=True)
class Bytes:
    """A content: its size in bytes, its SHA-256 in hex, and what git keeps of it where it is.

    `oid` is the id of the blob in git, in hex: of the content, or of the LFS pointer, of `pointer_size` bytes.
    """

    size: int
    sha256: str
    oid: str = ""
    pointer_size: int | None = None


Files = Mapping[str, Bytes]


@dataclass(frozen=True, order=True)
class RepoName:
    """A repo: `kind` as the Hub's API spells it in the plural."""

    kind: str
    id: str

    @property
    def in_jobs(self) -> str:
        """As jobs.yaml names it."""
        return self.id if self.kind == "models" else f"dataset:{self.id}"

    @property
    def refs_key(self) -> str:
        """Where a target keeps its names."""
        return f"hub/{self.kind}/{self.id.replace('/', '--')}/refs.json"


@dataclass
class Truth:
    """Every commit with its files, and every place a name ever pointed to, with the time. Safe for many threads."""

    commits: dict[RepoName, dict[str, Files]] = field(default_factory=dict)
    _parents: dict[str, str] = field(default_factory=dict)
    _names: dict[RepoName, dict[str, list[tuple[float, str]]]] = field(default_factory=dict)
    _contents: dict[str, Bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, repo: RepoName, commit: str, files: Files, parent: str | None = None) -> None:
        """Remember a commit, and the one it was made on."""
        with self._lock:
            if parent is not None:
                self._parents[commit] = parent
            self.commits.setdefault(repo, {})[commit] = files
            self._contents |= {one.sha256: one for one in files.values()}

    def move(self, repo: RepoName, name: str, commit: str) -> None:
        """Remember that a branch or tag points to a commit from now on."""
        with self._lock:
            self._names.setdefault(repo, {}).setdefault(name, []).append((time.monotonic(), commit))

    def files(self, repo: RepoName, commit: str) -> Files | None:
        """The files of a commit; None when the upstream never had it."""
        with self._lock:
            return self.commits.get(repo, {}).get(commit)

    def names(self, repo: RepoName) -> dict[str, str]:
        """The branches and tags, and what they point to now."""
        with self._lock:
            return {name: moves[-1][1] for name, moves in self._names.get(repo, {}).items()}

    def ever(self, repo: RepoName, name: str) -> set[str]:
        """All commits that a name ever pointed to."""
        with self._lock:
            return {commit for _, commit in self._names.get(repo, {}).get(name, ())}

    def since(self, repo: RepoName, name: str, moment: float) -> set[str]:
        """What a name pointed to at `moment` (monotonic seconds) or later."""
        with self._lock:
            moves = self._names.get(repo, {}).get(name, [])
            before = [commit for when, commit in moves if when <= moment][-1:]
            return {*before, *(commit for when, commit in moves if when > moment)}

    def after(self, repo: RepoName, name: str, commit: str, moment: float) -> set[str]:
        """What a name was given later than `commit`, which it had at `moment` (monotonic seconds) or later."""
        with self._lock:
            moves = self._names.get(repo, {}).get(name, [])
            ends = [when for when, _ in moves[1:]] + [float("inf")]
            had = (at for at, (_, one) in enumerate(moves) if one == commit and ends[at] > moment)
            first = next(had, len(moves))
            return {one for _, one in moves[first + 1 :]}

    def is_ancestor(self, older: str, of: str) -> bool:
        """Whether a commit stands in the history of another."""
        with self._lock:
            at: str | None = of
            while at is not None and at != older:
                at = self._parents.get(at)
            return at is not None and older != of

    def history(self, commit: str) -> list[str]:
        """A commit and those it was made on, newest first."""
        with self._lock:
            ids = [commit]
            while (parent := self._parents.get(ids[-1])) is not None:
                ids.append(parent)
            return ids

    def content_at(self, path: str) -> Bytes | None:
        """The content behind a request's path on either origin of the Hub; None for what is no file."""
        parts = unquote(path).strip("/").split("/")
        if parts[0] == "repos":
            return self._contents.get(parts[-1])
        kind = "datasets" if parts[0] == "datasets" else "models"
        _, _, rest = path.partition("/resolve/")
        commit, _, name = unquote(rest).partition("/")
        repo = RepoName(kind, "/".join(parts[1:3] if kind == "datasets" else parts[:2]))
        return (self.files(repo, commit) or {}).get(name)

    def repos(self) -> tuple[RepoName, ...]:
        """All repos, in a fixed order."""
        with self._lock:
            return tuple(sorted(self.commits))
