"""``python -m tests.chaos.hostile [--requests 10000] [--seed n]``: requests that no client sends, to both fronts.

Each is up to 1 MiB of bytes drawn by dice, half of them for routes of all doors (hostile_routes.py); beside them
another reader asks for ``/healthz`` all the time. What is told: the statuses, that reader's times without and beside
them (99th percentile), and the memory of ``serve``.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from urllib.parse import quote, urlencode, urlsplit

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.chaos.actors import Ending, Machine, beside, start
from tests.chaos.game import say
from tests.chaos.hostile_routes import RouteDraws
from tests.front.bucket import Published, model
from tests.front.guarded import PUBLIC
from tests.front.mirrors import DOORS, by_nginx
from tests.servers.ports import answers, free_port

MIB = 1 << 20
SLOWER = 0.05
"""Seconds by which the 99th percentile of the other reader may grow."""
MEMORY = 200 * MIB
FILES = 5000
_TIMEOUT = 30.0
_PAUSE = 0.005
_SERVER_ERROR = 500
_UNIMPLEMENTED = 501  # a method or a coding that a server does not know
_Draw = Callable[[Random, str], bytes]


def _head(method: str, target: str, *more: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: mirror.example", "Connection: close", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _posted(repo: str, body: bytes, kind: str = "application/x-www-form-urlencoded") -> bytes:
    return (
        _head("POST", f"/api/models/{repo}/paths-info/main", f"Content-Type: {kind}", f"Content-Length: {len(body)}")
        + body
    )


def _fields(dice: Random, repo: str) -> bytes:
    one = dice.choice(("paths=", "p=&", "paths=%00", "expand=1", "paths=part-1%2Fa", "&"))
    return _posted(repo, f"{one}&".encode() * (dice.randrange(MIB) // (len(one) + 1)))


def _paths(dice: Random, repo: str) -> bytes:
    names = [
        f"part-{dice.randrange(9)}/file {dice.randrange(FILES * 2)}.bin" for _ in range(dice.choice((10, 1000, 30000)))
    ]
    return _posted(repo, urlencode({"paths": names}, doseq=True).encode()[:MIB])


def _one_path(dice: Random, repo: str) -> bytes:
    return _posted(repo, b"paths=" + dice.choice((b"a", b"%C3%A9", b"a/", b"..%2F")) * (dice.randrange(MIB) // 8))


def _nested(dice: Random, repo: str) -> bytes:
    deep = dice.randrange(2000)
    text = dice.choice(
        (
            '{"paths":' + "[" * deep + "]" * deep + "}",
            json.dumps({"paths": ["x"] * deep * 50}),
            json.dumps({"p" * deep: 1}),
        )
    )
    return _posted(repo, text.encode()[:MIB], "application/json")


def _noise(dice: Random, repo: str) -> bytes:
    return _posted(repo, dice.randbytes(dice.randrange(MIB)), dice.choice(("application/json", "text/plain", "")))


def _address(dice: Random, repo: str) -> bytes:
    part = dice.choice(("a/", "%2F", "%", "%zz", "//", "./", "..;/", "é", "?a=b&", "#", "\u202e", "%00", "resolve/"))
    return _head("GET", f"/{repo}/resolve/main/" + part * dice.randrange(8000))


def _cursor(dice: Random, repo: str) -> bytes:
    text = "".join(dice.choice("0123456789abcdef-_.%&=") for _ in range(dice.randrange(4000)))
    return _head(
        "GET", f"/api/models/{repo}/tree/main?recursive=true&limit={dice.choice((0, -1, 10**30))}&cursor={text}"
    )


def _listing(_: Random, repo: str) -> bytes:
    return _head("GET", f"/api/models/{repo}/tree/main?recursive=true&expand=true")


def _ranges(dice: Random, repo: str) -> bytes:
    spans = ",".join(f"{dice.randrange(99)}-{dice.randrange(99)}" for _ in range(dice.randrange(2000)))
    return _head("GET", f"/{repo}/resolve/main/{quote('part-1/file 1.bin')}", f"Range: bytes={spans}")


def _headers(dice: Random, _: str) -> bytes:
    return _head("GET", "/", *(f"X-{number}: {'v' * dice.randrange(3000)}" for number in range(dice.randrange(300))))


def _doubled(dice: Random, repo: str) -> bytes:
    name = dice.choice(("Host", "Content-Length", "Range", "If-None-Match", "X-Forwarded-Host"))
    return _head("GET", f"/api/models/{repo}", f"{name}: 1", f"{name}: 2")


def _method(dice: Random, repo: str) -> bytes:
    return _head(dice.choice(("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get", "OPTIONS")), f"/api/models/{repo}")


def _id(dice: Random, _: str) -> bytes:
    return _head("GET", "/api/models/" + "".join(dice.choice("aZ0-._~/") for _ in range(dice.randrange(6000))))


def _half(dice: Random, repo: str) -> bytes:
    whole = _posted(repo, b"paths=" + b"x" * dice.randrange(MIB))
    return whole[: dice.randrange(len(whole))]


KINDS: Mapping[str, _Draw] = {
    draw.__name__.strip("_"): draw
    for draw in (
        *(_fields, _paths, _one_path, _nested, _noise, _address, _cursor, _listing),
        *(_ranges, _headers, _doubled, _method, _id, _half),
    )
}


@dataclass
class Result:
    """What became of the requests to one front. Times in seconds, memory in bytes."""

    statuses: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    """Kinds that met an error of the server."""
    quiet: float = 0.0
    beside: float = 0.0
    memory: int = 0

    @property
    def bad(self) -> list[str]:
        """What must not be, in words."""
        found = [f"{count} errors of the server, to {kind}" for kind, count in self.failed.items()]
        if self.beside - self.quiet > SLOWER:
            found.append(f"/healthz is {1000 * (self.beside - self.quiet):.0f} ms slower")
        return found + ([f"{self.memory / MIB:.0f} MiB of memory"] if self.memory > MEMORY else [])


class OtherReader(threading.Thread):
    """Asks for /healthz all the time."""

    def __init__(self, port: int) -> None:
        super().__init__(name="other reader", daemon=True)
        self._port, self._ended = port, threading.Event()
        self.times: list[float] = []

    def run(self) -> None:
        """Ask, and note how long each answer took; no answer counts as one that took for ever."""
        while not self._ended.wait(_PAUSE):
            began = time.monotonic()
            status = ask(self._port, _head("GET", "/healthz"))
            self.times.append(time.monotonic() - began if status == 200 else _TIMEOUT)

    def end(self) -> float:
        """The 99th percentile of the times, in seconds."""
        self._ended.set()
        self.join()
        ordered = sorted(self.times)
        return ordered[len(ordered) * 99 // 100] if ordered else _TIMEOUT


def ask(port: int, request: bytes, *, half: bool = False) -> int:
    """Send bytes as they are; the status of the answer, 0 for none. `half`: nothing more will come."""
    with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as connection:
        got = b""
        try:
            connection.sendall(request)
            if half:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before its end: the answer may lie there all the same
        try:
            while piece := connection.recv(65536):
                got = (got + piece)[:64]
        except OSError:
            pass
        words = got.split(b" ", 2)
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def attack(port: int, repo: Published, requests: int, seed: int, memory: Callable[[], int]) -> Result:
    """Send so many requests, one after the other: so none hides what another costs."""
    result, dice, routes = Result(), Random(seed), RouteDraws(repo).of_all()
    other = OtherReader(port)
    other.start()
    time.sleep(min(5.0, requests / 100))
    result.quiet = other.end()
    other = OtherReader(port)
    other.start()
    for _ in range(requests):
        kind = dice.choice([*dice.choice((KINDS, routes))])
        request = routes[kind](dice) if kind in routes else KINDS[kind](dice, str(repo.repo))
        status = ask(port, request, half=kind == "half")
        result.statuses[status] += 1
        if status >= _SERVER_ERROR and status != _UNIMPLEMENTED:
            result.failed[kind] += 1
        result.memory = max(result.memory, memory())
    result.beside = other.end()
    return result


def published(folder: Path) -> Published:
    """A repo of some thousand files in a folder."""
    repo = model(DirectoryStore(folder))
    files = {f"part-{number % 9}/file {number}.bin": b"%d" % number for number in range(FILES)}
    repo.publish(files, registry=True, described=dict(PUBLIC))
    return repo


@contextmanager
def serve_front(folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    """`serve` as a process: its port, and what its memory is."""
    document = {
        "version": 1,
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "huggingface"}},
        "targets": {"mirror": {"url": (folder / "bucket").as_uri()}},
        "defaults": {"upstream": "hub", "target": "mirror", "schedule": {"every": "6h"}},
        "licenses": {"allow": ["mit"]},
        "jobs": [{"name": "one", "repos": ["acme/one"]}],
        "front": {
            "url": "http://mirror.example",
            "torrents": True,
            "oci": {"images": True},
            "s3": True,
            "by_digest": True,
        },
    }
    machine, port = Machine("front", folder / "jobs.yaml"), free_port()
    machine.config.write_text(json.dumps(document), encoding="utf-8")
    run = start(machine, 0, ("serve", "--port", str(port)), Ending(None, 1e9))
    with beside(run):
        while not answers(port):
            if run.running.poll() is not None:
                raise RuntimeError(run.out.with_suffix(".err").read_text(encoding="utf-8"))
        yield port, lambda: _resident(run.running.pid)


@contextmanager
def nginx_front(folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    """The generated nginx; its memory is that of its caches, and not looked at."""
    store = DirectoryStore(folder / "bucket")
    options = NginxOptions(DirectoryTarget(folder / "bucket"), by_digest=True, doors=DOORS)
    with by_nginx(store, options, folder / "nginx") as mirror:
        yield urlsplit(mirror.url).port or 0, lambda: 0


FRONTS = {"serve": serve_front, "nginx": nginx_front}


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Attack both fronts, say what became of it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.hostile")
    parser.add_argument("--requests", type=int, default=10_000, help="to each front")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    say(f"seed {seed}")
    bad: list[str] = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        repo = published(folder / "bucket")
        for front, opened in FRONTS.items():
            with opened(folder) as (port, memory):
                found = attack(port, repo, options.requests, seed, memory)
            bad += [f"{front}: {words}" for words in found.bad]
            times = f"{1000 * found.quiet:.1f} ms alone, {1000 * found.beside:.1f} ms beside"
            more = f", {found.memory / MIB:.0f} MiB" if found.memory else ""
            statuses = dict(sorted(found.statuses.items()))
            say(f"{front}: {options.requests} requests, /healthz p99 {times}{more}; {statuses}")
    say(*bad, "none harmful" if not bad else f"{len(bad)} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
