"""Formats that say by their first bytes what they are, and which of them are believed only after a second look.

Each recogniser gives a class and a word, or None for what it does not know. Sources: the formats' own descriptions
(safetensors' README, NEP 1 for npy, Apache Parquet and Arrow, the registers of RIFF and of ISO base media).
"""

from __future__ import annotations

import ast
import json
import re
import struct
from typing import Any

from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.formats.ranges import Ranges, Unclear

_NPY_HEADER = 10_000  # bytes, as numpy's own bound
_SAFETENSORS_HEADER = 16 * 1024 * 1024  # bytes; safetensors itself reads up to 100 MB, which no honest file has
_ARROW_SCHEMA = 16 * 1024 * 1024  # bytes
_PLAIN_TYPE = re.compile(r"[<>|=]?(?:[biufc]\d{1,2}|\?|b1|[SUVa]\d*|[mM]8(?:\[[0-9A-Za-z]{1,8}\])?)")
_LITERAL = re.compile(rb"[\w\s'\"|<>=?,:()\[\]{}.-]*", re.ASCII)
_NESTED = 32
_LAMBDA = re.compile(rb'"class_name"\s*:\s*"(?:Lambda|__lambda__)"')

_EXECUTABLES = (
    (b"\x7fELF", "ELF"),
    (b"\xfe\xed\xfa\xce", "Mach-O"),
    (b"\xfe\xed\xfa\xcf", "Mach-O"),
    (b"\xce\xfa\xed\xfe", "Mach-O"),
    (b"\xcf\xfa\xed\xfe", "Mach-O"),
    (b"\xca\xfe\xba\xbe", "Mach-O or Java class"),
    (b"\0asm", "WebAssembly"),
    (b"!<arch>\n", "static library"),
    (b"#!", "script with #!"),
)
_DATA = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"fLaC", "FLAC"),
    (b"OggS", "Ogg"),
    (b"ID3", "MP3"),
    (b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (b"MThd\0\0\0\x06", "MIDI"),
    (b"ARROW1\0\0", "Arrow"),
    (b"\0\0\x01\0", "icon"),
)
_CONTAINERS = (
    (b"GGUF", "GGUF"),
    *((magic, "GGML") for magic in (b"lmgg", b"tjgg", b"fmgg", b"algg")),
    (b"%PDF-", "PDF"),
    (b"SQLite format 3\0", "SQLite"),
    (b"Obj\x01", "Avro"),
    (b"ORC", "ORC"),
    (b"FEA1", "Feather"),
)
_RIFF = {b"WAVE": "WAV", b"WEBP": "WebP", b"AVI ": "AVI"}
_FORM = {b"AIFF": "AIFF", b"AIFC": "AIFF"}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MPEG = (b"\xfb", b"\xfa", b"\xf3", b"\xf2")  # after FF: MPEG 1 and 2, layer III
_DOS_HEADER, _NPY_LEAST, _PARQUET_LEAST, _MESSAGE, _BMP_LEAST, _FRAME = 64, 12, 12, 16, 18, 4  # bytes


def executable(ranges: Ranges, head: bytes) -> Classified | None:
    """What a system runs."""
    for magic, what in _EXECUTABLES:
        if head.startswith(magic):
            return Classified(FileClass.EXECUTABLE, what)
    if head[:2] == b"MZ" and len(head) >= _DOS_HEADER:
        (place,) = struct.unpack_from("<I", head, 0x3C)
        if place + 4 <= ranges.size and ranges.at(place, 4) == b"PE\0\0":
            return Classified(FileClass.EXECUTABLE, "PE")
    return None


def by_magic(ranges: Ranges, head: bytes) -> Classified | None:
    """What the first bytes tell."""
    for kind, table in ((FileClass.DATA, _DATA), (FileClass.CONTAINER, _CONTAINERS)):
        for magic, what in table:
            if head.startswith(magic):
                return Classified(kind, what)
    if head.startswith(_HDF5):
        return _hdf5(ranges)
    if head.startswith(b"\x93NUMPY"):
        return npy(head, ranges)
    return _columns(ranges, head) or _media(ranges, head)


