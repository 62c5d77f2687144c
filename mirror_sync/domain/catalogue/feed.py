"""What a mirror publishes of many repos, in one small document, for a mirror of it: which of them have changed.

    site/feed.json             {"format": 1, "mirrors": [id], "through": {word: [id]}, "whole": true,
                                "shards": {"3f": "<SHA-256>"}}
    site/list/feed-3f.json     one repo a line: ["org/name", "<SHA-256 of its refs.json>"], in the order of their names

Whose name's SHA-256 begins with `3f` stands in that shard; all shards of a feed are named by as many digits. Nothing in
it is a time, so that it is the same, byte for byte, as long as nothing has changed. It is a hint: refs.json is the
truth, a digest that is empty says nothing, and all of it is made anew by `mirror-sync site`.

`mirrors` are the ids of those who publish the target, `through` those of all mirrors that it was read from, by a word
for each upstream: by these a mirror finds itself in what it is about to read. `whole`: no repo is left out for whoever
reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mirror_sync.domain.bounds import text, whole
from mirror_sync.domain.content.document_format import few, in_brief
from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError, NewerFormat

FEED = "feed.json"
FORMAT = 1
MOST_IDS = 256  # of mirrors, in each list
LARGEST_FEED = 1024 * 1024  # bytes; one of 4,096 shards has 300,000
LARGEST_SHARD = 16 * 1024 * 1024  # bytes
_PER_SHARD = 40  # repos, about, before there are sixteen times as many shards
_DIGITS = 3  # at the most


@dataclass(frozen=True, slots=True)
class Feed:
    """The root of a feed: digests of its shards by the digits that they are named by."""

    mirrors: tuple[str, ...] = ()
    through: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole: bool = False
    shards: Mapping[str, Sha256] = field(default_factory=dict)

    @property
    def ids(self) -> frozenset[str]:
        """Of all mirrors that have a part in it."""
        return frozenset((*self.mirrors, *(one for ids in self.through.values() for one in ids)))

    def shard_of(self, repo: Repo) -> str | None:
        """The digits of the only shard that can name a repo; None where there is none."""
        digits = next((len(name) for name in self.shards), 0)
        name = _word(repo)[:digits]
        return name if name in self.shards else None

    def encode(self) -> bytes:
        """The document."""
        through = {word: sorted(ids)[:MOST_IDS] for word, ids in sorted(self.through.items())}
        said = {"mirrors": sorted(self.mirrors)[:MOST_IDS], "through": through, "whole": self.whole}
        return _json({"format": FORMAT, **said, "shards": dict(sorted(self.shards.items()))})

    @classmethod
    def decode(cls, body: bytes) -> Feed:
        """DocumentError for what is none; NewerFormat for one of another format."""
        try:
            known = json.loads(body.decode())
            if whole(known["format"]) != FORMAT:
                raise NewerFormat(
                    f"a {FEED} of format {known['format']}, this program reads {FORMAT}: a newer mirror-sync wrote it"
                )
            shards = {text(name): Sha256(digest) for name, digest in known["shards"].items()}
            few(known["through"], MOST_IDS)
            through = {text(word): _ids(ids) for word, ids in known["through"].items()}
            found = cls(_ids(known["mirrors"]), through, known["whole"] is True, shards)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not a {FEED}: {in_brief(error)}") from error
        if len({len(name) for name in shards}) > 1:
            raise DocumentError(f"not a {FEED}: shards of names of several lengths")
        return found


def feed_key() -> str:
    """The key of the root of the feed that is for everybody."""
    return site_key(FEED)


def shard_name(digits: str) -> str:
    """The name of a shard's object, beside the root's."""
    return f"list/feed-{digits or 'all'}.json"


def cut(published: Mapping[Repo, str]) -> dict[str, bytes]:
    """The shards of a feed, by their digits: of each repo the SHA-256 of its refs.json, empty where nobody knows it."""
    digits = next((count for count in range(_DIGITS) if len(published) <= _PER_SHARD * 16**count), _DIGITS)
    shards: dict[str, list[str]] = {}
    for repo in sorted(published, key=str):
        line = json.dumps([str(repo), published[repo]], separators=(",", ":"))
        shards.setdefault(_word(repo)[:digits], []).append(line)
    return {name: ("[\n" + ",\n".join(lines) + "\n]\n").encode() for name, lines in sorted(shards.items())}


def read_shard(body: bytes) -> dict[Repo, str]:
    """What a shard says; DocumentError for what is none."""
    try:
        return {Repo.parse(text(name)): text(digest) for name, digest in json.loads(body.decode())}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DocumentError(f"not a shard of a {FEED}: {in_brief(error)}") from error


def mirror_id(machine: str, place: str) -> str:
    """Who publishes a target: 16 hexadecimal digits, that tell nobody which machine it is, nor where the target is."""
    return hashlib.sha256(f"{machine}\0{place}".encode()).hexdigest()[:16]


def upstream_word(name: str) -> str:
    """A word for an upstream of jobs.yaml, which does not tell its name."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _word(repo: Repo) -> str:
    return hashlib.sha256(str(repo).encode()).hexdigest()


def _ids(value: Any) -> tuple[str, ...]:
    return tuple(text(one) for one in few(value, MOST_IDS))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
