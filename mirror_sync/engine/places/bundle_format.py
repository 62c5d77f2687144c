"""The format of a bundle: a folder of plain tar files, which may be carried on several disks.

    blobs-00001.tar ...  blobs under the keys of a bucket; of a blob that is larger than a part its pieces,
                         `pieces/<SHA-256>/<5 digits>`, which `cat` in the order of their names puts together
    refs-00001.tar ...   the refs.json objects, under their keys: to be unpacked last
    index.json           what is in the parts, and what the receiver must have already (below)
    SHA256SUMS           of index.json and all parts, as sha256sum(1) writes it
    SHA256SUMS.sig       its SSH signature, in the namespace `mirror-sync`, where the exporter has a key

Parts are USTAR (POSIX.1-2017, pax, "ustar Interchange Format") with nothing but regular files, of mode 0644, uid, gid
and mtime 0: equal input makes equal bytes, and a header that is otherwise was not written by an export. index.json is
JSON whose entries are one a line, so that nobody has to hold it whole:

    {"format":1,
    "parts":[
    {"name":"blobs-00001.tar","bytes":10240,"sha256":"<64 hex>"}
    ],
    "repos":[
    {"repo":"dataset:org/name","refs":"<SHA-256 of its refs.json>","part":"refs-00001.tar"}
    ],
    "cut":[
    ["<SHA-256 of a blob in pieces>",<bytes>,<number of its first part>,<bytes of a piece>]
    ],
    "needs":[
    "<SHA-256 of a blob that is in no part>"
    ],
    "blobs":[
    ["<SHA-256>",<bytes>,<number of its part, or of its first one>]
    ]}

An inventory, which a receiver prints for the next export, is a line `mirror-sync inventory 1`, and a digest on each of
the others; or, for machines, JSON with a blob a line:

    {"format":1,"target":"main","blobs":[
    ["<SHA-256>",<bytes>]
    ]}
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mirror_sync.domain.bounds import plain, text, whole
from mirror_sync.domain.content.document_format import exactly, in_brief
from mirror_sync.domain.content.keys import blob_of, repo_of
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import DocumentError, NewerFormat, UsageError

INDEX, BUNDLE_SUMS, BUNDLE_SIGNATURE = "index.json", "SHA256SUMS", "SHA256SUMS.sig"
BLOCK = 512  # bytes
END = bytes(2 * BLOCK)  # of a tar file
LARGEST_MEMBER = 8 * 1024**3 - BLOCK  # bytes: eleven octal digits say no more
MOST_PARTS = 99_999
INVENTORY = "mirror-sync inventory 1"
_INVENTORY_JSON = re.compile(r'\{"format":([0-9]{1,6}),"target":"[^"]*","blobs":\[')
_INVENTORY_BLOB = re.compile(r'\["([0-9a-f]{64})",[0-9]+\],?')
_FORMAT = 1
_MOST_REPOS = 1_000_000
_SECTIONS = ("parts", "repos", "cut", "needs", "blobs")
_LONGEST_LINE = 4096  # characters
_PART = re.compile(r"(blobs|refs)-([0-9]{5})\.tar")
_PIECE = re.compile(r"pieces/([0-9a-f]{64})/([0-9]{5})")
_SUM = re.compile(r"([0-9a-f]{64})  (index\.json|(?:blobs|refs)-[0-9]{5}\.tar)")


def part_name(kind: str, number: int) -> str:
    """The name of a part; `kind` is blobs or refs, `number` counts from 1."""
    return f"{kind}-{number:05}.tar"


def number_of(part: str) -> int:
    """The number of a part, by its name."""
    match = _PART.fullmatch(part)
    assert match is not None  # noqa: S101  for the type checker: names were read by `BundlePart`
    return int(match[2])


def piece_key(digest: Sha256, number: int) -> str:
    """The name of a piece in its part; `number` counts from 1."""
    return f"pieces/{digest}/{number:05}"


def padded(size: int) -> int:
    """What so many bytes take in a tar file, without their header."""
    return -(-size // BLOCK) * BLOCK


def tar_header(key: str, size: int) -> bytes:
    """The header of a regular file of `size` bytes."""
    prefix, name = ("", key) if len(key) <= 100 else key.rsplit("/", 1)  # noqa: PLR2004  what the field takes
    fields = (
        *(name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", b"%011o\0" % size),
        *(b"00000000000\0", b" " * 8, b"0", bytes(100), b"ustar\x0000", bytes(64), b"0000000\0" * 2),
        *(prefix.encode().ljust(155, b"\0"), bytes(12)),
    )
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


@dataclass(frozen=True, slots=True)
class PartMember:
    """A file within a part: where its bytes begin, and how many they are."""

    key: str
    offset: int
    size: int


def members_of(path: Path) -> Iterator[PartMember]:
    """The files of a part, in their order, their bytes passed over. DocumentError for what an export does not write.

    OSError.
    """
    with path.open("rb") as file:
        end, at = path.stat().st_size, 0
        while True:
            header = file.read(BLOCK)
            if header == END[:BLOCK]:
                if file.read(BLOCK) != END[BLOCK:] or file.read(1):
                    raise DocumentError(f"{path.name}: something follows its end, at byte {at:,}")
                return
            member = _member(path, header, at)
            at = member.offset + padded(member.size)
            if at > end:
                raise DocumentError(f"{path.name} is cut short: it has {end:,} bytes; copy it again")
            yield member
            file.seek(at)


def _member(path: Path, header: bytes, at: int) -> PartMember:
    if len(header) < BLOCK:
        raise DocumentError(f"{path.name} is cut short at byte {at:,}; copy it again")
    try:
        name, prefix = (header[start:stop].rstrip(b"\0").decode("ascii") for start, stop in ((0, 100), (345, 500)))
        key = f"{prefix}/{name}" if prefix else name
        size = int(header[124:135].decode("ascii"), 8)
    except ValueError:
        raise DocumentError(f"{path.name}: at byte {at:,} is no header of a file; copy it again") from None
    known = blob_of(key) is not None or repo_of(key) is not None or _PIECE.fullmatch(key) is not None
    if not known or size < 0 or header != tar_header(key, size):
        raise DocumentError(f"{path.name}: at byte {at:,} is {plain(key)[:120]!r}, which no export writes")
    return PartMember(key, at + BLOCK, size)


@dataclass(frozen=True, slots=True)
class BundlePart:
    """A part; `bytes` is its size."""

    name: str
    bytes: int
    sha256: Sha256

    @property
    def is_blobs(self) -> bool:
        """Whether it holds blobs; else refs.json objects."""
        return self.name.startswith("blobs")

    def encode(self) -> dict[str, Any]:
        """As index.json has it."""
        return {"name": self.name, "bytes": self.bytes, "sha256": self.sha256}

    @classmethod
    def decode(cls, document: Any) -> BundlePart:
        """TypeError, KeyError, ValueError for anything else."""
        said = exactly(document, ("name", "bytes", "sha256"))
        if _PART.fullmatch(text(said["name"])) is None:
            raise ValueError(f"no name of a part: {said['name']!r:.80}")
        return cls(said["name"], whole(said["bytes"]), Sha256(text(said["sha256"])))


@dataclass(frozen=True, slots=True)
class BundledRepo:
    """A repo of a bundle: the digest of its refs.json, and which part has that."""

    repo: Repo
    refs: Sha256
    part: str

    def encode(self) -> dict[str, Any]:
        """As index.json has it."""
        return {"repo": str(self.repo), "refs": self.refs, "part": self.part}

    @classmethod
    def decode(cls, document: Any) -> BundledRepo:
        """TypeError, KeyError, ValueError for anything else."""
        said = exactly(document, ("repo", "refs", "part"))
        return cls(Repo.parse(text(said["repo"])), Sha256(text(said["refs"])), text(said["part"]))


@dataclass(frozen=True, slots=True)
class CutBlob:
    """A blob in pieces, each the first file of its part: of the part with the number `first` and of those after it.

    `piece`: bytes of each but the last.
    """

    digest: Sha256
    bytes: int
    first: int
    piece: int

    def encode(self) -> list[Any]:
        """As index.json has it."""
        return [self.digest, self.bytes, self.first, self.piece]

    @classmethod
    def decode(cls, document: Any) -> CutBlob:
        """TypeError, ValueError for anything else."""
        digest, size, first, piece = document
        found = cls(Sha256(text(digest)), whole(size), whole(first), whole(piece))
        if not (found.first and 0 < found.piece < found.bytes):
            raise ValueError("no blob in pieces")
        return found

    @property
    def last(self) -> int:
        """The number of the part with its last piece."""
        return self.first + -(-self.bytes // self.piece) - 1


@dataclass
class BundleIndex:
    """What an index.json says, but for its long lists, which are read as they are needed.

    `digest` is of the very bytes that were read: the file may be another one by the time that it is looked at again.
    """

    path: Path
    digest: str = ""
    parts: list[BundlePart] = field(default_factory=list)
    repos: list[BundledRepo] = field(default_factory=list)
    cut: list[CutBlob] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> BundleIndex:
        """DocumentError for what is none, all of it looked at; OSError."""
        found, hashed = cls(path), hashlib.sha256()
        for section, entry in _entries(path, hashed.update):
            if section == "parts":
                found.parts.append(entry)
            elif section == "repos":
                found.repos.append(entry)
            elif section == "cut":
                found.cut.append(entry)
            if max(len(found.parts), len(found.cut)) > 2 * MOST_PARTS or len(found.repos) > _MOST_REPOS:
                raise DocumentError(f"{path.name} has more entries than an export writes")
        found.digest = hashed.hexdigest()
        return found

    def needs(self) -> Iterator[Sha256]:
        """What the receiver must have already."""
        return (entry for section, entry in _entries(self.path) if section == "needs")

    def blobs(self) -> Iterator[tuple[Sha256, int, int]]:
        """The blobs of all parts: digest, bytes, and the number of the part, or of the first one."""
        return (entry for section, entry in _entries(self.path) if section == "blobs")


class _IndexLines:
    """The lines of a file of ASCII, each cut at the longest that any has; `saw` is told all bytes that were read."""

    def __init__(self, file: BinaryIO, saw: Callable[[bytes], object]) -> None:
        self._file, self._saw = file, saw

    def next(self) -> str:
        line = self._file.readline(_LONGEST_LINE)
        self._saw(line)
        return line.decode("ascii", "replace")


def _entries(path: Path, saw: Callable[[bytes], object] = lambda line: None) -> Iterator[tuple[str, Any]]:
    """Entry by entry, with the name of its list. DocumentError."""
    with path.open("rb") as opened:
        file, number = _IndexLines(opened, saw), 1
        try:
            _expect_format(path, file)
            for section in _SECTIONS:
                number += 1
                _expect_line(file, f'"{section}":[\n')
                end = "]}\n" if section == _SECTIONS[-1] else "],\n"
                while (line := file.next()) != end:
                    number += 1
                    yield section, _entry(section, line)
                number += 1
            _expect_line(file, "")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            why = f"{path.name} is no index of a bundle, or not all of it: line {number}: {in_brief(error)}"
            raise DocumentError(why) from error


def _expect_line(file: _IndexLines, line: str) -> None:
    if file.next() != line:
        raise ValueError(f"{line[:-1] or 'its end'} expected")


def _expect_format(path: Path, file: _IndexLines) -> None:
    first = file.next()
    match = re.fullmatch(r'\{"format":([0-9]{1,6}),\n', first)
    if match is None:
        raise ValueError("no format")
    if int(match[1]) != _FORMAT:
        raise NewerFormat(f"{path.name} is of format {match[1]}, this program reads {_FORMAT}: bring it up to date")


def _entry(section: str, line: str) -> Any:
    found = json.loads(line.removesuffix("\n").removesuffix(","))
    if section == "needs":
        return Sha256(text(found))
    if section == "blobs":
        digest, size, part = found
        return Sha256(text(digest)), whole(size), whole(part)
    return _DECODED[section](found)


_DECODED: Mapping[str, Callable[[Any], object]] = {
    "parts": BundlePart.decode,
    "repos": BundledRepo.decode,
    "cut": CutBlob.decode,
}


def write_index(file: BinaryIO, sections: dict[str, Iterable[Any]]) -> None:
    """Write an index, entry by entry. OSError."""
    file.write(f'{{"format":{_FORMAT},\n'.encode())
    for name in _SECTIONS:
        file.write(f'"{name}":[\n'.encode())
        joint = b""
        for entry in sections[name]:
            file.write(joint + json.dumps(entry, separators=(",", ":")).encode())
            joint = b",\n"
        file.write(b"\n" if joint else b"")
        file.write(b"]}\n" if name == _SECTIONS[-1] else b"],\n")


def sum_lines_of(sums: dict[str, Sha256]) -> bytes:
    """SHA256SUMS of a bundle."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()


