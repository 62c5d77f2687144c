"""Where a test's objects lie, in a form that other processes can be given; and what those processes do there."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import pytest

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget, S3Target, Target
from mirror_sync.ports.store import Store
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.s3.bucket_store import S3Options, S3Store
from tests import waiting
from tests.servers.bucket import S3Server

MIB = 1024 * 1024
PART_SIZE = 5 * MIB  # the least that S3 takes, so that an object of any size is cut into parts of just this
_FRESH = multiprocessing.get_context("spawn")
_PATIENCE = waiting.PATIENCE  # seconds, after which a child is hung


class Place(Protocol):
    """A place, empty at first; every `open` gives a store of its own on it."""

    def open(self) -> Store: ...


@dataclass(frozen=True)
class Folder:
    root: Path
    part_size: int = PART_SIZE

    def open(self) -> Store:
        return DirectoryStore(self.root, part_size=self.part_size)


@dataclass(frozen=True)
class Bucket:
    target: S3Target
    part_size: int = PART_SIZE

    def open(self) -> Store:
        return S3Store(self.target, S3Options(part_size=self.part_size))


def target_on(server: S3Server, prefix: str = "", bucket: str | None = None) -> S3Target:
    """A bucket of a server, a new one unless it is named."""
    name = bucket or server.make_bucket()
    return S3Target(name, server.endpoint_url, None, server.access_key, server.secret_key, prefix, "path")


def target_of(request: pytest.FixtureRequest, folder: Path, prefix: str = "", **said: Any) -> Target:
    """That of a fixture's parameter: `directory` is this folder, any other the fixture of a server, with a new bucket.

    `said` are further keys of an S3 target.
    """
    if request.param == "directory":
        return DirectoryTarget(folder)
    return replace(target_on(request.getfixturevalue(request.param), prefix), **said)


def store_in(server: S3Server, prefix: str = "", bucket: str | None = None, **said: Any) -> S3Store:
    """A store on a bucket of a server; `said` are further keys of the target."""
    return S3Store(replace(target_on(server, prefix, bucket), **said), S3Options(part_size=PART_SIZE))


def store_at(endpoint_url: str, prefix: str = "", read_timeout: float = 30, **said: Any) -> S3Store:
    """A store on bucket b wherever that is; `said` are further keys of the target."""
    target = S3Target("b", endpoint_url, None, "AKEY", "a-secret", prefix, "path")
    return S3Store(replace(target, **said), S3Options(read_timeout=read_timeout, attempts=2))


def put(store: Store, key: str, body: bytes) -> None:
    store.put(key, body, Sha256.of(body))


def read(store: Store, key: str, start: int = 0, stop: int | None = None) -> bytes:
    """What a stream gives, read through a buffer that fits nothing."""
    body = bytearray()
    buffer = memoryview(bytearray(100_003))
    with store.read(key, start, stop) as stream:
        while count := stream.readinto(buffer):
            body += buffer[:count]
    return bytes(body)


def keys(store: Store, prefix: str = "") -> list[str]:
    """In order, whatever that of the store is; what is listed twice is here twice."""
    return sorted(stat.key for stat in store.list(prefix))


def in_child(work: Callable[..., None], *arguments: Any) -> Any:
    """What `work` sends through its first argument, done in a fresh process that then ends."""
    with child(work, *arguments) as (_, answers):
        return answer(answers)


def answer(answers: Connection) -> Any:
    assert answers.poll(_PATIENCE), "the child says nothing"
    return answers.recv()


@contextmanager
def child(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """A fresh process that does `work(connection, *arguments)`, awaited at the end of the block."""
    ours, theirs = _FRESH.Pipe()
    process = _FRESH.Process(target=work, args=(theirs, *arguments))
    process.start()
    theirs.close()
    try:
        yield process, ours
        process.join(_PATIENCE)
    finally:
        process.kill()
        process.join()


def write_again_and_again(answers: Connection, place: Place, key: str, body: bytes, times: int) -> None:
    store = place.open()
    for _ in range(times):
        put(store, key, body)
    answers.send(None)


def upload_half(answers: Connection, place: Place, key: str) -> None:
    """Puts the first of two parts, says so, and waits to be killed."""
    store = place.open()
    with store.begin(key, 2 * store.part_size) as upload:
        upload.put(0, bytes(store.part_size))
        answers.send(None)
        answers.recv()


def upload_half_and_tell(answers: Connection, place: Place, key: str) -> None:
    """Puts the first of two parts, sends the token, begins the second, and waits to be killed."""
    store = place.open()
    with store.begin(key, 2 * store.part_size) as upload:
        upload.put(0, b"a" * store.part_size)
        upload.put(1, bytes(store.part_size))
        answers.send(upload.token(1))
        answers.recv()


def upload_with_one_buffer(answers: Connection, place: Place, key: str, size: int) -> None:
    """Sends by how many bytes the peak of our memory grew beyond the one buffer."""
    store = place.open()
    put(store, "warm-up", b"x")
    buffer = bytearray(store.part_size)
    before = _peak()
    with store.begin(key, size) as upload:
        for number in range(size // upload.part_size):
            upload.put(number, buffer)
        upload.complete()
    answers.send(_peak() - before)


def _peak() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
