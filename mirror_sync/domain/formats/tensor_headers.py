"""What the header of a file of weights says of its tensors: how many, of which types, their names and shapes.

No weight is read. safetensors: 8 bytes of length (little-endian), then so many bytes of JSON (README of
huggingface/safetensors, format). GGUF: versions 2 and 3, little-endian, as docs/gguf.md of ggml has it.
What is not as these say, or would take more than a bound, is Unclear: a figure that may be wrong is none.
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Any

from mirror_sync.domain.bounds import short
from mirror_sync.domain.formats.ranges import Ranges, Read, Unclear

FIRST_SHOWN = 40  # tensors of a file that are named
MOST_BYTES = (16 * 1024 * 1024, 64)  # of a file, and in how many reads
_LONGEST_HEADER = 4 * 1024 * 1024  # of safetensors: that of a file of 20,000 tensors has 2 MB
_MOST_TENSORS = 65_536  # of a file
_MOST_VALUES = 8 * _MOST_TENSORS  # of that JSON: a tensor has 8 to 11, and 90 bytes
_MOST_FACTS, _MOST_ITEMS = 10_000, 2_000_000  # of a GGUF header, and of all its lists: a vocabulary has 500,000
_MOST_DIMENSIONS = 16
_MOST_PARAMETERS = 2**53  # of a file: what JavaScript still counts
_LONGEST_NAME = 512  # bytes
_NAME_SHOWN = 120  # characters
_DTYPE = re.compile(r"[A-Z][A-Z0-9_]{0,15}", re.ASCII)
_CHUNK = 512 * 1024
_SAFETENSORS, _GGUF = ".safetensors", ".gguf"
# The widths of values by their GGUF type; 8 is a text, 9 a list.
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _LIST = 8, 9
_GGML = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """`dtype` is a word of the format; `shape` as the file has it."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A file of weights: how many tensors and elements, elements by type, the most first, and its first tensors.

    `names` is the sum of the numbers of their names, `size` the bytes that they take, 0 where the format does not say.
    """

    tensors: int = 0
    parameters: int = 0
    dtypes: tuple[tuple[str, int], ...] = ()
    first: tuple[Tensor, ...] = ()
    names: int = 0
    size: int = 0

    def encode(self) -> bytes:
        """As JSON, for `decode`."""
        first = [[one.name, one.dtype, one.shape] for one in self.first]
        return json.dumps([self.tensors, self.parameters, self.dtypes, first, self.names, self.size]).encode()

    @classmethod
    def decode(cls, body: bytes) -> TensorFile:
        """ValueError, TypeError for anything else."""
        tensors, parameters, dtypes, first, names, size = json.loads(body)
        return cls(
            int(tensors),
            int(parameters),
            tuple((str(dtype), int(count)) for dtype, count in dtypes),
            tuple(Tensor(str(name), str(dtype), tuple(map(int, shape))) for name, dtype, shape in first),
            int(names),
            int(size),
        )


def name_number(name: str) -> int:
    """A number for the name of a tensor. Sums of them tell sets of names apart, in whatever order these come."""
    return int.from_bytes(sha256(name.encode(errors="replace")).digest()[:12], "big")


def is_weights(path: str) -> bool:
    """Whether a file has a header that can be read here, as its name tells."""
    return path.endswith((_SAFETENSORS, _GGUF))


def tensors_of(path: str, size: int, read: Read) -> TensorFile:
    """Of a file of `size` bytes. Unclear for what is not as it should be; what `read` raises is raised."""
    ranges = Ranges(size, read, MOST_BYTES)
    try:
        return _summed(_safetensors(ranges) if path.endswith(_SAFETENSORS) else _gguf(ranges))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error, OverflowError) as error:
        if ranges.failed is not None:
            raise
        raise Unclear(f"no header of tensors: {short(str(error), 120)}") from error


@dataclass(frozen=True, slots=True)
class _FoundTensor:
    """A tensor of a header: its whole name, the bytes that it takes, and what is shown of it."""

    name: str
    size: int
    shown: Tensor


def _summed(found: Iterable[_FoundTensor]) -> TensorFile:
    dtypes: Counter[str] = Counter()
    first: list[Tensor] = []
    count = total = names = size = 0
    for one in found:
        elements = prod(one.shown.shape)
        count, total, size = count + 1, total + elements, size + one.size
        names += name_number(one.name)
        if count > _MOST_TENSORS or total > _MOST_PARAMETERS:
            raise Unclear("more tensors than a file may have")
        dtypes[one.shown.dtype] += elements
        if len(first) < FIRST_SHOWN:
            first.append(one.shown)
    return TensorFile(count, total, tuple(dtypes.most_common(20)), tuple(first), names, size)


def _safetensors(ranges: Ranges) -> Iterator[_FoundTensor]:
    (length,) = struct.unpack("<Q", ranges.head()[:8])
    if not length <= min(_LONGEST_HEADER, ranges.size - 8):
        raise Unclear(f"a header of {length} bytes")
    body = ranges.at(8, length)
    if sum(map(body.count, (b"{", b"[", b","))) > _MOST_VALUES:  # small values take the most memory of all
        raise Unclear("more values than tensors have")
    known = json.loads(body)
    if not isinstance(known, dict):
        raise Unclear("no JSON object")
    for name, said in known.items():
        if name != "__metadata__":
            begin, end = said["data_offsets"]
            if not 0 <= _whole(begin) <= _whole(end) <= ranges.size - 8 - length:
                raise Unclear("a tensor that lies outside")
            yield _FoundTensor(name, end - begin, _tensor(name, said["dtype"], said["shape"]))


def _tensor(name: str, dtype: Any, shape: Any) -> Tensor:
    if not (isinstance(dtype, str) and _DTYPE.fullmatch(dtype) and isinstance(shape, list)):
        raise Unclear("a tensor without type or shape")
    if len(shape) > _MOST_DIMENSIONS:
        raise Unclear("a tensor of too many dimensions")
    return Tensor(_shown(name), dtype, tuple(map(_whole, shape)))


def _shown(name: str) -> str:
    return short(name, _NAME_SHOWN).encode(errors="replace").decode()


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_PARAMETERS:
        raise Unclear("no size")
    return value


class _Cursor:
    """Reads forward through a file, some at a time; what is skipped is not read."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges, self._at = ranges, 0
        self._kept, self._kept_at = ranges.head(), 0

    def take(self, form: str) -> Any:
        width = struct.calcsize(form)
        self._have(width)
        (value,) = struct.unpack_from(form, self._kept, self._at - self._kept_at)
        self._at += width
        return value

    def text(self) -> str:
        length = self.take("<Q")
        if length > _LONGEST_NAME:
            raise Unclear("a name that is too long")
        self._have(length)
        begin = self._at - self._kept_at
        self._at += length
        return self._kept[begin : begin + length].decode(errors="replace")

    def skip(self, length: int) -> None:
        self._at += length
        if self._at > self._ranges.size:
            raise Unclear("a header that ends before it should")

    def _have(self, length: int) -> None:
        if self._at + length > self._kept_at + len(self._kept) or self._at < self._kept_at:
            wanted = min(max(length, _CHUNK), self._ranges.size - self._at)
            self._kept, self._kept_at = self._ranges.at(self._at, max(wanted, length)), self._at


