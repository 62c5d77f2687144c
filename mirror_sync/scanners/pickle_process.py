"""picklescan in a process of its own, for one file: ended where it takes too long, or more memory than it may.

    parent to child  one line of JSON: path, class, size, how much opcodes may take
    child to parent  `read START LENGTH`, as often as it wants; last `said` and JSON
    parent to child  for each `read` eight bytes of length, and so many bytes

The child has nothing of the parent's environment, and no file of it: it is given what it asks for, and nothing else.
Its memory is watched from outside, and has no limit of the kernel's: picklescan takes a MemoryError for the end of a
pickle, and calls clean what it has not read.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from mirror_sync.domain.formats.file_class import Classified, FileClass
from mirror_sync.domain.policy.scan_policy import ScanLimits, ScannedFile, ScanResult
from mirror_sync.errors import Interrupted
from mirror_sync.ports.scanner import FileContent
from mirror_sync.scanners.keeper import end_with_parent
from mirror_sync.scanners.pickle_scanner import HELD, NAME, PickleScanner, pickle_scanner

_AT_ONCE = 2  # processes
_STEP = 0.1  # seconds between two looks at the time
_LINE = 64 * 1024  # bytes of a line of the child's
_LARGEST = 512 * 1024 * 1024  # bytes of one range
_LENGTH = 8  # bytes of a length


class BoundedPickleScanner:
    """Implements `ports.Scanner`. `stop` is asked for the event that ends a run."""

    name = NAME

    def __init__(self, limits: ScanLimits, stop: Callable[[], threading.Event], held: int = HELD) -> None:
        """`held` are the bytes that the opcodes of one file may take in memory, about."""
        self._limits, self._stop, self._held = limits, stop, held
        self._plain = PickleScanner(None, "")
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        try:
            self.version = version("picklescan")
        except PackageNotFoundError:
            self.version = ""

    def wants(self, path: str, found: Classified) -> bool:
        return self._plain.wants(path, found)

    def scan(self, path: str, found: Classified, content: FileContent) -> ScannedFile:
        """What picklescan does not come to an end with is a failed scan."""
        if not self.version:
            return self._plain.scan(path, found, content)
        with self._turn:
            return self._scanned(path, found, content, self._stop())

    def _scanned(self, path: str, found: Classified, content: FileContent, stop: threading.Event) -> ScannedFile:
        asked = {"path": path, "of": found.of, "what": found.what, "size": content.size, "held": self._held}
        with self._child(stop) as (child, ended):
            assert child.stdin is not None  # noqa: S101  for the type checker: both are pipes
            assert child.stdout is not None  # noqa: S101
            with suppress(BrokenPipeError):
                _send(child.stdin, json.dumps(asked).encode() + b"\n")
                said = _served(child.stdin, child.stdout, content)
                if said is not None:
                    return ScannedFile(path, ScanResult(said[0]), said[1])
            status = child.wait()
        if stop.is_set():
            raise Interrupted("stopped while a file was scanned")
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return ScannedFile(path, ScanResult.FAILED, *(ended or [f"picklescan's process ended by {how}"]))

    @contextmanager
    def _child(self, stop: threading.Event) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
        """The process, and why it was ended, where it was; it is gone after the block."""
        ended: list[str] = []
        over = threading.Event()
        with subprocess.Popen(  # noqa: S603  nothing in it is of others
            [sys.executable, "-m", __name__, str(os.getpid())],
            cwd="/",
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as child:
            watching = threading.Thread(target=self._watch, args=(child, stop, over, ended), name="picklescan")
            watching.start()
            try:
                yield child, ended
            finally:
                over.set()
                watching.join()
                child.kill()
                with suppress(OSError):  # what was not sent to it yet
                    child.communicate()

    def _watch(
        self, child: subprocess.Popen[bytes], stop: threading.Event, over: threading.Event, ended: list[str]
    ) -> None:
        """End it for a stop, or where it takes more than it may."""
        limits, began = self._limits, time.monotonic()
        while True:
            if time.monotonic() - began > limits.timeout.total_seconds():
                ended.append(f"no answer in {limits.timeout.total_seconds():.0f} s")
            elif limits.memory and _address_space(child.pid) > limits.memory:
                ended.append(f"it takes more than {limits.memory:,} bytes of memory")
            if ended or stop.is_set():
                child.kill()
            if ended or over.wait(_STEP):
                return


def _address_space(process: int) -> int:
    """In bytes; 0 for one that is not there any more. Source: proc(5), statm."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _served(given: IO[bytes], asked: IO[bytes], content: FileContent) -> tuple[str, str] | None:
    """Give the child what it wants to read until it has an answer; None where it ends without one."""
    while (line := asked.readline(_LINE)).endswith(b"\n"):
        word, _, rest = line.decode(errors="replace").partition(" ")
        if word == "said":
            result, why = json.loads(rest)
            return str(result), str(why)
        start, length = map(int, rest.split())
        body = content.read(start, min(length, _LARGEST, max(content.size - start, 0)))
        _send(given, len(body).to_bytes(_LENGTH, "big") + body)
    return None


def _send(pipe: IO[bytes], body: bytes) -> None:
    pipe.write(body)
    pipe.flush()


class _Asked:
    """The content as the child has it: in ranges, from the parent."""

    def __init__(self, size: int, given: IO[bytes], asked: IO[bytes]) -> None:
        self.size, self._given, self._asked = size, given, asked

    def read(self, start: int, length: int) -> bytes:
        _send(self._asked, f"read {start} {length}\n".encode())
        count = int.from_bytes(self._given.read(_LENGTH), "big")
        return self._given.read(count)

    def chunks(self) -> Iterator[bytes]:
        yield self.read(0, self.size)


def main() -> None:
    """The child."""
    if not end_with_parent(int(sys.argv[1]), signal.SIGKILL):
        return
    given, asked = sys.stdin.buffer, sys.stdout.buffer
    said = json.loads(given.readline())
    content = _Asked(said["size"], given, asked)
    found = Classified(FileClass(said["of"]), said["what"])
    judged = pickle_scanner(said["held"]).scan(said["path"], found, content)
    _send(asked, b"said " + json.dumps([judged.result, judged.why]).encode() + b"\n")


if __name__ == "__main__":
    main()
