"""What lies in a zip, by its directory: torch's files and TorchScript, npz, Keras, and any archive by its names.

Read in pieces and never unpacked. Source of the layout: PKWARE's APPNOTE.TXT, 6.3.10, chapters 4.3 and 4.5. A directory
that two readers could understand differently is not believed.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mirror_sync.domain.formats.file_class import Classified, FileClass, by_name, worse
from mirror_sync.domain.formats.magic import npy
from mirror_sync.domain.formats.ranges import Ranges, Unclear

MOST_DIRECTORY = 16 * 1024 * 1024  # bytes
_MOST_ENTRIES = 400_000
_CHUNK = 256 * 1024  # bytes of a directory that are held at once
_END, _END_SIZE, _MOST_COMMENT = b"PK\x05\x06", 22, 0xFFFF
_END64, _LOCATOR = b"PK\x06\x06", b"PK\x06\x07"
_END64_SIZE, _LOCATOR_SIZE = 56, 20
_ENTRY, _ENTRY_SIZE = b"PK\x01\x02", 46
_LOCAL_SIZE = 30
_FULL, _FULL2 = 0xFFFFFFFF, 0xFFFF
_STORED, _DEFLATED = 0, 8
_MOST_CONFIG = 4 * 1024 * 1024  # bytes of a description of layers
_MOST_ARRAYS = 200  # of an npz, each of which is looked at
_ARRAY_HEAD = 1024  # bytes
_OURS = ("keras", "keras_core", "keras_hub", "keras_nlp", "keras_cv", "tensorflow", "tf_keras")


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of the directory; sizes in bytes, `offset` that of its local header."""

    name: str
    method: int
    packed: int
    size: int
    offset: int


def zip_file(ranges: Ranges) -> Classified | None:
    """The worst that lies in a zip; None for what has no directory of one. Raises Unclear."""
    place = _end(ranges)
    if place is None:
        return None
    found, arrays = Classified(FileClass.CONTAINER, "zip"), list[Member]()
    config, scripted, others = None, False, False
    for member in _members(ranges, place):
        name = member.name.rpartition("/")[2]
        found = worse(found, _by_its_name(member.name))
        scripted = scripted or name == "constants.pkl" or "/code/__torch__" in f"/{member.name}"
        config = member if member.name == "config.json" else config
        if name.endswith(".npy"):
            arrays.append(member)
        elif not member.name.endswith("/"):
            others = True
        if len(arrays) > _MOST_ARRAYS:
            raise Unclear(f"a zip of more than {_MOST_ARRAYS} arrays")
    if scripted:
        found = worse(Classified(FileClass.CODE, "TorchScript"), found)
    if config is not None:
        found = worse(found, _keras(ranges, config))
    for member in arrays:
        found = worse(found, _array(ranges, member))
    return Classified(found.of, "npz") if arrays and not others and found.what == "zip" else found


def _by_its_name(name: str) -> Classified:
    if name.rpartition("/")[2] == "data.pkl":
        return Classified(FileClass.PICKLE, "torch zip")
    return Classified(by_name(name) or FileClass.CONTAINER, f"zip with {_suffix(name)}")


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2]}"[:12]


def _array(ranges: Ranges, member: Member) -> Classified:
    """A plain array in a zip is no data for that: the zip is a container."""
    found = npy(_unpacked(ranges, member, _ARRAY_HEAD))
    if found is None:
        raise Unclear("a .npy in a zip that is none")
    return (
        Classified(FileClass.CONTAINER, "zip") if found.of is FileClass.DATA else Classified(found.of, "npz of objects")
    )


def _keras(ranges: Ranges, member: Member) -> Classified:
    """A model of Keras runs what its description says of a Lambda, or of modules that are not Keras's own."""
    if member.size > _MOST_CONFIG:
        raise Unclear("a config.json of more than 4 MiB")
    try:
        config = json.loads(_unpacked(ranges, member, member.size + 1))
    except (ValueError, RecursionError) as error:
        raise Unclear("a config.json in a zip that cannot be read") from error
    if any(map(_is_code, _objects(config))):
        return Classified(FileClass.CODE, "Keras with code")
    return Classified(FileClass.CONTAINER, "zip")


def _is_code(layer: dict[str, Any]) -> bool:
    name, module = layer.get("class_name"), layer.get("module")
    foreign = isinstance(module, str) and module.partition(".")[0] not in _OURS
    return name in ("Lambda", "__lambda__", "function") or (isinstance(name, str) and foreign)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All objects within a JSON document, itself included; without recursion."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)