def _gguf(ranges: Ranges) -> Iterator[_FoundTensor]:
    cursor = _Cursor(ranges)
    if ranges.head(4) != b"GGUF":
        raise Unclear("no GGUF")
    cursor.skip(4)
    if cursor.take("<I") not in (2, 3):
        raise Unclear("a GGUF of another version")
    tensors, facts = cursor.take("<Q"), cursor.take("<Q")
    if tensors > _MOST_TENSORS or facts > _MOST_FACTS:
        raise Unclear("more than a header may hold")
    items = 0
    for _ in range(facts):
        cursor.text()
        items += _skip_value(cursor, cursor.take("<I"), _MOST_ITEMS - items)
    for _ in range(tensors):
        name, dimensions = cursor.text(), cursor.take("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise Unclear("a tensor of too many dimensions")
        shape = tuple(_whole(cursor.take("<Q")) for _ in range(dimensions))
        kind, offset = cursor.take("<I"), cursor.take("<Q")
        if offset > ranges.size:
            raise Unclear("a tensor that lies outside")
        yield _FoundTensor(name, 0, Tensor(_shown(name), _GGML.get(kind) or f"TYPE_{min(kind, 9999)}", shape))


def _skip_value(cursor: _Cursor, kind: int, most: int) -> int:
    """How many texts were passed over: those are read one by one."""
    if kind == _TEXT:
        cursor.skip(cursor.take("<Q"))
        return 1
    if kind != _LIST:
        cursor.skip(_WIDTHS[kind])
        return 0
    of, count = cursor.take("<I"), cursor.take("<Q")
    if of == _LIST or count > most:
        raise Unclear("a list that is too long")
    if of != _TEXT:
        cursor.skip(_WIDTHS[of] * count)
        return 0
    for _ in range(count):
        cursor.skip(cursor.take("<Q"))
    return int(count)
