"""What readers read, and who serves it: a published repo, and every server in front of it."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.builds import Build
from bench.measure import tree
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.ports.store import Store
from tests.front.bucket import Published, model
from tests.servers.child import child, run
from tests.servers.nginx import nginx
from tests.servers.ports import LOOPBACK, answers, free_port

LARGE = 256 << 20  # bytes
SMALL = 4 << 10
SMALL_FILES = 200  # different ones
PATHS = 1000  # of a repo whose listing has pages
MANY = 100_000  # paths of a repo about which many ask

_PLAIN = """
worker_processes auto;
pid {folder}/pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 4096; }}
http {{
    sendfile on;
    tcp_nopush on;
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {frame}
    server {{
        listen {host}:{port} reuseport;
        {locations}
    }}
}}
"""
_PROXY_FRAME = """
    proxy_cache_path {folder}/cache keys_zone=objects:10m max_size=8g use_temp_path=off;
    upstream bucket {{ server {server}; keepalive 64; }}
    proxy_http_version 1.1;
    proxy_set_header Host {server};
    proxy_set_header Connection "";
"""
_PROXY = """
        location / {{ proxy_pass http://bucket/{bucket}/; }}
        location /cached/ {{
            proxy_pass http://bucket/{bucket}/;
            proxy_cache objects;
            proxy_cache_valid 200 1d;
            proxy_cache_lock on;
        }}
"""


@dataclass(frozen=True)
class Content:
    """A repo that every server has."""

    repo: Published
    commit: CommitId
    large: Sha256
    small: tuple[Sha256, ...]

    @property
    def at(self) -> str:
        return f"{self.repo.at}/resolve/{self.commit}"

    def large_at(self, *, by_key: bool) -> str:
        return f"/{blob_key(self.large)}" if by_key else f"{self.at}/large.bin"

    def small_at(self, *, by_key: bool) -> list[str]:
        keys = [f"/{blob_key(digest)}" for digest in self.small]
        return keys if by_key else [f"{self.at}/part/{number:04}.bin" for number in range(len(keys))]


def publish(store: Store) -> Content:
    """One large file, and a thousand paths of small ones: the same bytes at every call."""
    source = random.Random(1)
    small = [source.randbytes(SMALL) for _ in range(SMALL_FILES)]
    large = b"".join(source.randbytes(1 << 20) for _ in range(LARGE >> 20))
    repo = model(store, "bench/readers")
    files = {f"part/{number:04}.bin": small[number % SMALL_FILES] for number in range(PATHS)}
    commit = repo.publish({**files, "large.bin": large}, commit=CommitId("1" * 40))
    return Content(repo, commit, Sha256.of(large), tuple(map(Sha256.of, small)))


def publish_many(store: Store, files: int = MANY) -> Published:
    """A repo of so many files, of a few contents."""
    repo = model(store, "bench/many")
    repo.publish({path_of(number): b"%d" % (number % 16) for number in range(files)}, commit=CommitId("2" * 40))
    return repo


def path_of(number: int) -> str:
    """A file of the repo of many."""
    return f"data/{number // 1000:03}/file-{number:06}.txt"


@dataclass(frozen=True)
class Running:
    """A server under load."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """What it and its workers have used so far, by the clocks of the processes: proc(5)'s stat counts in 10 ms."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in tree(self.pid))


def _cpu_clock(pid: int) -> int:
    """As clock_getcpuclockid(3) of glibc names the CPU clock of a process, all its threads."""
    return ~pid << 3 | 2


@contextmanager
def plain_files(root: Path, folder: Path) -> Iterator[Running]:
    """Nginx as anybody would set it up over a directory."""
    with _plain(folder, "", f"root {root};") as running:
        yield running


@contextmanager
def plain_proxy(bucket: S3Target, folder: Path) -> Iterator[Running]:
    """Nginx as anybody would set it up before a public bucket; under ``/cached`` it keeps what it has read."""
    server = (bucket.endpoint_url or "").removeprefix("http://")
    frame = _PROXY_FRAME.format(folder=folder, server=server)
    with _plain(folder, frame, _PROXY.format(bucket=bucket.bucket)) as running:
        yield running


@contextmanager
def _plain(folder: Path, frame: str, locations: str) -> Iterator[Running]:
    folder.mkdir()
    port, user = free_port(), "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    values = {"folder": folder, "user": user, "host": LOOPBACK, "port": port}
    configuration.write_text(_PLAIN.format(**values, frame=frame, locations=locations))
    with nginx(configuration, port) as running:
        yield Running(running.url, running.child.pid)


@contextmanager
def front(
    build: Build, target: Target, folder: Path, cache_size: int, access: Mapping[str, object] | None = None
) -> Iterator[Running]:
    """Nginx as ``mirror-sync front nginx`` of a build sets it up; `access` as jobs.yaml says it."""
    folder.mkdir()
    port = free_port()
    said: dict[str, object] = {"listen": f"{LOOPBACK}:{port}", "cache": f"{cache_size >> 20}MiB" if cache_size else "0"}
    if os.geteuid() == 0:
        said["user"] = "root"  # the bench's folders are for their owner alone
    jobs = _jobs(target, folder, {"front": said} if access is None else {"front": said, "access": access})
    run([build.program, "-c", jobs, "front", "nginx", "-o", folder / "nginx"])
    with nginx(folder / "nginx/nginx.conf", port) as running:
        yield Running(running.url, running.child.pid)


@contextmanager
def serve(build: Build, target: Target, folder: Path, access: Mapping[str, object] | None = None) -> Iterator[Running]:
    """``mirror-sync serve`` of a build; `access` as jobs.yaml says it."""
    folder.mkdir()
    port = free_port()
    jobs = _jobs(target, folder, {"front": {}} if access is None else {"front": {}, "access": access})
    command: list[str | Path] = [build.program, "-c", jobs, "serve", "--port", str(port)]
    with child(command, folder / "log") as running:
        running.wait_until(lambda: answers(port), 30)
        yield Running(f"http://{LOOPBACK}:{port}", running.pid)


def _jobs(target: Target, folder: Path, said: Mapping[str, object]) -> Path:
    path = folder / "jobs.yaml"
    document = {
        "version": 1,
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [f"http://{LOOPBACK}:9"]}},
        "targets": {"mirror": _target(target)},
        "licenses": {"allow": ["mit"]},
        **said,
        "jobs": [{"name": "none", "upstream": "hub", "target": "mirror", "repos": ["bench/readers"]}],
    }
    path.write_text(json.dumps(document))
    return path


def _target(target: Target) -> dict[str, str]:
    if isinstance(target, DirectoryTarget):
        return {"url": target.root.as_uri()}
    return {
        "url": f"s3://{target.bucket}",
        "endpoint_url": target.endpoint_url or "",
        "access_key": target.access_key or "",
        "secret_key": target.secret_key or "",
        "addressing": "path",
    }
