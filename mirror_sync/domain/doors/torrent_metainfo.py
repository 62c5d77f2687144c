"""A snapshot as a torrent: its metainfo, of BitTorrent v1, a function of the files of the snapshot alone.

    torrent.info   the info dictionary, bencoded: `files`, `name` (the commit), `piece length`, `pieces`
    torrent.json   {"infohash", "private", "why"}: the SHA-1 of that, the same of a private one; or why there is none

Both are attachments of a root. What a client is given is put together by a front, which knows trackers and addresses:
they stand outside of the info dictionary, and `private` is its last key. Sources: BEP 3 (bencoding, metainfo), BEP 19
(web seeds: `url-list`, name and path come behind it), BEP 27 (`private`). The layout is frozen: an infohash depends on
every byte of it. docs/design/decisions/0062-torrents-over-the-same-blobs.md.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from mirror_sync.domain.bounds import plain, text
from mirror_sync.domain.content.document_format import exactly, in_brief
from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.errors import DocumentError

DOOR = "torrents"
INFO, FACTS = "torrent.info", "torrent.json"
MEDIA_TYPE = "application/x-bittorrent"
LARGEST_INFO = 9_900_000  # bytes: libtorrent reads no torrent of more than 10,000,000
MOST_FILES = 100_000
LEAST_PIECE, LARGEST_PIECE = 1 << 20, 16 << 20  # bytes
FEW_PIECES = 1024  # up to which pieces stay as small as they are
HASH = 20  # bytes of a SHA-1
PRIVATE = b"7:privatei1e"  # before the end of an info dictionary

_LONGEST_PART = 240  # bytes of a folder's or a file's name: libtorrent cuts off what is beyond
_NOT_ASKED = "?#%"  # what some client asks for by another address than it is at
_NOT_WRITTEN = '\\:*"<>|'  # what some client writes under another name, or on some system not at all
_FILE = re.compile(rb"d6:lengthi(0|[1-9][0-9]{0,18})e4:pathl")
_PIECES = re.compile(rb"e4:name40:[0-9a-f]{40}12:piece lengthi([1-9][0-9]{0,9})e6:pieces([0-9]{1,8}):")
_COUNT = re.compile(rb"(0|[1-9][0-9]{0,8}):")


class Segment(NamedTuple):
    """The bytes [start, stop) of a file, as a part of a piece."""

    sha256: Sha256
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class TorrentFacts:
    """What is known of the torrent of a snapshot, in hexadecimal; `why` there is none, else empty."""

    infohash: str = ""
    private: str = ""
    why: str = ""

    @classmethod
    def of_info(cls, info: bytes) -> TorrentFacts:
        """Of an info dictionary."""
        return cls(_sha1(info), _sha1(as_private(info)))

    def encode(self) -> bytes:
        """The document."""
        said = {"infohash": self.infohash, "private": self.private, "why": self.why}
        return json.dumps(said, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> TorrentFacts:
        """DocumentError for anything else."""
        try:
            known = exactly(json.loads(body), ("infohash", "private", "why"))
            return cls(*(text(known[name]) for name in ("infohash", "private", "why")))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DocumentError(f"not the facts of a torrent: {in_brief(error)}") from error


def _sha1(body: bytes) -> str:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


def as_private(info: bytes) -> bytes:
    """An info dictionary whose clients speak to its trackers alone: BEP 27."""
    return info[:-1] + PRIVATE + b"e"


def piece_length(size: int) -> int:
    """In bytes, of a torrent of `size` bytes: a power of two. Never to be changed, as every infohash depends on it."""
    length = LEAST_PIECE
    while length < LARGEST_PIECE and size > length * FEW_PIECES:
        length *= 2
    return length


def name_fault(path: str) -> str:
    """Why clients cannot take a path, in words; empty where all of them do."""
    odd = next((char for char in path if char in _NOT_ASKED or char in _NOT_WRITTEN or _is_ruling(char)), "")
    if odd:
        return f"{plain(path)} has {odd!r} in its name, which not all clients take"
    for part in path.split("/"):
        if len(part.encode()) > _LONGEST_PART:
            return f"{plain(path)} has a name of more than {_LONGEST_PART} bytes, which not all clients take"
        if part[0] == " " or part[-1] in " .":
            return f"{plain(path)} has a name with a space or dot at its edge, which not all clients take"
    return ""


def _is_ruling(char: str) -> bool:
    """Characters that rule a terminal or turn the direction of text: libtorrent writes names without them."""
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")


@dataclass(frozen=True, slots=True)
class TorrentFiles:
    """The files of a snapshot in the order of their paths' bytes; `why` they have no torrent, else empty."""

    files: tuple[MirroredFile, ...] = ()
    why: str = ""

    @classmethod
    def of(cls, files: Iterable[MirroredFile]) -> TorrentFiles:
        """Of files in any order, which are held only as far as one torrent can name them."""
        kept, room = list[MirroredFile](), LARGEST_INFO
        for file in files:
            fault = name_fault(file.path)
            if fault:
                return cls(why=fault)
            kept.append(file)
            room -= len(_entry(file))
            if room < 0 or len(kept) > MOST_FILES:
                return cls(why=f"it has more files than one torrent can name, which are {MOST_FILES:,} at the most")
        size = sum(file.size for file in kept)
        if not size:
            return cls(why="it has no byte")
        if room < HASH * -(-size // piece_length(size)) + 200:  # what stands around both
            return cls(why="it is too large: its pieces would have more hashes than clients read")
        return cls(tuple(sorted(kept, key=lambda file: file.path)))

    @property
    def size(self) -> int:
        """In bytes, of all of them."""
        return sum(file.size for file in self.files)


def pieces_of(files: Iterable[tuple[Sha256, int]], length: int) -> Iterator[tuple[Segment, ...]]:
    """What each piece consists of, of contents and their bytes in order; a piece goes on over the border of files."""
    piece, left = list[Segment](), length
    for digest, size in files:
        start = 0
        while start < size:
            count = min(left, size - start)
            piece.append(Segment(digest, start, start + count))
            start, left = start + count, left - count
            if not left:
                yield tuple(piece)
                piece, left = [], length
    if piece:
        yield tuple(piece)


def info_of(commit: CommitId, files: Sequence[MirroredFile], hashes: bytes) -> bytes:
    """The info dictionary: `hashes` are the SHA-1 of all pieces, one behind the other."""
    length = piece_length(sum(file.size for file in files))
    head = b"d5:filesl" + b"".join(map(_entry, files)) + b"e4:name%d:%b" % (len(commit), commit.encode())
    return head + b"12:piece lengthi%de6:pieces%d:" % (length, len(hashes)) + hashes + b"e"


def _entry(file: MirroredFile) -> bytes:
    parts = b"".join(map(_text, file.path.split("/")))
    return b"d6:lengthi%de4:pathl%bee" % (file.size, parts)


def _text(said: str) -> bytes:
    return b"%d:%b" % (len(said.encode()), said.encode())


@dataclass(frozen=True, slots=True)
class TorrentInfo:
    """An info dictionary that was read: `sizes` in bytes by path, in order; `hashes` as in `info_of`."""

    sizes: dict[str, int]
    length: int  # of a piece, in bytes
    hashes: bytes

    @classmethod
    def decode(cls, info: bytes) -> TorrentInfo:
        """DocumentError for what is not as `info_of` writes it."""
        try:
            return cls(*_read(info))
        except (ValueError, IndexError) as error:
            raise DocumentError(f"not the info of a torrent: {in_brief(error)}") from error

    def hash_of(self, piece: int) -> bytes:
        """The SHA-1 of a piece."""
        return self.hashes[HASH * piece : HASH * (piece + 1)]

    def start_of(self, path: str) -> int | None:
        """Where a file begins among all bytes; None for one that it does not name."""
        start = 0
        for known, size in self.sizes.items():
            if known == path:
                return start
            start += size
        return None


def _read(info: bytes) -> tuple[dict[str, int], int, bytes]:
    sizes, at = _read_files(info)
    found = _PIECES.match(info, at)
    if found is None:
        raise ValueError("it has no pieces")
    length, count, start = int(found[1]), int(found[2]), found.end()
    if count != HASH * -(-sum(sizes.values()) // length) or info[start + count :] != b"e":
        raise ValueError("its pieces are not those of its files")
    return sizes, length, info[start : start + count]


def _read_files(info: bytes) -> tuple[dict[str, int], int]:
    """The files, and where they end."""
    head = b"d5:filesl"
    if not info.startswith(head):
        raise ValueError("it begins otherwise")
    sizes, at = dict[str, int](), len(head)
    while (found := _FILE.match(info, at)) is not None:
        parts, at = list[str](), found.end()
        while (count := _COUNT.match(info, at)) is not None:
            at = count.end() + int(count[1])
            parts.append(info[count.end() : at].decode())
        if info[at : at + 2] != b"ee":
            raise ValueError("a path has no end")
        sizes["/".join(parts)], at = int(found[1]), at + 2
    return sizes, at


@dataclass(frozen=True, slots=True)
class TorrentOptions:
    """How a front puts torrents together: the trackers that they name, and whether clients may ask these alone."""

    trackers: tuple[str, ...] = ()
    private: bool = False


PLAIN_TORRENTS = TorrentOptions()
"""As where nobody says anything: no tracker."""


def around_info(seeds: Sequence[str], trackers: Sequence[str], *, private: bool) -> tuple[bytes, bytes]:
    """What stands before an info dictionary without its end, and from there on: its end, and the web seeds.

    Several trackers are of one tier (BEP 12): clients ask one of them, at random.
    """
    announce = b"8:announce" + _text(trackers[0]) if trackers else b""
    tier = b"13:announce-listll" + b"".join(map(_text, trackers)) + b"ee" if len(trackers) > 1 else b""
    closing = (PRIVATE if private else b"") + b"e"
    several = b"l" + b"".join(map(_text, seeds)) + b"e" if len(seeds) > 1 else _text(seeds[0])
    return b"d" + announce + tier + b"4:info", closing + b"8:url-list" + several + b"e"


def torrent_of(info: bytes, around: tuple[bytes, bytes]) -> bytes:
    """A torrent file."""
    return b"".join(chain(around[:1], (info[:-1],), around[1:]))