def read_bundle_sums(body: bytes) -> dict[str, Sha256]:
    """Digests by name. DocumentError for anything else than an export writes."""
    found: dict[str, Sha256] = {}
    for number, line in enumerate(body.decode("ascii", "replace").splitlines(), 1):
        match = _SUM.fullmatch(line)
        if match is None or match[2] in found:
            raise DocumentError(f"{BUNDLE_SUMS}: line {number} is none that an export writes")
        found[match[2]] = Sha256(match[1])
    if INDEX not in found:
        raise DocumentError(f"{BUNDLE_SUMS} names no {INDEX}")
    return found


def held_by(base: Path | None, inventory: Path | None) -> Iterator[Sha256]:
    """What a receiver has: who imported a bundle, `base` (its folder, or its index.json), or who printed an inventory.

    UsageError for a file that is neither.
    """
    try:
        if base is not None:
            index = BundleIndex(base / INDEX if base.is_dir() else base)
            yield from index.needs()
            yield from (digest for digest, _, _ in index.blobs())
        if inventory is not None:
            yield from _inventoried(inventory)
    except OSError as error:
        option = "--since" if base is not None else "--inventory"
        raise UsageError(f"{option}: {error.filename}: {error.strerror}") from error
    except DocumentError as error:
        raise UsageError(f"--since: {error}") from error


