"""Who may read what of a mirror: one decision for every door of both fronts.

A repo is closed where its upstream gives it to some people only (gated) or shows it to some only (private). What
everybody may read never holds a closed repo by a glob: it has to be named, or a job has to say `readers: everyone`.
What a role may read holds closed repos as well, since whoever writes a role means people by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from mirror_sync.domain.repo import Kind, Repo, RepoPattern

EVERY = "*"
_SOME = {"*": ".*", "?": "."}
_NOBODY = "(?!)"  # matches nothing


class Need(StrEnum):
    """What a route of a front asks of a reader."""

    NOTHING = "nothing"  # as whether the front is there: whoever asks is told
    ENTRY = "entry"  # to be somebody who may read or see something here; what is shown then is chosen by the answer
    SEE = "see"  # the repo that the address names: that it is there, what is listed and said of it
    READ = "read"  # its files
    ALL = "all"  # every file of the mirror: what is asked for names no repo


class Sight(StrEnum):
    """What a reader may do with a repo; who reads it sees it, too."""

    READ = "read"
    SEE = "see"
    HIDDEN = "hidden"  # it is to them as if it were not here


@dataclass(frozen=True, slots=True)
class RepoSet:
    """An entry of what may be read: `*` for all repos of all kinds, a repo, or a glob over an owner's names."""

    pattern: RepoPattern | None  # None: all of them

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError, with what would be right."""
        return cls(None if text == EVERY else RepoPattern.parse(text))

    def matches(self, repo: Repo) -> bool:
        """Whether a repo is in it; capitals matter."""
        return self.pattern is None or self.pattern.matches(repo)

    @property
    def names_one(self) -> bool:
        """Whether it is a repo by its name, so that whoever wrote it meant that one."""
        return self.pattern is not None and not self.pattern.is_glob

    def encode(self) -> list[Any]:
        """As nginx's script reads it: the kind, empty for all, a regular expression, and whether it names one."""
        if self.pattern is None:
            return ["", "^.*$", False]
        return [f"{self.pattern.kind}s", glob_expression(self.pattern.glob), self.names_one]

    def __str__(self) -> str:
        return EVERY if self.pattern is None else str(self.pattern)


ALL_REPOS = RepoSet(None)


def glob_expression(glob: str) -> str:
    """A regular expression that Python's `re` and JavaScript share, for what fnmatch matches over ids of repos."""
    found = re.sub(r"\[!?\]?[^\]]*\]|.", lambda one: _piece(one[0]), glob)
    try:
        re.compile(found)
    except re.error:  # a range that ends before it begins: nothing is in it
        return f"^{_NOBODY}$"
    return f"^{found}$"


def _piece(text: str) -> str:
    if len(text) == 1:
        return _SOME.get(text) or re.escape(text)
    inside = text[1:-1]
    inner = re.sub(r"([\\\[\]^])", r"\\\1", inside.removeprefix("!"))
    return f"[{'^' if inside.startswith('!') else ''}{inner}]"


@dataclass(frozen=True, slots=True)
class Role:
    """What a role may read; and see, beside that."""

    read: tuple[RepoSet, ...] = ()
    see: tuple[RepoSet, ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """What a job has opened to everybody although its upstream may not: the repos it names, and does not deny."""

    named: tuple[RepoPattern, ...]
    denied: tuple[RepoPattern, ...] = ()

    def holds(self, repo: Repo) -> bool:
        """Whether a repo is among them."""
        return _any(self.named, repo) and not _any(self.denied, repo)

    def encode(self) -> dict[str, list[list[Any]]]:
        """As nginx's script reads it."""
        lists = {"named": self.named, "denied": self.denied}
        return {name: [RepoSet(one).encode() for one in patterns] for name, patterns in lists.items()}


def _any(patterns: Iterable[RepoPattern | RepoSet], repo: Repo) -> bool:
    return any(pattern.matches(repo) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who may read what of one target.

    `opened`: what jobs say of closed repos; `all_opened`: every job of the target says so, so that nothing of it is
    closed. `allow` are the networks from which anybody may ask, none for all; `proxies` the servers whose word is
    believed about who asks. `contact` is whom people ask who may not read something.
    """

    anonymous: tuple[RepoSet, ...] = (ALL_REPOS,)
    roles: Mapping[str, Role] = field(default_factory=dict)
    opened: tuple[Opening, ...] = ()
    all_opened: bool = False
    allow: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    contact: str = ""

    def decide(self, role: str, repo: Repo, *, closed: bool) -> Sight:
        """What somebody of a role may do with a repo; an empty role, or one that is none, is anybody's."""
        own = self.roles.get(role, Role())
        if _any(own.read, repo) or self.is_public(repo, closed=closed):
            return Sight.READ
        return Sight.SEE if _any(own.see, repo) else Sight.HIDDEN

    def is_public(self, repo: Repo, *, closed: bool) -> bool:
        """Whether everybody may read a repo."""
        shut = closed and not self.all_opened and not any(one.holds(repo) for one in self.opened)
        return any(one.matches(repo) and (one.names_one or not shut) for one in self.anonymous)

    def may_be_public(self, repo: Repo) -> bool:
        """Whether everybody could read a repo of this name: it tells nothing of whether there is one."""
        return _any(self.anonymous, repo)

    def may_enter(self, role: str) -> bool:
        """Whether there is anything that somebody of a role may read or see."""
        own = self.roles.get(role, Role())
        return bool(self.anonymous or own.read or own.see)

    def reads_all(self, role: str) -> bool:
        """Whether somebody of a role may read every repo, whatever it is."""
        return ALL_REPOS in self.roles.get(role, Role()).read or (self.all_opened and ALL_REPOS in self.anonymous)

    def sees_all(self, role: str) -> bool:
        """Whether somebody of a role may see every repo, whatever it is."""
        return self.reads_all(role) or ALL_REPOS in self.roles.get(role, Role()).see

    @property
    def whom_to_ask(self) -> str:
        """Whom people ask who may not read something."""
        return self.contact or "whoever runs this mirror"


OPEN_TO_PUBLIC = AccessRules()
"""Without a word in jobs.yaml: what is public upstream is for everybody, and what is not for nobody."""


def closed_by(info: Mapping[str, object]) -> bool:
    """Whether what an upstream said of a repo closes it. What says nothing closes it as well."""
    return info.get("private") is not False or info.get("gated") is not False


def kind_of(plural: str) -> Kind | None:
    """The kind that an address spells `models`, `datasets`, `spaces` or `kernels`; None for another one."""
    return next((kind for kind in Kind if kind.plural == plural), None)
