"""Repos, their names, and patterns over them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Self


class Kind(StrEnum):
    """Of a space its files are mirrored, and nothing runs; a kernel repo holds builds of compute kernels."""

    MODEL = "model"
    DATASET = "dataset"
    SPACE = "space"
    KERNEL = "kernel"

    @property
    def plural(self) -> str:
        """As the Hub's API and the bucket's keys spell it: `models`, `datasets`, `spaces`, `kernels`."""
        return self + "s"  # `value` would be two calls, for each of very many

    @property
    def place(self) -> str:
        """What stands before an id in the address of a page or a file: nothing for a model, else `datasets/`."""
        return "" if self is Kind.MODEL else f"{self.plural}/"


# huggingface_hub.utils.validate_repo_id: word characters, '-' and '.', no '--' or '..', at most 96 characters
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_])?"
_ID = re.compile(rf"(?:{_PART}/)?{_PART}")
_PATTERN = re.compile(r"[A-Za-z0-9_.\-*?\[\]!]+(?:/[A-Za-z0-9_.\-*?\[\]!]+)?")
_GLOB = re.compile(r"[*?\[]")
_MAX_ID = 96
EVERYTHING = "*/*"  # all repos of a kind, of an upstream that names them all: another mirror
_STRANGE = re.compile(r"[^A-Za-z0-9_.\-/]")
_WILD = re.compile(r"[*?\[\]!]")
_REVISION = re.compile(
    r"(?P<repo>(?:(?:model|dataset|space|kernel):)?[^@:/\s]+/[^@:/\s]+)[@:](?P<revision>[^@:\s]{1,100})"
)
_PUBLISHED = re.compile(
    r"(?P<a>[A-Za-z0-9_.\-]*)\{org\}(?P<b>[A-Za-z0-9_.\-]*)/(?P<c>[A-Za-z0-9_.\-]*)\{name\}(?P<d>[A-Za-z0-9_.\-]*)"
)
_RIGHT = 'write {org} before the slash and {name} behind it, like "ms-{org}/{name}"'
_ALLOWED = ": the letters a-z and A-Z, digits, '-', '_' and '.' are all that may stand in a name"


_PAGES = {f"{kind.plural}/": kind for kind in Kind}
_OF_PAGES = (*_PAGES,)


def _split_kind(text: str) -> tuple[Kind, str]:
    if text.startswith(_OF_PAGES):
        first, _, rest = text.partition("/")
        if "/" in rest:
            raise ValueError(f"{text!r} is the path of a page; write {_spelled(_PAGES[f'{first}/'], rest)}")
    beside = _REVISION.fullmatch(text)
    if beside:
        raise ValueError(
            f"{text[:120]!r} names a revision; write {beside['repo']}, and {beside['revision']} in revisions"
        )
    if "://" in text:
        raise ValueError(f"{text[:120]!r} is an address; write org/name, or dataset:org/name")
    kind, colon, rest = text.partition(":")
    if not colon:
        return Kind.MODEL, text
    try:
        return Kind(kind), rest
    except ValueError:
        raise ValueError(f"{kind!r} is no kind of repo; write model:, dataset:, space: or kernel:") from None


@dataclass(frozen=True, slots=True, order=True)
class Repo:
    """A repo of an upstream: `org/name`, or `name` alone for a few old models. ValueError for a bad id."""

    kind: Kind
    id: str

    def __post_init__(self) -> None:
        if len(self.id) > _MAX_ID or "--" in self.id or ".." in self.id or _ID.fullmatch(self.id) is None:
            raise ValueError(f"{self.id[:120]!r} is no repo id{_why_not(self.id)}; write org/name")

    @classmethod
    def parse(cls, text: str) -> Self:
        """`org/name` is a model, `dataset:org/name` a dataset, and so are `space:` and `kernel:`."""
        return cls(*_split_kind(text))

    @property
    def owner(self) -> str:
        """Empty for a few old models."""
        return self.id.rpartition("/")[0]

    def __str__(self) -> str:
        return self.id if self.kind is Kind.MODEL else f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class RepoPattern:
    """An entry of a job's `repos`: a repo, or a glob over the names of one owner (`acme/*`), or `*/*` for all."""

    kind: Kind
    glob: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError, with what would be right, for anything that is neither a repo nor a glob."""
        kind, glob = _split_kind(text)
        if glob.startswith("!"):
            raise ValueError(f"{text[:120]!r} denies at the wrong place; write !{_spelled(kind, glob[1:120])}")
        if _GLOB.search(glob) is None:
            return cls(kind, Repo(kind, glob).id)
        if unclosed(glob):
            raise ValueError(f"{glob[:120]!r} has a [ without its ]; write owner/*")
        if _STRANGE.search(_WILD.sub("", glob)):
            raise ValueError(f"{glob[:120]!r} is no glob of repos{_ALLOWED}; write owner/*")
        owner, _, name = glob.partition("/")
        if glob == EVERYTHING:
            return cls(kind, glob)
        if not name or _GLOB.search(owner) or _PATTERN.fullmatch(glob) is None:
            raise ValueError(f"{glob!r} must name one owner before its wildcard; write owner/*")
        return cls(kind, glob)

    @property
    def is_glob(self) -> bool:
        """Whether it may stand for several repos."""
        glob = self.glob  # asked of thousands: quicker than _GLOB
        return "*" in glob or "?" in glob or "[" in glob

    @property
    def owner(self) -> str:
        """What stands before the slash, which may be a glob itself."""
        return self.glob.partition("/")[0]

    @property
    def repo(self) -> Repo:
        """The one repo that is meant; ValueError for a glob."""
        return Repo(self.kind, self.glob)

    def matches(self, repo: Repo) -> bool:
        """Whether it stands for a repo; capitals matter."""
        return repo.kind is self.kind and fnmatchcase(repo.id, self.glob)

    def __str__(self) -> str:
        return _spelled(self.kind, self.glob)


@dataclass(frozen=True, slots=True)
class Denial:
    """An entry of a job's `repos` that takes repos out of it, wherever it stands in the list: `!acme/*-test`."""

    pattern: RepoPattern

    def __str__(self) -> str:
        return f"!{self.pattern}"


