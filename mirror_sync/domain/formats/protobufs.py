"""Formats without a magic that are messages of Protocol Buffers: ONNX and SentencePiece, told by their fields.

A field is a number, a wire type and a value (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.formats.ranges import Ranges, Unclear

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST, _MORE = 10, 0x80  # bytes of a varint; the bit that says that another follows
_FIELDS = 200  # of a model that are looked at
_SOME = 64  # bytes: a tag and a length, or two
# the fields of ModelProto in onnx.proto, from ir_version on, and their wire types
_ONNX = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_GRAPH = 7
# sentencepiece_model.proto, SentencePiece: piece, score, type
_PIECE = {1: _LENGTH, 2: _FIXED32, 3: _VARINT}
_PIECES = 8  # that are looked at, at least


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    wire: int
    begin: int  # of its value
    end: int


def protobuf(ranges: Ranges, head: bytes) -> Classified | None:
    """ONNX or SentencePiece; None for what is neither."""
    if head[:1] == b"\x0a" and _is_sentencepiece(ranges.head()):
        return Classified(FileClass.CONTAINER, "SentencePiece")
    if head[:1] in (b"\x08", b"\x3a") and _is_onnx(ranges):
        return Classified(FileClass.CONTAINER, "ONNX")
    return None


def _is_onnx(ranges: Ranges) -> bool:
    """Whether the fields of a model fill the file to its end, a graph and a version among them."""
    place, met = 0, set[int]()
    try:
        for _ in range(_FIELDS):
            if place == ranges.size:
                return {1, _GRAPH} <= met
            chunk = ranges.at(place, min(_SOME, ranges.size - place))
            field = _field(chunk, 0, ranges.size - place)
            if _ONNX.get(field.number) != field.wire:
                return False
            met.add(field.number)
            place += field.end
    except Unclear:
        return False
    return False


def _is_sentencepiece(head: bytes) -> bool:
    """Whether a file begins with pieces, each of a word, a score and perhaps a type."""
    place = seen = 0
    try:
        while seen < _PIECES:
            field = _field(head, place, len(head))
            if (field.number, field.wire) != (1, _LENGTH):
                return False
            inner = {one.number: one.wire for one in _fields(head[field.begin : field.end])}
            if not ({1, 2} <= inner.keys() and inner.items() <= _PIECE.items()):
                return False
            place, seen = field.end, seen + 1
    except Unclear:
        return False
    return True


def _fields(body: bytes) -> Iterator[_Field]:
    place = 0
    while place < len(body):
        field = _field(body, place, len(body))
        yield field
        place = field.end


def _field(body: bytes, place: int, size: int) -> _Field:
    """The field at a place of a message of `size` bytes, of which `body` may be the beginning alone."""
    tag, begin = _varint(body, place)
    number, wire = tag >> 3, tag & 7
    if wire == _VARINT:
        _, end = _varint(body, begin)
    elif wire == _LENGTH:
        length, begin = _varint(body, begin)
        end = begin + length
    elif wire in (_FIXED32, _FIXED64):
        end = begin + (4 if wire == _FIXED32 else 8)
    else:
        raise Unclear("a wire type that is none")
    if not number or end > size:
        raise Unclear("a field beyond the end")
    return _Field(number, wire, begin, end)


def _varint(body: bytes, place: int) -> tuple[int, int]:
    found = shift = 0
    for at in range(place, min(place + _LONGEST, len(body))):
        found |= (body[at] & ~_MORE) << shift
        shift += 7
        if not body[at] & _MORE:
            return found, at + 1
    raise Unclear("a number without an end")
