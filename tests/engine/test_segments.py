"""One large file comes on as many connections as were asked for, and is whole."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.ports.store import Store
from mirror_sync.sources.wrappers.source_wrapper import Wrapper
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Generated, Hub, faults
from tests.waiting import PATIENCE

MIB = 1 << 20
PART = 8 * MIB
BIG = Generated(8 * PART, 3)


class Counting(Wrapper):
    """Counts streams that are open at once; the first of them wait until there are `gather` of them."""

    def __init__(self, source: Source, gather: int) -> None:
        super().__init__(source)
        self._lock = threading.Lock()
        self._together = threading.Barrier(gather)
        self._asked, self._gather, self._open = 0, gather, 0
        self.most = 0

    @contextmanager
    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> Iterator[ByteStream]:
        with self._source.fetch(repo, commit, file, start, stop) as stream:
            if file.size < PART:
                yield stream
                return
            with self._lock:
                self._asked += 1
                self._open += 1
                self.most, first = max(self.most, self._open), self._asked <= self._gather
            try:
                if first:
                    self._together.wait(timeout=PATIENCE)
                yield stream
            finally:
                with self._lock:
                    self._open -= 1


def open_workshop(hub: Hub, folder: Path) -> Workshop:
    return Workshop(hub.url, folder / "state", store=DirectoryStore(folder / "bucket", part_size=PART))


def counted(workshop: Workshop, gather: int) -> Counting:
    (name,) = workshop.context.sources
    source = Counting(workshop.context.sources[name], gather)
    workshop.context = replace(workshop.context, sources={name: source})
    return source


def digest_of(store: Store) -> str:
    running, chunk = hashlib.sha256(), memoryview(bytearray(MIB))
    with store.read(blob_key(Sha256(BIG.sha256))) as stream:
        while count := stream.readinto(chunk):
            running.update(chunk[:count])
    return running.hexdigest()


@pytest.mark.parametrize("segments", [1, 2, 6, 16])
def test_so_many_segments_of_a_large_file_are_in_flight_and_no_more(hub: Hub, tmp_path: Path, segments: int) -> None:
    hub.model("acme/x", license="mit").commit({"big": LFS(BIG)})
    workshop = open_workshop(hub, tmp_path)
    source = counted(workshop, segments)
    workshop.sync(job("acme/x", segments=segments))
    assert source.most == segments
    assert digest_of(workshop.store) == BIG.sha256


def test_a_segment_that_breaks_off_costs_no_wrong_byte(hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/x", license="mit").commit({"big": LFS(BIG)})
    hub.faults.add(faults.cut(after=MIB // 2), "GET *", origin="cdn", times=3, skip=5)
    workshop = open_workshop(hub, tmp_path)
    wanted = job("acme/x", segments=16)
    workshop.sync(wanted)
    workshop.sync(wanted)
    assert digest_of(workshop.store) == BIG.sha256