@dataclass(frozen=True, slots=True)
class PublishedAs:
    """Under which name a job publishes a repo: a pattern like `ms-{org}/{name}`, which leads to one name, and back."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError, with what would be right, for what leads nowhere or not back."""
        found = _PUBLISHED.fullmatch(text)
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


def parse_entry(text: str) -> RepoPattern | Denial:
    """ValueError, with what would be right, for anything that is neither a repo, a glob nor a denial of one."""
    return Denial(RepoPattern.parse(text[1:])) if text.startswith("!") else RepoPattern.parse(text)


def unclosed(glob: str) -> bool:
    """Whether a [ has no ] after it: fnmatch looks for the bracket itself then, and no repo and no ref has one."""
    start = glob.find("[")
    while start >= 0:
        first = start + (2 if glob.startswith("[!", start) else 1)  # a ] at this place is one of the characters
        end = glob.find("]", first + 1)
        if end < 0:
            return True
        start = glob.find("[", end)
    return False


def _why_not(name: str) -> str:
    """Which rule an id breaks, where it is not that of its shape."""
    if _STRANGE.search(name):
        return _ALLOWED
    if len(name) > _MAX_ID:
        return f": it is longer than {_MAX_ID} characters"
    return ": no -- and no .. may stand in a name" if "--" in name or ".." in name else ""


def _spelled(kind: Kind, name: str) -> str:
    return name if kind is Kind.MODEL else f"{kind}:{name}"


def _middle(text: str, start: str, end: str) -> str:
    """What stands between; empty where these do not stand around it."""
    fits = len(text) > len(start) + len(end) and text.startswith(start) and text.endswith(end)
    return text[len(start) : len(text) - len(end)] if fits else ""
