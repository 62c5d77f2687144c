"""`verify` names every published thing that is not right."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import VerifyReport
from mirror_sync.engine.upkeep.verify import Verification
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Store
from mirror_sync.stores.wrapped_store import WrappedStore
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub
from tests.waiting import PATIENCE


@pytest.fixture
def mirror(hub: Hub, workshop: Workshop) -> Workshop:
    hub.model("acme/x", license="mit").commit({"a": b"1", "w": LFS(b"weights")})
    hub.model("acme/y", license="mit").commit({"also-a": b"1"})
    workshop.sync(job("acme/*"))
    return workshop


def _verify(workshop: Workshop) -> VerifyReport:
    return Verification(workshop.context).run()


def _path(root: Path, digest: Sha256) -> Path:
    return root / "bucket" / blob_key(digest)


def test_a_sound_mirror_has_no_fault_and_every_blob_is_hashed_once(mirror: Workshop) -> None:
    report = _verify(mirror)
    assert report.ok
    assert (report.repos, report.snapshots, report.faults) == (2, 2, ())
    assert report.blobs == len(mirror.blobs())
    assert report.bytes == sum(stat.size for stat in mirror.store.list("blobs/"))


def test_a_missing_a_short_and_a_changed_blob_are_named_by_repo_path_and_digest(
    mirror: Workshop, tmp_path: Path
) -> None:
    small, large = Sha256.of(b"1"), Sha256.of(b"weights")
    _path(tmp_path, large).write_bytes(b"WEIGHTS")
    _path(tmp_path, small).unlink()
    faults = {(fault.path in ("a", "also-a"), fault.sha256, fault.problem) for fault in _verify(mirror).faults}
    assert faults == {
        (True, small, "missing"),
        (False, large, f"holds other bytes, of digest {Sha256.of(b'WEIGHTS')}"),
    }
    _path(tmp_path, large).write_bytes(b"weight")
    assert "6 bytes instead of 7" in {fault.problem for fault in _verify(mirror).faults}


@pytest.mark.parametrize("document", ["root", "info", "shard"])
def test_a_damaged_document_is_named_by_repo_and_digest(mirror: Workshop, tmp_path: Path, document: str) -> None:
    root = mirror.root("acme/x")
    digest = {
        "root": mirror.refs("acme/x").snapshots[root.commit],
        "info": root.info,
        "shard": root.shards[0].digest,
    }[document]
    _path(tmp_path, digest).write_bytes(b"[]")
    (fault,) = _verify(mirror).faults
    assert (fault.repo, fault.commit, fault.sha256, fault.path) == ("acme/x", root.commit, digest, "")
    _path(tmp_path, digest).unlink()
    (fault,) = _verify(mirror).faults
    assert fault.problem == "missing"


def test_refs_that_cannot_be_read_are_a_fault_and_the_other_repos_are_verified(
    mirror: Workshop, tmp_path: Path
) -> None:
    (tmp_path / "bucket/hub/models/acme--x/refs.json").write_bytes(b"{")
    report = _verify(mirror)
    assert [(fault.repo, fault.path) for fault in report.faults] == [("acme/x", "refs.json")]
    assert report.snapshots == 1


def test_a_stop_ends_it_early_and_is_no_success(mirror: Workshop) -> None:
    mirror.stop.set()
    report = _verify(mirror)
    assert report.interrupted
    assert not report.ok


def test_one_large_blob_keeps_none_of_those_behind_it_waiting(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/many", license="mit").commit({f"{number:03}": b"%d" % number for number in range(100)})
    workshop.sync(job("acme/many"))
    first = blob_key(Sha256.of(b"0"))
    store = Waiting(workshop.store, first, others=45)
    bucket = replace(workshop.context.targets["bucket"], store=store)
    report = Verification(replace(workshop.context, targets={"bucket": bucket})).run()
    assert report.ok
    assert not store.gave_up


class Waiting(WrappedStore):
    """Gives one object when so many others were asked for."""

    def __init__(self, base: Store, slow: str, others: int) -> None:
        super().__init__(base)
        self._slow, self._others = slow, others
        self._asked = threading.Semaphore(0)
        self.gave_up = False

    @contextmanager
    def read(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[ByteStream]:
        if key == self._slow:
            self.gave_up = not all(self._asked.acquire(timeout=PATIENCE) for _ in range(self._others))
        else:
            self._asked.release()
        with self.store.read(key, start, stop) as stream:
            yield stream
