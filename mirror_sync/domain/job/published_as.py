"""Under which name a job publishes a repo, where that is not its upstream's: one hub's repos beside another's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from mirror_sync.domain.repo import Repo, RepoPattern

_PATTERN = re.compile(
    r"(?P<a>[A-Za-z0-9_.\-]*)\{org\}(?P<b>[A-Za-z0-9_.\-]*)/(?P<c>[A-Za-z0-9_.\-]*)\{name\}(?P<d>[A-Za-z0-9_.\-]*)"
)
_RIGHT = 'write {org} before the slash and {name} behind it, like "ms-{org}/{name}"'


@dataclass(frozen=True, slots=True)
class PublishedAs:
    """A pattern like `ms-{org}/{name}`, by which each name leads to one other, and back."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError, with what would be right, for what leads nowhere or not back."""
        found = _PATTERN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:120]!r} is no pattern of names; {_RIGHT}")
        if not any(found.groups()):
            raise ValueError(f"{text!r} changes no name; remove it, or {_RIGHT}")
        try:
            Repo.parse(text.format(org="o", name="n"))
        except ValueError:
            raise ValueError(f"{text[:120]!r} makes no ids of repos; {_RIGHT}") from None
        return cls(text)

    def __str__(self) -> str:
        return self.text

    def pattern(self, wanted: RepoPattern) -> RepoPattern:
        """The same repos by their published names. ValueError where such a name is none."""
        org, slash, name = wanted.glob.partition("/")
        if not slash:
            raise ValueError(f"{wanted} has no owner, and {self.text!r} makes names of owner and name")
        made = RepoPattern(wanted.kind, self.text.format(org=org, name=name))
        return made if made.is_glob else RepoPattern(made.kind, made.repo.id)

    def published(self, repo: Repo) -> Repo:
        """The name here of a repo of the upstream. ValueError as of `pattern`."""
        return self.pattern(RepoPattern(repo.kind, repo.id)).repo

    def upstreams(self, glob: str) -> str:
        """The upstream's name of what is published so, or a glob of such; the same where none is published so."""
        org, slash, name = glob.partition("/")
        mine, _, own = self.text.partition("/")
        found = _middle(org, *mine.split("{org}")), _middle(name, *own.split("{name}"))
        return "/".join(found) if slash and all(found) else glob

    def upstream(self, repo: Repo) -> Repo:
        """The upstream's name of what is published so. One that cannot be is taken for an upstream's own."""
        try:
            return Repo(repo.kind, self.upstreams(repo.id))
        except ValueError:
            return repo


def _middle(text: str, start: str, end: str) -> str:
    """What stands between; empty where these do not stand around it."""
    fits = len(text) > len(start) + len(end) and text.startswith(start) and text.endswith(end)
    return text[len(start) : len(text) - len(end)] if fits else ""
