"""Whether bytes are a pickle, by the opcodes of Python's `pickletools`: walked, within bounds, and never carried out.

Protocols 2 and later begin with `80 02` and so on; 0 and 1 have no magic, and look like text or like nothing.
"""

from __future__ import annotations

import io
import pickletools
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_LONG = 16  # opcodes in order, after which bytes that no end was seen of are a pickle: text gets no further
_MOST = 20_000  # opcodes that are looked at
_NAME = re.compile(r"[^\W\d][\w.]*", re.ASCII)
_CALLS = frozenset({"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "EXT1", "EXT2", "EXT4"})
_NAMED = frozenset({"GLOBAL", "INST"})
_PROTO = 0x80
_PROTOCOLS = range(6)


class PickleSign(Enum):
    """How far bytes go as a pickle."""

    NOT = "no pickle"
    CALLS = "something is called before anything is wrong"
    WHOLE = "to STOP"
    LONG = "well on the way at the end of what is looked at"
    LINE = "in a text of one line at the end of what is looked at, as any words may be that begin as one"


@dataclass(frozen=True, slots=True)
class OpcodeWalk:
    """What a walk found; `end` is the place after STOP."""

    found: PickleSign
    end: int = 0


def has_magic(head: bytes) -> bool:
    """Whether bytes begin as a pickle of protocol 2 or later does."""
    return len(head) > 1 and head[0] == _PROTO and head[1] in _PROTOCOLS


def walk(head: bytes, *, whole: bool) -> OpcodeWalk:
    """Go through the opcodes at the beginning of a file; `whole`: there is no more of it."""
    stack, count = _Stack(), 0
    try:
        for opcode, arg, place in pickletools.genops(_HeadStream(head, whole=whole)):
            stack.take(opcode, arg)
            count += 1
            if opcode.name in _CALLS:
                return OpcodeWalk(PickleSign.CALLS)
            if opcode.name == "STOP":
                return OpcodeWalk(PickleSign.WHOLE, (place or 0) + 1)
            if count >= _MOST:
                return OpcodeWalk(PickleSign.LONG)
    except _Beyond as beyond:
        return OpcodeWalk(PickleSign.LONG if count >= _LONG else beyond.sign)
    except (ValueError, IndexError, KeyError, OverflowError, RecursionError):
        return OpcodeWalk(PickleSign.NOT)
    return OpcodeWalk(PickleSign.NOT)


class _Beyond(Exception):
    """What is asked for lies beyond the head of a longer file."""

    sign = PickleSign.NOT


class _BeyondLine(_Beyond):
    """What is asked for is the rest of a text of protocol 0, which may have any letters and any length."""

    sign = PickleSign.LINE


class _HeadStream(io.BytesIO):
    """The head of a file."""

    def __init__(self, head: bytes, *, whole: bool) -> None:
        super().__init__(head)
        self._whole, self._size = whole, len(head)

    def read(self, size: int | None = -1) -> bytes:
        body = super().read(size)
        if not self._whole and size is not None and len(body) < size:
            raise _Beyond
        return body

    def readline(self, size: int | None = -1) -> bytes:
        opcode = bytes(self.getbuffer()[self.tell() - 1 : self.tell()])
        line = super().readline(size)
        if not self._whole and not line.endswith(b"\n"):
            raise _BeyondLine if opcode == b"V" or (opcode == b"S" and line[:1] in (b"'", b'"')) else _Beyond
        return line


@dataclass(slots=True)
class _Stack:
    """What an unpickler would have on its stack: marks, and other things that are not told apart."""

    marks: list[int] = field(default_factory=list)
    depth: int = 0

    def take(self, opcode: Any, arg: object) -> None:
        """The effect of an opcode; ValueError where an unpickler would stop in the midst."""
        name = opcode.name
        if name in _NAMED and not all(map(_NAME.fullmatch, str(arg).split(" "))):
            raise ValueError("a name that no module has")
        if name == "PROTO" and arg not in _PROTOCOLS:
            raise ValueError("no protocol")
        if name == "MARK":
            self.marks.append(self.depth)
        elif name in ("STOP", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "PROTO", "FRAME"):
            self._need(0 if name in ("PROTO", "FRAME") else 1)
        else:
            self._change(opcode)

    def _change(self, opcode: Any) -> None:
        before, after = opcode.stack_before, opcode.stack_after
        if pickletools.markobject in before:
            if not self.marks:
                raise ValueError("no mark")
            below = before.index(pickletools.markobject)
            self.depth = self.marks.pop()
            self._drop(below)
        elif opcode.name == "POP" and self.marks and self.marks[-1] == self.depth:
            self.marks.pop()
            return
        else:
            self._drop(len(before))
        self.depth += len(after)

    def _drop(self, count: int) -> None:
        self._need(count)
        self.depth -= count

    def _need(self, count: int) -> None:
        floor = self.marks[-1] if self.marks else 0
        if self.depth - floor < count:
            raise ValueError("an empty stack")
