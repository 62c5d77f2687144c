"""Files as layers of an image: what stands in a tar archive around the bytes of each, and which files are a layer.

The layout is a law: digests of layers are made of it, and two mirrors of one commit have the same. An entry for each
folder before the first file in it, then for each file, in the order of paths, a header, its bytes and zeros up to 512;
1,024 zeros at the end. Mode 0644, or 0755 for folders, nobody's name, ids and times of 0. A path that is not ASCII or
has more than 100 bytes, and a size of 8 GiB or more, stand in a header of PAX before that of ustar.

Sources: pax in POSIX.1-2017, "ustar Interchange Format" and "pax Extended Header"; image-spec 1.1 of OCI, layer.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.domain.digest import Sha256

BLOCK = 512  # bytes
_END = bytes(2 * BLOCK)
_LONGEST_NAME = 100  # bytes, in a header of ustar
_LARGEST = 0o77777777777  # bytes of a file, in such a header
_FILE, _FOLDER, _EXTENDED = b"0", b"5", b"x"
_EXTENDED_NAME = "././@PaxHeader"
_SMALLEST_LAYER = 64 << 20  # bytes up to which files are put together,
_PARTS = 50  # or up to a part of all of them: then there are twice as many layers at the most, and one
_WHITEOUT = ".wh."  # a name with this in front deletes another one, in a layer


class LayerFile(NamedTuple):
    """A file of a layer; `size` in bytes."""

    path: str
    sha256: Sha256
    size: int


Layer = tuple[LayerFile, ...]
Piece = bytes | LayerFile
"""What a layer is made of: bytes, or all those of a file."""


def cut_layers(files: Iterable[MirroredFile]) -> list[Layer]:
    """The layers of a snapshot, in the order of paths: few enough to be mounted, and of about one size.

    None for one with a name that a layer cannot have.
    """
    every = sorted((LayerFile(file.path, file.sha256, file.size) for file in files), key=lambda file: file.path)
    if not all(may_be_layered(file.path) for file in every):
        return []
    most, made, size = _largest(sum(file.size for file in every)), list[list[LayerFile]](), 0
    for file in every:
        if not made or size + file.size > most:
            made.append([])
            size = 0
        made[-1].append(file)
        size += file.size
    return [tuple(one) for one in made]


def may_be_layered(path: str) -> bool:
    """Whether a file of that path can be in a layer."""
    return not any(part.startswith(_WHITEOUT) for part in path.split("/"))


def _largest(size: int) -> int:
    """Bytes of files in one layer, beside a file that is larger: a power of two, so that it seldom changes."""
    most = _SMALLEST_LAYER
    while most * _PARTS < size:
        most *= 2
    return most


def pieces_of(layer: Sequence[LayerFile]) -> Iterator[Piece]:
    """All of its bytes, in their order."""
    known = set[str]()
    for file in layer:
        for folder in _folders(file.path):
            if folder not in known:
                known.add(folder)
                yield _entry(f"{folder}/", 0, _FOLDER)
        yield _entry(file.path, file.size, _FILE)
        if file.size:
            yield file
        if file.size % BLOCK:
            yield bytes(-file.size % BLOCK)
    yield _END


def size_of(layer: Sequence[LayerFile]) -> int:
    """In bytes, of the layer as it is pulled."""
    return sum(piece.size if isinstance(piece, LayerFile) else len(piece) for piece in pieces_of(layer))


def between(pieces: Iterable[Piece], start: int, stop: int) -> Iterator[tuple[Piece, int, int]]:
    """Of each piece that bytes [start, stop) of a layer touch: which of its own bytes these are."""
    at = 0
    for piece in pieces:
        length = piece.size if isinstance(piece, LayerFile) else len(piece)
        first, last = max(start - at, 0), min(stop - at, length)
        if first < last:
            yield piece, first, last
        at += length
        if at >= stop:
            return


def _folders(path: str) -> Iterator[str]:
    """Those that it lies in, the outermost first."""
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _entry(name: str, size: int, kind: bytes) -> bytes:
    """A header, with one of PAX before it where it cannot say everything."""
    records = b""
    if not name.isascii() or len(name) > _LONGEST_NAME:
        records += _record("path", name)
    if size > _LARGEST:
        records += _record("size", str(size))
    plain = _header(name, size if size <= _LARGEST else 0, kind)
    if not records:
        return plain
    return _header(_EXTENDED_NAME, len(records), _EXTENDED) + records + bytes(-len(records) % BLOCK) + plain


def _record(key: str, value: str) -> bytes:
    """`LENGTH key=value` and a line feed; its length counts its own digits, too."""
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _header(name: str, size: int, kind: bytes) -> bytes:
    mode = 0o755 if kind == _FOLDER else 0o644
    fields = (
        name.encode("ascii", "replace")[:_LONGEST_NAME].ljust(_LONGEST_NAME, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,  # the owner,
        b"%07o\0" % 0,  # and the group
        b"%011o\0" % size,
        b"%011o\0" % 0,  # when it changed
        b" " * 8,  # the sum, while it is counted
        kind,
        bytes(100),  # what is linked
        b"ustar\x0000",
        bytes(64),  # names of the owner and the group
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        bytes(167),
    )
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]
