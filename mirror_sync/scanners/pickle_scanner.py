"""picklescan, file by file and over ranges: a torch file of 2 GiB costs some kilobytes.

Source: picklescan 1.0.5, scanner.py. What it cannot parse it calls clean, an empty file ends its scan of a folder, and
it does not look into compressed streams: so it is asked about one file at a time, and only about what our own look at
the bytes has shown to be a pickle, or to hold one. All else is not scanned.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.formats.ranges import RangeFile, Ranges
from mirror_sync.domain.policy.scan_policy import ScannedFile, ScanResult
from mirror_sync.ports.scanner import FileContent

_MOST_BYTES, _MOST_READS = 512 * 1024 * 1024, 20_000
_AHEAD = 64 * 1024  # bytes
_READ = ("pickle", "torch zip", "TorchScript", "npy of objects", "npz of objects")  # what it can look into
_ARRAY = "npy of objects"
_SHOWN = 3  # globals that a reason names


_MISSING = "picklescan is not installed: pip install 'mirror-sync[scan]'"


class PickleScanner:
    """Implements `ports.Scanner`, by the module `scanner` of picklescan; None where it is not installed."""

    name = "picklescan"

    def __init__(self, scanner: Any, version: str) -> None:
        self._scanner, self.version = scanner, version

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
        try:
            said = self._scanner.scan_bytes(RangeFile(ranges, _AHEAD), path, suffix, strict=False)
        except Exception as error:
            if ranges.failed is not None:
                raise ranges.failed from error
            return ScannedFile(path, ScanResult.FAILED, f"{type(error).__name__}: {error}")
        return _result(path, said)


def pickle_scanner() -> PickleScanner:
    """By the picklescan that is installed; without one nothing is scanned, and so nothing is clean."""
    try:
        from picklescan import scanner
    except ImportError:
        return PickleScanner(None, "")
    logging.getLogger("picklescan").setLevel(logging.CRITICAL)  # its words about a file are in its answer
    return PickleScanner(scanner, version("picklescan"))


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
