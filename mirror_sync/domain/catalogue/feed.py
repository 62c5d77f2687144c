"""What a mirror publishes of many repos, for a mirror of it: which of them have changed.

    site/repos.json, of index.html    {"format": 2, "mirrors": [id], "through": {word: [id]}, "whole": true,
                                       "pages": [["<name>", "<first id, in lower case>", "<SHA-256>"]]}
    site/list/<name>.json, of list/<name>.html    a page of the list of repos: `refs` of a line is the SHA-256 of a
                                                  refs.json (published_lists.py)

Both are a part of these pages (page_data.py), and the digest is that of the page's own part. Nothing in them is a time,
so that they are the same, byte for byte, as long as nothing has changed. It is a hint: refs.json is the truth, a digest
that is empty says nothing, and all of it is made anew by `mirror-sync site`.

`mirrors` are the ids of those who publish the target, `through` those of all mirrors that it was read from, by a word
for each upstream: by these a mirror finds itself in what it is about to read. `whole`: no repo is left out for whoever
reads it.

Programs of before wrote an object site/feed.json, which is read where there is no other:

    {"format": 1, "mirrors": ..., "through": ..., "whole": ..., "shards": {"3f": "<SHA-256>"}}
    site/list/feed-3f.json     one repo a line: ["org/name", "<SHA-256 of its refs.json>"]

Whose name's SHA-256 begins with `3f` stands in that shard.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from mirror_sync.domain.bounds import text, whole
from mirror_sync.domain.catalogue.page_data import FEED
from mirror_sync.domain.catalogue.published_lists import page_name
from mirror_sync.domain.content.document_format import few, in_brief
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import DocumentError, NewerFormat

FIRST_FEED = "feed.json"
FORMAT = 2
MOST_IDS = 256  # of mirrors, in each list
LARGEST_FEED = 8 * 1024 * 1024  # bytes; one of a million repos has 700,000
LARGEST_PART = 64 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class FeedPart:
    """A document that names some repos: its name below `site/`, the first id that it may have, in lower case, and its
    digest. Of format 1 it is the first digits of names that it may have.
    """

    name: str
    first: str
    digest: Sha256


@dataclass(frozen=True, slots=True)
class Feed:
    """The root of a feed; `parts` are in the order of what they begin with."""

    mirrors: tuple[str, ...] = ()
    through: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole: bool = False
    parts: tuple[FeedPart, ...] = ()
    format: int = FORMAT

    @property
    def ids(self) -> frozenset[str]:
        """Of all mirrors that have a part in it."""
        return frozenset((*self.mirrors, *(one for ids in self.through.values() for one in ids)))

    def parts_for(self, repo: Repo) -> tuple[FeedPart, ...]:
        """Those that can name a repo: more than one where a model ends a page and a dataset of its name begins one."""
        if self.format == 1:
            word = hashlib.sha256(str(repo).encode()).hexdigest()
            return tuple(one for one in self.parts if word.startswith(one.first))
        low, first = repo.id.lower(), attrgetter("first")
        before = bisect_left(self.parts, low, key=first) - 1
        return self.parts[max(before, 0) : bisect_right(self.parts, low, key=first)]

    def encode(self) -> bytes:
        """The document, as FORMAT has it."""
        through = {word: sorted(ids)[:MOST_IDS] for word, ids in sorted(self.through.items())}
        said = {"mirrors": sorted(self.mirrors)[:MOST_IDS], "through": through, "whole": self.whole}
        pages = [[_page_of(one.name), one.first, one.digest] for one in self.parts]
        return json.dumps({"format": FORMAT, **said, "pages": pages}, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def decode(cls, body: bytes) -> Feed:
        """DocumentError for what is none; NewerFormat for one of another format."""
        try:
            known = json.loads(body.decode())
            written = whole(known["format"])
            if written not in (1, FORMAT):
                raise NewerFormat(
                    f"a {FEED} of format {written}, this program reads {FORMAT}: a newer mirror-sync wrote it"
                )
            few(known["through"], MOST_IDS)
            through = {text(word): _ids(ids) for word, ids in known["through"].items()}
            parts = _first_parts(known["shards"]) if written == 1 else _parts(known["pages"])
            return cls(_ids(known["mirrors"]), through, known["whole"] is True, parts, written)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not a {FEED}: {in_brief(error)}") from error


def part_of(page: str, first: str, digest: Sha256) -> FeedPart:
    """A page of the list of repos as a part of a feed, by the name that the index of pages has for it."""
    return FeedPart(page_name(page), first.lower(), digest)


def read_part(body: bytes) -> dict[Repo, str]:
    """Of each repo that is published the SHA-256 of its refs.json; DocumentError for what is no part of a feed."""
    try:
        lines = json.loads(body.decode())
        first = [(Repo.parse(text(one[0])), text(one[1])) for one in lines if isinstance(one, list)]
        named = [one for one in lines if not isinstance(one, list) and "refs" in one]
        return dict([*first, *((Repo(Kind(one["kind"]), text(one["id"])), text(one["refs"])) for one in named)])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise DocumentError(f"not a part of a {FEED}: {in_brief(error)}") from error


def mirror_id(machine: str, place: str) -> str:
    """Who publishes a target: 16 hexadecimal digits, that tell nobody which machine it is, nor where the target is."""
    return hashlib.sha256(f"{machine}\0{place}".encode()).hexdigest()[:16]


def upstream_word(name: str) -> str:
    """A word for an upstream of jobs.yaml, which does not tell its name."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _page_of(name: str) -> str:
    return name.removeprefix("list/").removesuffix(".json")


def _parts(pages: Any) -> tuple[FeedPart, ...]:
    found = tuple(part_of(_name(page), text(first), Sha256(digest)) for page, first, digest in pages)
    if list(found) != sorted(found, key=attrgetter("first")):
        raise ValueError("pages in no order")
    return found


def _first_parts(shards: Mapping[str, Any]) -> tuple[FeedPart, ...]:
    if len({len(digits) for digits in shards}) > 1:
        raise ValueError("shards of names of several lengths")
    return tuple(
        FeedPart(f"list/feed-{_name(digits) if digits else 'all'}.json", digits, Sha256(digest))
        for digits, digest in shards.items()
    )


def _name(value: object) -> str:
    """As it may stand in an address."""
    found = text(value)
    if not (found.isascii() and found.isalnum()):
        raise ValueError(f"no name: {found[:40]!r}")
    return found


def _ids(value: Any) -> tuple[str, ...]:
    return tuple(text(one) for one in few(value, MOST_IDS))