def inventory_lines(blobs: Iterable[tuple[Sha256, int]]) -> Iterator[str]:
    """An inventory of blobs, with their bytes, for people and for exports."""
    yield INVENTORY
    yield from (str(digest) for digest, _ in blobs)


def inventory_json(target: str, blobs: Iterable[tuple[Sha256, int]]) -> Iterator[str]:
    """The same as JSON, line by line: nobody holds all of it."""
    yield f'{{"format":{_FORMAT},"target":{json.dumps(target)},"blobs":['
    before = ""
    for digest, size in blobs:
        if before:
            yield f"{before},"
        before = f'["{digest}",{size}]'
    if before:
        yield before
    yield "]}"


def _inventoried(path: Path) -> Iterator[Sha256]:
    """Of either form. One that is cut short has less, so that more is exported than must be; of JSON that is told."""
    with path.open(encoding="ascii", errors="replace") as file:
        first = file.readline(_LONGEST_LINE).rstrip("\n")
        shape = _INVENTORY_JSON.fullmatch(first)
        if first != INVENTORY and (shape is None or int(shape[1]) != _FORMAT):
            raise UsageError(f"--inventory: {path} is not what mirror-sync inventory prints")
        ended = shape is None
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), 2):
            told = line.removesuffix("\n")
            match = re.fullmatch(r"([0-9a-f]{64})", told) if shape is None else _INVENTORY_BLOB.fullmatch(told)
            if match is not None and not (shape and ended):
                yield Sha256(match[1])
            elif told == "]}" and not ended:
                ended = True
            else:
                raise UsageError(f"--inventory: {path}: line {number} is no digest")
        if not ended:
            raise UsageError(f"--inventory: {path} is cut short: print it again")
