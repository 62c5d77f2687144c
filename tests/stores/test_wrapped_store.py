"""A wrapper of a store passes every verb of the port, and one for readers lets nothing be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from mirror_sync.config.load import load
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreError
from mirror_sync.ports.store import Store, read_all
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.wrapped_store import ReadOnlyStore, WrappedStore
from mirror_sync.wiring.program import Mirror

T = TypeVar("T")
BODY = b"hello"
KEY = blob_key(Sha256.of(BODY))
VERBS = {verb for verb in vars(Store) if not verb.startswith("_")} - {"part_size", "readers", "confirm"}
WRITES: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put(KEY, BODY, Sha256.of(BODY)),
    "begin": lambda store: store.begin(KEY, 1 << 24),
    "touch": lambda store: store.touch(KEY),
    "sweep": lambda store: store.sweep(0.0),
    "delete": lambda store: store.delete([KEY]),
}
JOBS = """
version: 1
upstreams: {disk: {kind: directory, url: up}}
targets: {mirror: {url: target}}
jobs: [{name: one, repos: ["acme/*"]}]
"""


class Noting(WrappedStore):
    """Notes what goes through it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.noted: list[tuple[str, str]] = []

    def around(self, verb: str, key: str, call: Callable[[Store], T]) -> T:
        self.noted.append((verb, key))
        return super().around(verb, key, call)


@pytest.fixture
def bucket(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "target")
    store.put(KEY, BODY, Sha256.of(BODY))
    store.put("site/pointer", BODY, Sha256.of(BODY))  # now the blob is there for everybody
    return store


def test_every_verb_passes_and_is_seen_on_its_way(bucket: DirectoryStore) -> None:
    store = Noting(bucket)
    assert (store.part_size, store.confirm) == (bucket.part_size, bucket.confirm)
    assert store.stat(KEY) == bucket.stat(KEY)
    assert read_all(store, KEY, 10) == BODY
    assert [found.key for found in store.list("blobs/")] == [KEY]
    assert store.free()
    for write in WRITES.values():
        write(store)
    assert bucket.stat(KEY) is None
    assert {verb for verb, _ in store.noted} == VERBS
    assert ("touch", KEY) in store.noted


def refuses_to_write(store: Store) -> None:
    before = store.stat(KEY)
    assert before is not None
    for verb, write in WRITES.items():
        with pytest.raises(StoreError, match=rf"^{verb}.*: what only reads was about to write; nothing was written$"):
            write(store)
    assert store.stat(KEY) == before
    assert read_all(store, KEY, 10) == BODY


def test_a_store_for_readers_reads_and_refuses_every_other_verb(bucket: DirectoryStore) -> None:
    assert WRITES.keys() | {"stat", "read", "list", "free"} == VERBS
    refuses_to_write(ReadOnlyStore(bucket))


def test_a_program_that_only_reads_cannot_write_to_a_target(bucket: DirectoryStore, tmp_path: Path) -> None:
    """A plan and a rehearsal of a prune, and whatever a front is given."""
    (tmp_path / "up").mkdir()
    (tmp_path / "jobs.yaml").write_text(JOBS, encoding="utf-8")
    mirror = Mirror(load(tmp_path / "jobs.yaml", {}), reading=True)
    try:
        refuses_to_write(mirror._context().targets["mirror"].store)
        refuses_to_write(mirror.store("mirror"))
    finally:
        mirror.close()
    assert bucket.stat(KEY) is not None
