"""Daemons as child processes, and what they tell the service manager."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mirror_sync.state.file_lock import Held, hold
from tests.waiting import PATIENCE, until


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE)
        self._status = ""

    def next(self) -> dict[str, str]:
        """The next notice, as its assignments."""
        notice = dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())
        self._status = notice.get("STATUS", self._status)
        return notice

    def status(self, beginning: str) -> str:
        """The status, once it begins so: it may have come already."""
        while not self._status.startswith(beginning):
            self.next()
        return self._status

    def until(self, key: str) -> str:
        """The value of `key` in the next notice that has it."""
        while True:
            notice = self.next()
            if key in notice:
                return notice[key]

    def close(self) -> None:
        self._socket.close()


class Living:
    """A daemon; what it says on stderr goes to a file."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def rest(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.read().splitlines()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def suspend(self, lock: Path) -> None:
        """Stop it, at a moment at which it has not this lock: it would bar others for as long as it stands still."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        while True:
            self.signal(signal.SIGSTOP)
            until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
            try:
                with hold(lock, 0):
                    return
            except Held:
                self.signal(signal.SIGCONT)

    def wait(self) -> int:
        return self._process.wait(PATIENCE)

    def until_logged(self, text: str) -> None:
        until(lambda: text in self.log, lambda: f"{text!r} was not logged:\n{self.log}")

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")


@contextmanager
def living(command: Sequence[str], folder: Path, **environ: str) -> Iterator[Living]:
    """Start a daemon with Python; whatever happens, it does not outlive the test."""
    log = folder / "stderr"
    with (
        log.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(
            [sys.executable, *command],
            cwd=Path(__file__).parents[2],
            env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **environ},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            yield Living(process, log)
        finally:
            process.kill()


def write_jobs(folder: Path, *jobs: str, listen: str = "none") -> Path:
    """A jobs.yaml with a directory upstream, one small repo in it, and the given entries of `jobs`.

    `listen`: where the daemon's HTTP is to be found.
    """
    repo = folder / "upstream" / "acme" / "one"
    repo.mkdir(parents=True, exist_ok=True)
    (repo / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    entries = "".join(f"  - {{{entry}, repos: [acme/one]}}\n" for entry in jobs)
    path = folder / "jobs.yaml"
    path.write_text(
        f"version: 1\nstate_dir: state\nupstreams:\n  local: {{kind: directory, url: 'file://{folder}/upstream'}}\n"
        f"targets:\n  disk: {{url: 'file://{folder}/mirror'}}\ndefaults: {{upstream: local, target: disk}}\n"
        f"http: {{listen: '{listen}'}}\nlicenses: {{allow: [mit]}}\njobs:\n{entries}",
        encoding="utf-8",
    )
    return path