def safetensors(ranges: Ranges, head: bytes) -> Classified | None:
    """A header of JSON whose tensors lie side by side and fill the file to its end, as the format asks."""
    if head[8:9] != b"{":
        return None
    (length,) = struct.unpack_from("<Q", head)
    if length > min(_SAFETENSORS_HEADER, ranges.size - 8):
        return None
    try:
        header = json.loads(ranges.at(8, length))
        ends = [_tensor(name, entry) for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    place = 0
    for start, stop in sorted(ends):
        if start != place or stop < start:
            return None
        place = stop
    return Classified(FileClass.DATA, "safetensors") if place == ranges.size - 8 - length else None


def _tensor(name: str, entry: Any) -> tuple[int, int]:
    """Where its bytes begin and end; KeyError, TypeError or ValueError for what is none."""
    start, stop = entry["data_offsets"]
    if not (isinstance(entry["dtype"], str) and isinstance(entry["shape"], list)):
        raise TypeError(name)
    return int(start), int(stop)


def npy(head: bytes, ranges: Ranges | None = None) -> Classified | None:
    """A numpy array, by the head of its file; one of objects is a pickle. Unclear where the head ends too early."""
    if not head.startswith(b"\x93NUMPY") or len(head) < _NPY_LEAST:
        return None
    wide = head[6] > 1
    (length,) = struct.unpack_from("<I" if wide else "<H", head, 8)
    begin = 12 if wide else 10
    if length > _NPY_HEADER:
        raise Unclear("an npy header of more than 10,000 bytes")
    body = head[begin : begin + length]
    if len(body) < length:
        if ranges is None:
            raise Unclear("an npy header that ends too early")
        body = ranges.at(begin, length)
    return _of_type(_literal(body))


def _literal(body: bytes) -> Any:
    """The header's dictionary, of plain words alone."""
    depth = deepest = 0
    for char in body:
        depth += (char in b"([{") - (char in b")]}")
        deepest = max(deepest, depth)
    if deepest > _NESTED or not _LITERAL.fullmatch(body):
        raise Unclear("an npy header of a strange shape")
    try:
        return ast.literal_eval(body.decode("latin-1").strip())["descr"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise Unclear("an npy header that cannot be read") from error


def _of_type(descr: Any) -> Classified:
    words = list(_types(descr))
    if all(map(_PLAIN_TYPE.fullmatch, words)):
        return Classified(FileClass.DATA, "npy")
    if any("O" in word or "object" in word for word in words):
        return Classified(FileClass.PICKLE, "npy of objects")
    raise Unclear("an npy of a strange type")


def _types(descr: Any) -> list[str]:
    """The words of all types, of fields within fields, too."""
    if isinstance(descr, str):
        return [descr]
    if isinstance(descr, list):
        return [word for field in descr for word in _types(field[1])] if all(map(_is_field, descr)) else ["?!"]
    if isinstance(descr, tuple) and descr:  # a type and its shape
        return _types(descr[0])
    return ["?!"]


def _is_field(field: Any) -> bool:
    return isinstance(field, tuple) and len(field) in (2, 3)


def _hdf5(ranges: Ranges) -> Classified:
    """Keras keeps the description of its layers near the beginning, as JSON; further in nobody looks."""
    if _LAMBDA.search(ranges.head()):
        return Classified(FileClass.CODE, "HDF5 of Keras with a Lambda")
    return Classified(FileClass.CONTAINER, "HDF5")


def _columns(ranges: Ranges, head: bytes) -> Classified | None:
    """Parquet, which has its magic at both ends, and streams of Arrow, whose first message says how long it is."""
    if head.startswith(b"PAR1"):
        whole = ranges.size >= _PARQUET_LEAST and ranges.tail(4) == b"PAR1"
        return Classified(FileClass.DATA, "Parquet") if whole else None
    if head.startswith(b"\xff\xff\xff\xff") and len(head) >= _MESSAGE:
        length, root = struct.unpack_from("<iI", head, 4)
        if 0 < length <= min(_ARROW_SCHEMA, ranges.size - 8) and length % 8 == 0 and root in range(4, length):
            return Classified(FileClass.DATA, "stream of Arrow")
    return None


def _media(ranges: Ranges, head: bytes) -> Classified | None:
    what = None
    if head[:4] == b"RIFF":
        what = _RIFF.get(head[8:12])
    elif head[:4] == b"FORM":
        what = _FORM.get(head[8:12])
    elif head[4:8] == b"ftyp" and head[:2] == b"\0\0":
        what = "MP4 or HEIF"
    elif head[:2] == b"BM" and len(head) >= _BMP_LEAST:
        what = "BMP" if struct.unpack_from("<I", head, 2)[0] == ranges.size else None
    elif head[:1] == b"\xff" and head[1:2] in _MPEG and len(head) > _FRAME:
        what = "MP3" if head[2] >> 4 not in (0, 15) else None
    return None if what is None else Classified(FileClass.DATA, what)
