"""A program of the operator's that looks at a file: started for each, with bounds of time and memory and no network.

Exit status 0 is clean, 1 has found something, anything else has failed. It gets a copy of the file, below a folder of
ours that is gone afterwards, and nothing of our environment but PATH and the language.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mirror_sync.domain.formats.file_class import Classified
from mirror_sync.domain.policy.scan_policy import FILE, ScanCommand, ScannedFile, ScanResult
from mirror_sync.ports.scanner import FileContent
from mirror_sync.scanners.bounded_command import MOST_SAID, BoundedCommands, without_network
from mirror_sync.scanners.command_version import CommandVersion

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_LONGEST_VERSION = 64 * 1024  # bytes of what it says of its version
_OUTPUT = 400  # bytes of what it says that a reason repeats
_CLEAN, _FOUND = 0, 1
_PREFIX = "scan-"
_AT_ONCE = 2  # copies of files, which may be large


class CommandScanner:
    """Implements `ports.Scanner`; files are copied below `folder`. `stop` is asked for the event that ends a run."""

    def __init__(self, command: ScanCommand, folder: Path, stop: Callable[[], threading.Event]) -> None:
        self._command, self._commands = command, BoundedCommands(folder, _PREFIX, stop)
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        self.name = f"command {Path(command.words[0]).name}{'' if without_network() else ', not kept from the network'}"
        self._version = CommandVersion(command, self._said)

    @property
    def version(self) -> str:
        """Of its words and of the program, as it is now."""
        return self._version.now()

    def wants(self, path: str, found: Classified) -> bool:
        return True

    def scan(self, path: str, found: Classified, content: FileContent) -> ScannedFile:
        """What the disk refuses is a failed scan."""
        with self._turn:
            try:
                with self._copied(path, content) as copy:
                    return self._judged(path, copy)
            except OSError as error:
                return ScannedFile(path, ScanResult.FAILED, f"{error.strerror or error}")

    @contextmanager
    def _copied(self, path: str, content: FileContent) -> Iterator[Path]:
        """The bytes of a file under a name of its own, whose suffix it keeps."""
        with self._commands.scratch() as folder:
            name = path.rpartition("/")[2]
            copy = Path(folder, name if _PLAIN.fullmatch(name) else "file")
            with copy.open("xb") as file:
                for chunk in content.chunks():
                    self._commands.go_on("a file was scanned")
                    file.write(chunk)
            yield copy

    def _judged(self, path: str, copy: Path) -> ScannedFile:
        words = [str(copy) if word == FILE else word.replace(FILE, str(copy)) for word in self._command.words]
        with tempfile.TemporaryFile(dir=copy.parent) as output:
            status = self._commands.run(words, copy.parent, output.fileno(), self._command.limits)
            if os.fstat(output.fileno()).st_size > MOST_SAID:
                return ScannedFile(path, ScanResult.FAILED, f"it said more than {MOST_SAID:,} bytes")
            output.seek(0)
            said = " ".join(output.read(_OUTPUT).decode(errors="replace").replace(str(copy), copy.name).split())
        if status == _CLEAN:
            return ScannedFile(path, ScanResult.CLEAN)
        if status == _FOUND:
            return ScannedFile(path, ScanResult.DANGEROUS, said)
        if status is None:
            took = f"no answer in {self._command.limits.timeout.total_seconds():.0f} s"
            return ScannedFile(path, ScanResult.FAILED, took)
        how = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
        return ScannedFile(path, ScanResult.FAILED, f"{how}: {said}" if said else how)

    def _said(self, words: Sequence[str]) -> str:
        """What a command says of its version, or why it says nothing."""
        with self._commands.scratch() as folder, tempfile.TemporaryFile(dir=folder) as output:
            status = self._commands.run(words, folder, output.fileno(), self._command.limits)
            output.seek(0)
            return f"{status} {output.read(_LONGEST_VERSION).decode(errors='replace')}"
