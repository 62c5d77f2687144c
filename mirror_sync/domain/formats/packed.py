"""Compressed streams and tars: what is looked at is the beginning of a stream, and the members of a tar by their names.

No more is unpacked than a head, however small the stream that would unpack to more.
"""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zlib
from collections.abc import Callable
from typing import IO, cast

from mirror_sync.domain.formats.file_class import Classified, FileClass, by_name, worse
from mirror_sync.domain.formats.ranges import HEAD, RangeFile, Ranges, Unclear

_MEMORY = 80 * 1024 * 1024  # bytes that a stream of xz may take to be unpacked: preset 9 takes 65 MiB
_USTAR = 257
_MOST_MEMBERS = 1000
_LOADED = ("pickle",)  # members by which torch knows its first format


def _zlib(wbits: int) -> Callable[[bytes], tuple[bytes, bool]]:
    def unpack(body: bytes) -> tuple[bytes, bool]:
        stream = zlib.decompressobj(wbits)
        return stream.decompress(body, HEAD), stream.eof

    return unpack


def _bz2(body: bytes) -> tuple[bytes, bool]:
    stream = bz2.BZ2Decompressor()
    return stream.decompress(body, HEAD), stream.eof


def _lzma(body: bytes) -> tuple[bytes, bool]:
    stream = lzma.LZMADecompressor(lzma.FORMAT_AUTO, _MEMORY)
    return stream.decompress(body, HEAD), stream.eof


_STREAMS: tuple[tuple[bytes, str, Callable[[bytes], tuple[bytes, bool]]], ...] = (
    (b"\x1f\x8b\x08", "gzip", _zlib(31)),
    (b"BZh", "bzip2", _bz2),
    (b"\xfd7zXZ\0", "xz", _lzma),
    (b"]\0\0", "lzma", _lzma),
    *((bytes((0x78, flags)), "zlib", _zlib(15)) for flags in (0x01, 0x5E, 0x9C, 0xDA)),
)
_CLOSED = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x04\x22\x4d\x18", "lz4"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "rar"))


def unpacked(ranges: Ranges, head: bytes) -> tuple[str, bytes, bool] | None:
    """Of a compressed stream: its kind, the first bytes that are in it, and whether these are all. None for no stream.

    Raises Unclear for kinds that cannot be looked into.
    """
    for magic, what in _CLOSED:
        if head.startswith(magic):
            raise Unclear(f"{what}, which cannot be looked into")
    for magic, what, unpack in _STREAMS:
        if head.startswith(magic):
            try:
                body, ended = unpack(ranges.head())
            except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError, MemoryError):
                continue
            if body or ended:
                return what, body, ended
    return None


def is_tar(head: bytes) -> bool:
    """Whether a file begins as a tar of POSIX or GNU does."""
    return head[_USTAR : _USTAR + 5] == b"ustar"


def tar_file(ranges: Ranges) -> Classified:
    """The worst that lies in a tar, by the names of its members. Unclear for one that is not whole, or too long."""
    found, count = Classified(FileClass.CONTAINER, "tar"), 0
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", RangeFile(ranges)), mode="r:") as tar:
            while (member := tar.next()) is not None:
                count += 1
                if count > _MOST_MEMBERS:
                    raise Unclear(f"a tar of more than {_MOST_MEMBERS:,} members")
                found = worse(found, _member(member.name))
    except (tarfile.TarError, UnicodeError, OverflowError, EOFError) as error:
        raise Unclear("a tar that is not whole") from error
    return found


def _member(name: str) -> Classified:
    if name in _LOADED:
        return Classified(FileClass.PICKLE, "torch tar")
    return Classified(by_name(name) or FileClass.CONTAINER, f"tar with .{name.rpartition('.')[2]:.11}")
