"""The version of a scanner that is a program: of its words, of the program itself, and of what it says of itself.

What another version has said of a file is not believed, so that a finding that was false ends with the program that
made it. Signatures that a scanner updates are no part of the program: `version` of `policy.scan` asks for those.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import file_digest, sha256
from pathlib import Path

from mirror_sync.domain.policy.scan_policy import FILE, ScanCommand

_ASKED = 60.0  # seconds for which what it says of its version is believed


class CommandVersion:
    """Safe for many threads. `said` runs the command that says the version, and returns its words."""

    def __init__(self, command: ScanCommand, said: Callable[[Sequence[str]], str]) -> None:
        self._command, self._said = command, said
        self._lock = threading.Lock()
        self._seen: object = None
        self._asked, self._found = 0.0, ""

    def now(self) -> str:
        """In a few digits. Files are read again only where they are others by their times."""
        with self._lock:
            seen = tuple((str(path), *_stat(path)) for path in self._files())
            old = bool(self._command.version) and time.monotonic() - self._asked > _ASKED
            if seen != self._seen or not self._found or old:
                self._found, self._seen, self._asked = self._made(), seen, time.monotonic()
            return self._found

    def _made(self) -> str:
        parts = ["\0".join(self._command.words), *map(_digest, self._files())]
        if self._command.version:
            parts.append(self._said(self._command.version))
        return sha256("\n".join(parts).encode()).hexdigest()[:12]

    def _files(self) -> Iterator[Path]:
        """The program, and scripts or rules that its words name by a whole path."""
        program = shutil.which(self._command.words[0])
        named = (word for word in self._command.words[1:] if FILE not in word and word.startswith("/"))
        yield from (path for one in (program, *named) if one is not None and (path := Path(one)).is_file())


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path}: {error.strerror}"
