"""Programs of the operator's, each in a folder of its own that is gone afterwards, with bounds of time and memory.

They have no network, and nothing of our environment but PATH and the language. What they start ends with them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from mirror_sync.domain.policy.scan_policy import ScanLimits
from mirror_sync.errors import Interrupted

MOST_SAID = 16 * 1024 * 1024  # bytes of what one says, which lie on the disk meanwhile
_LIMITED = 'ulimit -v "$1" && shift && exec "$@"'  # in KiB; of the program itself, before it runs
_NO_MEMORY = 'shift && exec "$@"'
_KEEPER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py")))
_ENDS = 15.0  # seconds in which it ends all that a command has started
_STEP = 0.05  # seconds between two looks at what runs
_KEPT = ("PATH", "LANG", "LC_ALL")
_YOUNG = 60.0  # seconds after which a folder has its lock


@dataclass(slots=True)
class BoundedCommands:
    """Runs programs in folders below `folder`, whose names begin with `prefix`. `stop` gives the event that ends a run.

    Safe for many threads and processes: what one that was killed has left is removed by the next.
    """

    folder: Path
    prefix: str
    stop: Callable[[], threading.Event]
    _swept: bool = field(default=False, init=False)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for one program. OSError."""
        self.folder.mkdir(0o700, parents=True, exist_ok=True)
        if not self._swept:
            self._swept = True
            self._sweep()
        with tempfile.TemporaryDirectory(prefix=self.prefix, dir=self.folder) as folder, _held(Path(folder)):
            yield Path(folder)

    def run(self, words: Sequence[str], folder: Path, output: int, limits: ScanLimits) -> int | None:
        """Its exit status; None where it was ended for its time or its words. Nothing that it has started is left.

        `output` is a file for all that it says. Interrupted after a stop.
        """
        limit = limits.memory // 1024
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
                return self._waited(running, output, limits)
            finally:
                _end(running)

    def go_on(self, doing: str) -> None:
        """Interrupted after a stop."""
        if self.stop().is_set():
            raise Interrupted(f"stopped while {doing}")

    def _waited(self, running: subprocess.Popen[bytes], output: int, limits: ScanLimits) -> int | None:
        end = time.monotonic() + limits.timeout.total_seconds()
        while time.monotonic() < end and os.fstat(output).st_size <= MOST_SAID:
            with suppress(subprocess.TimeoutExpired):
                return running.wait(_STEP)
            self.go_on("a command ran")
        return None

    def _sweep(self) -> None:
        """Remove what processes have left which were killed; what others use now stays."""
        for left in self.folder.glob(f"{self.prefix}*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _YOUNG:
                    with _held(left) as nobodys:
                        if nobodys:
                            shutil.rmtree(left)


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