def _end(ranges: Ranges) -> int | None:
    """Where the directory's end record begins. Where there is a comment, only one place may look like it."""
    if ranges.size < _END_SIZE:
        return None
    if ranges.tail(_END_SIZE)[:4] == _END and ranges.tail(2) == b"\0\0":
        return ranges.size - _END_SIZE
    tail = ranges.tail(_END_SIZE + _MOST_COMMENT)
    if tail.count(_END) > 1:
        raise Unclear("a zip with more than one directory")
    place = tail.find(_END)
    return None if place < 0 or len(tail) - place < _END_SIZE else ranges.size - len(tail) + place


def _members(ranges: Ranges, end: int) -> Iterator[Member]:
    size, offset, before, count = _directory(ranges, end)
    if size > MOST_DIRECTORY or count > _MOST_ENTRIES:
        raise Unclear(f"a zip whose directory has {size:,} bytes")
    start = before - size
    shift = start - offset  # what stands before a zip moves all its places, as readers of zips take it
    if start < 0 or shift < 0:
        raise Unclear("a zip whose directory lies elsewhere")
    held, place = b"", start
    for _ in range(count):
        while len(held) < _ENTRY_SIZE or len(held) < _length(held):
            if place >= before:
                raise Unclear("a zip whose directory ends too early")
            more = min(_CHUNK, before - place)
            held, place = held + ranges.at(place, more), place + more
        length = _length(held)
        yield _member(held[:length], shift)
        held = held[length:]
    if held or place != before:
        raise Unclear("a zip with more in its directory than it says")


def _directory(ranges: Ranges, end: int) -> tuple[int, int, int, int]:
    """Its size, the offset that it says, where it ends, and how many entries it has."""
    record = ranges.at(end, _END_SIZE)
    count, size, offset = struct.unpack_from("<HII", record, 10)
    locator = ranges.at(end - _LOCATOR_SIZE, _LOCATOR_SIZE) if end >= _LOCATOR_SIZE else b""
    if locator[:4] != _LOCATOR:
        if _FULL in (size, offset) or count == _FULL2:
            raise Unclear("a zip64 without its record")
        return size, offset, end, count
    (where,) = struct.unpack_from("<Q", locator, 8)
    at = end - _LOCATOR_SIZE - _END64_SIZE  # with nothing before the zip both are the same
    record64 = ranges.at(at, _END64_SIZE)
    if record64[:4] != _END64 or where > at:
        raise Unclear("a zip64 without its record")
    count, size, offset = struct.unpack_from("<QQQ", record64, 32)
    return size, offset, at, count


def _length(held: bytes) -> int:
    if held[:4] != _ENTRY:
        raise Unclear("a zip with something else in its directory")
    name, extra, comment = struct.unpack_from("<HHH", held, 28)
    return _ENTRY_SIZE + int(name) + int(extra) + int(comment)


def _member(entry: bytes, shift: int) -> Member:
    (method,) = struct.unpack_from("<H", entry, 10)
    packed, size, name_length, extra_length = struct.unpack_from("<IIHH", entry, 20)
    (offset,) = struct.unpack_from("<I", entry, 42)
    name = entry[_ENTRY_SIZE : _ENTRY_SIZE + name_length]
    extra = entry[_ENTRY_SIZE + name_length :][:extra_length]
    size, packed, offset = _wide(extra, (size, packed, offset))
    return Member(name.decode(errors="replace"), method, packed, size, offset + shift)


def _wide(extra: bytes, narrow: tuple[int, int, int]) -> list[int]:
    """Size, packed size and offset as zip64 says them, each only where the plain field is full."""
    place, found = 0, list(narrow)
    while place + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, place)
        if tag == 1:
            values = [int.from_bytes(extra[at : at + 8], "little") for at in range(place + 4, place + 4 + length, 8)]
            for at, value in enumerate(found):
                if value == _FULL and values:
                    found[at] = values.pop(0)
            break
        place += 4 + length
    return found


def _unpacked(ranges: Ranges, member: Member, most: int) -> bytes:
    """The first bytes of a member, at most so many."""
    local = ranges.at(member.offset, _LOCAL_SIZE)
    if local[:4] != b"PK\x03\x04":
        raise Unclear("a zip with no member where its directory says")
    name, extra = struct.unpack_from("<HH", local, 26)
    begin = member.offset + _LOCAL_SIZE + name + extra
    body = ranges.at(begin, min(member.packed, most if member.method == _STORED else most + 1024))
    if member.method == _STORED:
        return body
    if member.method != _DEFLATED:
        raise Unclear(f"a zip with method {member.method}")
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, most)
    except zlib.error as error:
        raise Unclear("a member of a zip that cannot be unpacked") from error
