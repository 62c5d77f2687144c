"""picklescan, file by file and over ranges: a torch file of 2 GiB costs some kilobytes.

Source: picklescan 1.0.5, scanner.py. What it cannot parse it calls clean, an empty file ends its scan of a folder, and
it does not look into compressed streams: so it is asked about one file at a time, and only about what our own look at
the bytes has shown to be a pickle, or to hold one. All else is not scanned.

It keeps every opcode and argument of a pickle until its end, some hundred bytes for a byte of a file, and more where a
zip is packed well. So its opcodes come from here, by `pickletools` all the same, and end where they would be too many.
"""

from __future__ import annotations

import io
import logging
import pickletools
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from importlib.metadata import version
from types import SimpleNamespace
from typing import IO, Any, NoReturn

from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.formats.ranges import RangeFile, Ranges
from mirror_sync.domain.policy.scan_policy import ScannedFile, ScanResult
from mirror_sync.ports.scanner import FileContent

_MOST_BYTES, _MOST_READS = 512 * 1024 * 1024, 20_000
_AHEAD = 64 * 1024  # bytes
HELD = 512 * 1024 * 1024  # bytes that the opcodes of one file may take in memory, about, in all walks over it
_OPCODE, _LETTER = 128, 4  # bytes that an opcode takes, and each letter of its argument, at most
_LONGEST = 128 * 1024 * 1024  # bytes of one argument
_LINE = 1024 * 1024  # bytes of a line
_AT_ONCE = 2  # files
_READ = ("pickle", "torch zip", "TorchScript", "npy of objects", "npz of objects")  # what it can look into
_ARRAY = "npy of objects"
_SHOWN = 3  # globals that a reason names


NAME = "picklescan"
_MISSING = "picklescan is not installed: pip install 'mirror-sync[scan]'"


class PickleScanner:
    """Implements `ports.Scanner`, by the module `scanner` of picklescan; None where it is not installed."""

    name = NAME

    def __init__(self, scanner: Any, version: str, held: int = HELD) -> None:
        self._scanner, self.version, self._held = scanner, version, held
        self._turn = threading.BoundedSemaphore(_AT_ONCE)

    def wants(self, path: str, found: Classified) -> bool:
        return found.of is FileClass.PICKLE or _is_read(found)

    def scan(self, path: str, found: Classified, content: FileContent) -> ScannedFile:
        """A fault of picklescan's is a failed scan."""
        if self._scanner is None:
            return ScannedFile(path, ScanResult.NOT_SCANNED, _MISSING)
        if not _is_read(found):
            return ScannedFile(path, ScanResult.NOT_SCANNED, f"{found.what}: picklescan reads no pickle in it")
        ranges = Ranges(content.size, content.read, (_MOST_BYTES, _MOST_READS))
        suffix = ".npy" if found.what == _ARRAY else _suffix(path)
        left = _Left(self._held)
        try:
            with self._turn:
                _LEFT.set(left)
                said = self._scanner.scan_bytes(RangeFile(ranges, _AHEAD), path, suffix, strict=False)
        except Exception as error:
            if ranges.failed is not None:
                raise ranges.failed from error
            return ScannedFile(path, ScanResult.FAILED, f"{type(error).__name__}: {error}")
        judged = _result(path, said)
        if left.ended and judged.result is not ScanResult.DANGEROUS:
            return ScannedFile(path, ScanResult.FAILED, left.ended)
        return judged


def pickle_scanner(held: int = HELD) -> PickleScanner:
    """By the picklescan that is installed; without one nothing is scanned, and so nothing is clean.

    `held` are the bytes that the opcodes of one file may take in memory, about, in all walks over it.
    """
    try:
        from picklescan import scanner, torch
    except ImportError:
        return PickleScanner(None, "", held)
    logging.getLogger("picklescan").setLevel(logging.CRITICAL)  # its words about a file are in its answer
    scanner.pickletools = SimpleNamespace(genops=_opcodes)  # in its own modules, for nobody else
    torch.genops = _opcodes
    return PickleScanner(scanner, version("picklescan"), held)


class _Left:
    """How many bytes the opcodes of a file may take yet; `ended` says what was too much, as picklescan does not."""

    def __init__(self, count: int) -> None:
        self._count, self.ended = count, ""

    def end(self, why: str) -> NoReturn:
        """ValueError, as for a file that could not be read to its end."""
        self.ended = self.ended or why
        raise ValueError(why)

    def expect(self, size: int) -> None:
        """Before so many bytes are read at once."""
        if size > min(_LONGEST, self._count):
            self.end(f"it holds one text of {size:,} bytes or more")

    def take(self, arg: object) -> None:
        """One opcode more."""
        held = _LETTER * len(arg) if isinstance(arg, str) else len(arg) if isinstance(arg, bytes | bytearray) else 0
        self._count -= _OPCODE + held
        if self._count < 0:
            self.end("it has more opcodes than are looked at")


_LEFT: ContextVar[_Left] = ContextVar("_LEFT")


class _Arguments:
    """A stream of opcodes, none of whose arguments is unpacked where it would be too long."""

    def __init__(self, stream: IO[bytes], left: _Left) -> None:
        self._stream, self._left, self.tell = stream, left, stream.tell

    def read(self, size: int) -> bytes:
        self._left.expect(size)
        return self._stream.read(size)

    def readline(self) -> bytes:
        line = self._stream.readline(_LINE)
        if len(line) == _LINE:
            self._left.end("it holds a line without an end")
        return line


def _opcodes(stream: bytes | IO[bytes]) -> Iterator[tuple[Any, object, int | None]]:
    """As pickletools.genops, which carries out nothing, within what is left for the file."""
    left = _LEFT.get()
    left.take(None)
    arguments: Any = _Arguments(io.BytesIO(stream) if isinstance(stream, bytes) else stream, left)
    for opcode, arg, place in pickletools.genops(arguments):
        left.take(arg)
        yield opcode, arg, place


def _is_read(found: Classified) -> bool:
    return found.what in _READ or found.what.startswith("zip with")


def _suffix(path: str) -> str:
    """As os.path.splitext has it."""
    name = path.rpartition("/")[2]
    return f".{name.rpartition('.')[2]}" if "." in name[1:] else ""


def _result(path: str, said: Any) -> ScannedFile:
    if said.issues_count or said.infected_files:
        return ScannedFile(path, ScanResult.DANGEROUS, _named(said, "dangerous"))
    if said.scan_err:
        return ScannedFile(path, ScanResult.FAILED, "picklescan could not read it to its end")
    if not said.scanned_files:
        return ScannedFile(path, ScanResult.NOT_SCANNED, "picklescan found no pickle in it")
    if said.suspicious_count:
        return ScannedFile(path, ScanResult.SUSPICIOUS, _named(said, "suspicious"))
    return ScannedFile(path, ScanResult.CLEAN)


def _named(said: Any, safety: str) -> str:
    """The globals of a kind that it found."""
    named = sorted({f"{one.module}.{one.name}" for one in said.globals if one.safety.value == safety})
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more
