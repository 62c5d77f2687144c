"""The list of all torrents that everybody may have, for trackers: `site/torrents.txt`.

A line has the infohash of a commit, that of the same as a private torrent, the kind, and the id of its repo. Fronts
make of it what trackers read: opentracker wants one infohash a line, in 40 hexadecimal digits (opentracker.conf).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import DocumentError

TORRENT_LIST = site_key("torrents.txt")
LINE = r"^([0-9a-f]{40}) ([0-9a-f]{40}) (model|dataset|space|kernel) ([A-Za-z0-9_.\-/]+)$"
"""In what Python's `re` and JavaScript share."""
_LINE = re.compile(LINE, re.ASCII)


class ListedTorrent(NamedTuple):
    """A commit's infohash, and that of it as a private torrent: both in hexadecimal."""

    infohash: str
    private: str
    repo: Repo


def encode_torrents(torrents: Iterable[ListedTorrent]) -> bytes:
    """The list, each torrent once, in the order of infohashes: it tells nothing of when one came."""
    lines = {f"{one.infohash} {one.private} {one.repo.kind.value} {one.repo.id}\n" for one in torrents}
    return "".join(sorted(lines)).encode()


def decode_torrents(body: bytes) -> Iterator[ListedTorrent]:
    """DocumentError for anything else, when its turn comes."""
    for line in body.decode(errors="replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise DocumentError(f"not a line of a list of torrents: {line[:80]!r}")
        try:
            yield ListedTorrent(found[1], found[2], Repo(Kind(found[3]), found[4]))
        except ValueError as error:
            raise DocumentError(f"not a line of a list of torrents: {error}") from error
