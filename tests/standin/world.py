"""All a stand-in Hub knows: repos, renames, tokens, settings of its behaviour, and the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from .repo import Repo
from .settings import Kind
from .tree import File

SIDE_CALLS = frozenset({"auth-check", "commits", "refs"})
"""What a mirror can do without to answer for a repo and its files; see `Behaviour.lacks`."""


class Clock:
    """Wall clock in seconds since 1970 that a test can move forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the time forward, for signed URLs and rate limit windows alike."""
        self._ahead += seconds


@dataclass(frozen=True)
class Token:
    """A user's access token, and what it opens."""

    user: str
    approved: frozenset[str] = frozenset()
    """Ids of gated repos whose files it may read."""
    private: frozenset[str] = frozenset()
    """Ids of private repos it may see."""


@dataclass
class Behaviour:
    """How the stand-in answers; a test may change any of it at any time."""

    tree_page: int = 1000
    """Entries a page of a tree listing."""
    expanded_page: int = 50
    """Entries a page of a tree listing with ``expand``."""
    list_page: int = 1000
    """Most repos a page of a list of repos."""
    commits_page: int = 50
    """Commits a page."""
    small_files: Literal["direct", "resolve-cache"] = "direct"
    """Whether small files come at once, or after a relative 307 to ``/api/resolve-cache/``."""
    url_lifetime: float = 3600.0
    """Seconds a signed CDN URL is valid."""
    cdn_whole_up_to: int | None = None
    """Bytes of a file above which the CDN answers 400 to a request without Range, as the Hub's bridge is said to do
    beyond 50 GB; None: it answers all."""
    cas_url: str | None = None
    """Where Xet tokens point to; None: no Xet tokens are given."""
    aiohttp: bool = False
    """Whether heads of requests are bounded as a server of aiohttp does: 8,190 bytes a line, 128 headers."""
    lacks: frozenset[str] = frozenset()
    """What it answers 404 to and says no more, as mirrors do that know fewer calls: words of a path below ``/api/``
    (``commits``, ``refs``), or ``models`` and ``datasets`` for the lists of repos."""


@dataclass
class World:
    """The state that both origins serve, guarded by one lock."""

    hub_url: str = ""
    cdn_url: str = ""
    behaviour: Behaviour = field(default_factory=Behaviour)
    clock: Clock = field(default_factory=Clock)
    lock: threading.RLock = field(default_factory=threading.RLock)
    tokens: dict[str, Token] = field(default_factory=dict)
    orgs: set[str] = field(default_factory=set)
    """Owners that are organisations; all others are users."""
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    offered: dict[str, File] = field(default_factory=dict)
    """What the CDN can serve, by SHA-256: every file a signed URL was given for."""
    listed: dict[tuple[Kind, str], Repo] | None = None
    """What lists of repos tell, where that is not what there is."""
    _repos: dict[tuple[Kind, str], Repo] = field(default_factory=dict)
    _moved: dict[tuple[Kind, str], str] = field(default_factory=dict)

    def repo(self, kind: Kind, repo_id: str) -> Repo:
        """Return the repo, made now when there is none."""
        with self.lock:
            self._moved.pop((kind, repo_id), None)
            if (kind, repo_id) not in self._repos:
                self._repos[kind, repo_id] = Repo(kind, repo_id, self.lock)
            return self._repos[kind, repo_id]

    def find(self, kind: Kind, repo_id: str) -> Repo | None:
        """Return the repo with exactly this id, if there is one."""
        return self._repos.get((kind, repo_id))

    def new_name(self, kind: Kind, repo_id: str) -> str | None:
        """Return where ``repo_id`` moved to: after a rename, or to the right upper and lower case."""
        name: str | None = repo_id
        while name is not None and (kind, name) not in self._repos:
            name = self._moved.get((kind, name))
        if name is None:
            same = (known for known_kind, known in self._repos if known_kind == kind)
            name = next((known for known in same if known.lower() == repo_id.lower()), None)
        return None if name == repo_id else name

    def rename(self, kind: Kind, old: str, new: str) -> None:
        """Give a repo a new id; the old one redirects. Raises KeyError when there is no ``old``."""
        with self.lock:
            repo = self._repos.pop((kind, old))
            repo.id = new
            self._repos[kind, new] = repo
            self._moved.pop((kind, new), None)
            self._moved[kind, old] = new

    def remove(self, kind: Kind, repo_id: str) -> None:
        """Delete a repo. Raises KeyError when there is none."""
        with self.lock:
            del self._repos[kind, repo_id]

    def repos(self, kind: Kind) -> Iterator[Repo]:
        """Yield all repos of a kind that lists know."""
        listed = self._repos if self.listed is None else self.listed
        return (repo for (known, _), repo in listed.items() if known == kind)

    def follow(self, other: World, only: Collection[str]) -> None:
        """Hold what another world holds now, and nothing else: all its repos, or those with these ids."""
        held = {key: repo for key, repo in other.snapshot().items() if not only or repo.id in only}
        with self.lock:
            self._repos = held
            self.tokens, self.orgs = dict(other.tokens), set(other.orgs)

    def snapshot(self) -> dict[tuple[Kind, str], Repo]:
        """Return all repos as they are now, whatever becomes of them."""
        with self.lock:
            return {key: repo.as_it_is() for key, repo in self._repos.items()}

    def add_token(self, secret: str, user: str, approved: Iterable[str], private: Iterable[str]) -> None:
        """Make ``secret`` a valid token."""
        with self.lock:
            self.tokens[secret] = Token(user, frozenset(approved), frozenset(private))
