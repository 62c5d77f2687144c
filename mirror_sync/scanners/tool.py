"""A program of the operator's that makes files of files: its version, and one run of it in a scratch folder."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from mirror_sync.domain.bounds import plain
from mirror_sync.domain.own.transform import INPUT, OUTPUT, Transform
from mirror_sync.domain.policy.scan_policy import ScanCommand
from mirror_sync.scanners.bounded_command import MOST_SAID, BoundedCommands
from mirror_sync.scanners.command_version import CommandVersion

_SAID = 2000  # bytes of the end of what it says
_VERSION = 80  # characters of what it says of its version
_VERSION_TIME = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it: empty `reason` where it did well, `said` the end of its words in one line."""

    said: str
    reason: str


class Tool:
    """Safe for many threads. Its scratch folders lie below `folder`; `stop` gives the event that ends a run."""

    def __init__(self, transform: Transform, folder: Path, stop: Callable[[], threading.Event]) -> None:
        self._transform, self._commands = transform, BoundedCommands(folder, "transform-", stop)
        command = ScanCommand(transform.command, transform.limits, transform.version)
        self._version = CommandVersion(command, self._words)
        self.name = Path(transform.command[0]).name

    @property
    def version(self) -> str:
        """What it says of its version, if it is asked, and a digest of its words and of the program."""
        said = self._words(self._transform.version).partition("\n")[0][:_VERSION] if self._transform.version else ""
        return f"{plain(said)} {self._version.now()}".strip()

    @contextmanager
    def scratch(self) -> Iterator[tuple[Path, Path]]:
        """Two empty folders, for its input and its output. OSError."""
        with self._commands.scratch() as folder:
            given, made = folder / "input", folder / "output"
            given.mkdir()
            made.mkdir()
            yield given, made

    def run(self, given: Path, made: Path) -> Ran:
        """Once, over these folders. OSError; Interrupted after a stop."""
        words = [word.replace(INPUT, str(given)).replace(OUTPUT, str(made)) for word in self._transform.command]
        with tempfile.TemporaryFile(dir=given.parent) as output:
            status = self._commands.run(words, given.parent, output.fileno(), self._transform.limits)
            size = os.fstat(output.fileno()).st_size
            output.seek(max(0, size - _SAID))
            said = plain(" ".join(output.read().decode(errors="replace").split()))
        reason = self._reason(status, size)
        if not reason and (made.is_symlink() or not made.is_dir()):
            reason = "its output folder is no longer there, or leads elsewhere"
        return Ran(said, reason)

    def _reason(self, status: int | None, size: int) -> str:
        if size > MOST_SAID:
            return f"it said more than {MOST_SAID:,} bytes"
        if status is None:
            return f"it was not done in {self._transform.limits.timeout.total_seconds():.0f} s"
        if status == 0:
            return ""
        return f"ended by signal {-status}" if status < 0 else f"exit status {status}"

    def _words(self, words: Sequence[str]) -> str:
        with self._commands.scratch() as folder, tempfile.TemporaryFile(dir=folder) as output:
            limits = self._transform.limits
            limits = replace(limits, timeout=min(limits.timeout, _VERSION_TIME))
            self._commands.run(words, folder, output.fileno(), limits)
            output.seek(0)
            return output.read(_SAID).decode(errors="replace").strip()
