"""How a target is asked what it holds already: in few calls, and what is believed of the answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirror_sync.domain.content.keys import BLOBS, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.errors import StoreDenied
from mirror_sync.ports.store import Stat
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.engine.workshop import PART, Recording, Workshop, job
from tests.standin import LFS, Hub

BODIES = [b"body %d" % number for number in range(100)]


class Asked(Recording):
    """A target that notes which blobs it was asked for, and lists what a test says."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(DirectoryStore(workshop.folder / "bucket", part_size=PART))
        self.looks: list[str] = []
        self.refuses = self.lags = False

    def stat(self, key: str) -> Stat | None:
        self.looks.append(key)
        return super().stat(key)

    def list(self, prefix: str) -> Iterator[Stat]:
        if prefix != BLOBS:
            return super().list(prefix)
        if self.refuses:
            raise StoreDenied("no lists for you")
        return iter(()) if self.lags else super().list(prefix)


@pytest.fixture
def asked(workshop: Workshop) -> Asked:
    store = Asked(workshop)
    workshop.use(store)
    return store


def offer(hub: Hub, name: str, bodies: list[bytes]) -> None:
    hub.model(name, license="mit").commit({f"f{body.decode()}": LFS(body) for body in bodies})


def looked_for(store: Asked, bodies: list[bytes]) -> set[bytes]:
    return {body for body in bodies if blob_key(Sha256.of(body)) in store.looks}


def test_a_new_target_is_asked_by_one_list_and_not_for_each_content(hub: Hub, workshop: Workshop, asked: Asked) -> None:
    offer(hub, "acme/x", BODIES)
    assert workshop.sync_one(job("acme/x")).fetched_files == len(BODIES)
    assert looked_for(asked, BODIES) == set()


def test_what_a_list_tells_of_is_looked_for_all_the_same(hub: Hub, workshop: Workshop, asked: Asked) -> None:
    offer(hub, "acme/x", BODIES[:70])
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    gone = blob_key(Sha256.of(BODIES[0]))
    offer(hub, "acme/y", [*BODIES, *(b"more %d" % number for number in range(60))])
    asked.delete([gone])
    asked.looks.clear()
    report = workshop.sync_one(job("acme/y"))
    assert (report.fetched_files, report.reused_files) == (30 + 60 + 1, 69)
    assert looked_for(asked, BODIES) == set(BODIES[1:70])


@pytest.mark.parametrize("fault", ["refuses", "lags"])
def test_a_list_that_is_refused_or_lags_costs_calls_and_nothing_else(
    hub: Hub, workshop: Workshop, asked: Asked, fault: str
) -> None:
    offer(hub, "acme/x", BODIES)
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    setattr(asked, fault, True)
    offer(hub, "acme/y", BODIES)
    report = workshop.sync_one(job("acme/y"))
    assert report.outcome == "published"
    assert workshop.files("acme/y").items() >= {f"f{body.decode()}": body for body in BODIES}.items()
    assert (report.fetched_files > 1) is (fault == "lags")
