"""What came, moved and was taken down lately: an Atom feed of snapshots for people's readers, and a document by days.

feed.atom is RFC 4287: an entry a published snapshot, the newest first, and as many as MOST_ENTRIES. changes.json has
the last MOST_CHANGES of all kinds:

    {"format": 1, "days": [{"day": "2026-11-20", "published": [...], "moved": [...], "withdrawn": [...]}]}

Both say nothing of when they were written: while nothing changes they stay as they are, byte for byte.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappush as push
from heapq import heappushpop as pushpop
from itertools import groupby
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mirror_sync.catalogue.gather import RepoFacts
from mirror_sync.domain.catalogue.page_data import ATOM
from mirror_sync.domain.catalogue.rows import page_key
from mirror_sync.domain.content.keys import SITE
from mirror_sync.domain.repo import Kind, Repo

MOST_ENTRIES, MOST_CHANGES = 100, 1000
_FORMAT = 1
_NAMESPACE = "http://www.w3.org/2005/Atom"
_NEVER = "1970-01-01T00:00:00Z"  # a feed has a time, also one without an entry
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML 1.0 cannot hold
_PUBLISHED, _MOVED, _WITHDRAWN = "published", "moved", "withdrawn"


class ShownChange(NamedTuple):
    """`at` in ISO 8601, UTC. `names` lead to `commit`; of a move it is one, and `before` and `commit` are empty for
    none. `root` is the digest of the snapshot that was published.
    """

    at: str
    what: str
    kind: Kind
    repo: str
    commit: str = ""
    before: str = ""
    names: tuple[str, ...] = ()
    root: str = ""
    title: str = ""
    files: int = 0
    bytes: int = 0
    licenses: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """As it stands in changes.json, under its day and what it is."""
        told: dict[str, object] = {"at": self.at, "kind": self.kind.value, "repo": self.repo}
        if self.what == _PUBLISHED:
            told |= {"commit": self.commit, "root": self.root, "names": list(self.names)}
            return told | {"files": self.files, "bytes": self.bytes}
        if self.what == _MOVED:
            return told | {"name": self.names[0], "from": self.before or None, "to": self.commit or None}
        return told


def changes_of(repo: Repo, facts: RepoFacts) -> Iterator[ShownChange]:
    """All that is known to have become of a repo."""
    kind, name = repo.kind, repo.id
    if facts.taken_down:
        yield ShownChange(facts.taken_down, _WITHDRAWN, kind, name)
    for one in facts.snapshots:
        if one.published:
            told = one.commit, "", one.names, one.root, one.title, one.files, one.bytes, facts.licenses
            yield ShownChange(one.published, _PUBLISHED, kind, name, *told)
    for move in facts.moves:
        yield ShownChange(move.at, _MOVED, kind, name, move.after, move.before, (move.name,))


class Latest:
    """The last changes of very many, in little memory. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshots: list[ShownChange] = []
        self._all: list[ShownChange] = []

    def add(self, changes: Iterable[ShownChange]) -> None:
        """In any order."""
        with self._lock:
            for one in changes:
                (push if len(self._all) < MOST_CHANGES else pushpop)(self._all, one)
                if one.what == _PUBLISHED:
                    (push if len(self._snapshots) < MOST_ENTRIES else pushpop)(self._snapshots, one)

    @property
    def snapshots(self) -> list[ShownChange]:
        """Those that were published, newest first."""
        return sorted(self._snapshots, reverse=True)

    @property
    def every(self) -> list[ShownChange]:
        """Newest first."""
        return sorted(self._all, reverse=True)


def changes(newest_first: Sequence[ShownChange]) -> bytes:
    """changes.json."""
    days = []
    for day, some in groupby(newest_first, key=lambda one: one.at[:10]):
        told: dict[str, object] = {"day": day, _PUBLISHED: [], _MOVED: [], _WITHDRAWN: []}
        for one in some:
            kept = told[one.what]
            assert isinstance(kept, list)  # noqa: S101  for the type checker
            kept.append(one.document())
        days.append(told)
    return json.dumps({"format": _FORMAT, "days": days}, separators=(",", ":")).encode() + b"\n"


def atom(newest_first: Sequence[ShownChange], *, name: str, url: str, mirror: str) -> bytes:
    """feed.atom. `url` is where people find the mirror, empty where nobody has said; then `mirror`, a word for who
    publishes it, makes the feed's id, and links are relative.
    """
    feed = Element("feed", xmlns=_NAMESPACE)
    base = f"{url}/-/" if url else ""
    _text(feed, "id", _id(f"{base}{ATOM}" if url else f"mirror:{mirror}"))
    _text(feed, "title", f"{name or 'Mirror'}: new snapshots")
    _text(feed, "updated", newest_first[0].at if newest_first else _NEVER)
    _text(SubElement(feed, "author"), "name", name or "mirror-sync")
    SubElement(feed, "link", rel="alternate", type="text/html", href=f"{base}index.html")
    if url:
        SubElement(feed, "link", rel="self", type="application/atom+xml", href=f"{base}{ATOM}")
    for one in newest_first:
        _entry(feed, one, base)
    indent(feed, " ")
    written: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _entry(feed: Element, one: ShownChange, base: str) -> None:
    repo = Repo(one.kind, one.repo)
    entry = SubElement(feed, "entry")
    # of the same files it is the same for ever, wherever and however often they are published
    _text(entry, "id", _id(f"{repo} {one.commit} {one.root}"))
    _text(entry, "title", f"{repo} {', '.join(one.names[:3]) or one.commit[:12]}")
    _text(entry, "updated", one.at)
    _text(entry, "published", one.at)
    page = page_key(repo).removeprefix(SITE)
    SubElement(entry, "link", rel="alternate", type="text/html", href=f"{base}{page}")
    SubElement(entry, "category", term=one.kind.value)
    files = f"{one.files:,} {'file' if one.files == 1 else 'files'}, {one.bytes:,} bytes"
    licenses = f"; licence {', '.join(one.licenses)}" if one.licenses else ""
    title = f"; {one.title}" if one.title else ""
    _text(entry, "summary", f"Commit {one.commit}: {files}{licenses}{title}")


def _id(said: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, said)}"


def _text(parent: Element, tag: str, said: str) -> None:
    SubElement(parent, tag).text = _UNWRITABLE.sub("\ufffd", said)
