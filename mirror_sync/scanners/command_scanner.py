"""A program of the operator's that looks at a file: started for each, with bounds of time and memory and no network.

Exit status 0 is clean, 1 has found something, anything else has failed. It gets a copy of the file, below a folder of
ours that is gone afterwards, and nothing of our environment but PATH and the language.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from mirror_sync.domain.formats.file_class import Classified
from mirror_sync.domain.policy.scan_policy import FILE, ScanCommand, ScannedFile, ScanResult
from mirror_sync.errors import Interrupted
from mirror_sync.ports.scanner import FileContent
from mirror_sync.scanners.command_version import CommandVersion

_LIMITED = 'ulimit -v "$1" && shift && exec "$@"'  # in KiB; of the program itself, before it runs
_NO_MEMORY = 'shift && exec "$@"'
_KEEPER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")))
_ENDS = 15.0  # seconds in which it ends all that a command has started
_STEP = 0.05  # seconds between two looks at what runs
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_LONGEST_VERSION = 64 * 1024  # bytes of what it says of its version
_OUTPUT = 400  # bytes of what it says that a reason repeats
_MOST_SAID = 16 * 1024 * 1024  # bytes of what it says, which lie on the disk meanwhile
_CLEAN, _FOUND = 0, 1
_KEPT = ("PATH", "LANG", "LC_ALL")
_PREFIX = "scan-"
_YOUNG = 60.0  # seconds after which a folder has its lock
_AT_ONCE = 2  # copies of files, which may be large


class CommandScanner:
    """Implements `ports.Scanner`; files are copied below `folder`. `stop` is asked for the event that ends a run."""

    def __init__(self, command: ScanCommand, folder: Path, stop: Callable[[], threading.Event]) -> None:
        self._command, self._folder, self._stop = command, folder, stop
        self._turn, self._swept = threading.BoundedSemaphore(_AT_ONCE), False
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
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        if not self._swept:
            self._swept = True
            _sweep(self._folder)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=self._folder) as folder, _held(Path(folder)):
            name = path.rpartition("/")[2]
            copy = Path(folder, name if _PLAIN.fullmatch(name) else "file")
            with copy.open("xb") as file:
                for chunk in content.chunks():
                    self._go_on()
                    file.write(chunk)
            yield copy

    def _judged(self, path: str, copy: Path) -> ScannedFile:
        words = [str(copy) if word == FILE else word.replace(FILE, str(copy)) for word in self._command.words]
        with tempfile.TemporaryFile(dir=copy.parent) as output:
            status = self._run(words, copy.parent, output.fileno())
            if os.fstat(output.fileno()).st_size > _MOST_SAID:
                return ScannedFile(path, ScanResult.FAILED, f"it said more than {_MOST_SAID:,} bytes")
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
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=_PREFIX, dir=self._folder) as folder,
            _held(Path(folder)),
            tempfile.TemporaryFile(dir=folder) as output,
        ):
            status = self._run([*words], Path(folder), output.fileno())
            output.seek(0)
            return f"{status} {output.read(_LONGEST_VERSION).decode(errors='replace')}"

    def _run(self, words: list[str], folder: Path, output: int) -> int | None:
        """Its exit status; None where it was ended for its time or its words. Nothing that it has started is left."""
        limit = self._command.limits.memory // 1024
        shell = ["/bin/sh", "-c", _LIMITED if limit else _NO_MEMORY, "sh", str(limit), *words]
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with subprocess.Popen(  # noqa: S603  the operator's own command
            [*_KEEPER, str(os.getpid()), *without_network(), *shell],
            cwd=folder,
            env={**environ, "TMPDIR": str(folder), "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as running:
            try:
                return self._waited(running, output)
            finally:
                _end(running)

    def _waited(self, running: subprocess.Popen[bytes], output: int) -> int | None:
        end = time.monotonic() + self._command.limits.timeout.total_seconds()
        while time.monotonic() < end and os.fstat(output).st_size <= _MOST_SAID:
            with suppress(subprocess.TimeoutExpired):
                return running.wait(_STEP)
            self._go_on()
        return None

    def _go_on(self) -> None:
        if self._stop().is_set():
            raise Interrupted("stopped while a file was scanned")


def _end(running: subprocess.Popen[bytes]) -> None:
    """Have the keeper end all that the command has started, and itself."""
    running.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.wait(_ENDS)
    running.kill()


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Whether a folder is ours: a lock, which ends with its process, says whose it is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        ours = False
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = True
        yield ours
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove the copies that processes have left which were killed; those of others that scan now stay."""
    for left in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _YOUNG:
                with _held(left) as nobodys:
                    if nobodys:
                        shutil.rmtree(left)


@cache
def without_network() -> tuple[str, ...]:
    """What is written before a command so that it has no network; nothing where this machine does not allow that."""
    unshare = shutil.which("unshare")
    for words in ((unshare, "-n", "--"), (unshare, "-rn", "--")) if unshare else ():
        with suppress(OSError, subprocess.TimeoutExpired):
            tried = subprocess.run([*words, "true"], capture_output=True, timeout=10, check=False)  # noqa: S603
            if tried.returncode == 0:
                return words
    return ()
