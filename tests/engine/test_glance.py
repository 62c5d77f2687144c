"""What has not changed in a target is not read again; what may have changed is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import StoreDenied
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.store import Stat, Store, read_all
from mirror_sync.state.target_memory import SqliteReadCache
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.s3.bucket_store import S3Store
from tests.engine.workshop import Recording, Workshop, job
from tests.servers.bucket import S3Server
from tests.standin import Hub
from tests.stores.places import target_on

NAMES = [f"acme/m{number:02}" for number in range(20)]
MANY = job(*NAMES)


class Watched(Recording):
    """A Store that remembers what was read and listed, too."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.read_keys: list[str] = []
        self.listed: list[str] = []

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        self.read_keys.append(key)
        return super().read(key, start, stop)

    def list(self, prefix: str) -> Iterator[Stat]:
        self.listed.append(prefix)
        return super().list(prefix)


class Unlisted(Watched):
    """A bucket whose keys may not be listed, but for the notices of prunes."""

    def list(self, prefix: str) -> Iterator[Stat]:
        if prefix.startswith("hub/"):
            raise StoreDenied("you may not list")
        return super().list(prefix)


def opened(workshop: Workshop, store: Store, kind: Callable[[Store], Watched] = Watched) -> Watched:
    """The target through a watched store, with the memory of this machine."""
    watched = kind(store)
    workshop.use(watched)
    looks = SqliteReadCache(workshop.folder / "state" / "looks.db", "bucket")
    target = replace(workshop.context.targets["bucket"], read_cache=looks)
    workshop.context = replace(workshop.context, targets={"bucket": target})
    return watched


@pytest.fixture
def bucket(hub: Hub, moto: S3Server) -> Store:
    for name in NAMES:
        hub.model(name, license="mit").commit({"a": name})
    return S3Store(target_on(moto))


def test_a_bucket_that_has_not_changed_is_listed_and_not_read(workshop: Workshop, bucket: Store) -> None:
    watched = opened(workshop, bucket)
    workshop.sync(MANY)
    watched.read_keys.clear()
    watched.listed.clear()
    assert workshop.sync(MANY).count(RepoOutcome.UNCHANGED) == len(NAMES)
    assert watched.read_keys == []
    assert watched.listed == ["hub/models/"]


def test_a_machine_without_memory_reads_everything_once(workshop: Workshop, bucket: Store) -> None:
    workshop.sync(replace(MANY, target="bucket"))
    workshop.use(Recording(bucket))
    workshop.sync(MANY)
    watched = opened(workshop, bucket)
    for reads in (2 * len(NAMES), 0):
        watched.read_keys.clear()
        assert workshop.sync(MANY).count(RepoOutcome.UNCHANGED) == len(NAMES)
        assert len(watched.read_keys) == reads


def test_what_another_machine_changed_is_read_again_also_when_it_changed_back(
    hub: Hub, workshop: Workshop, bucket: Store, tmp_path: Path
) -> None:
    opened(workshop, bucket)
    workshop.sync(MANY)
    other = Workshop(hub.url, tmp_path / "other", store=bucket)
    first = hub.model(NAMES[3]).head()
    hub.model(NAMES[3]).commit({"a": b"22"})
    other.sync(MANY)
    hub.model(NAMES[3]).branch("main", first)
    report = workshop.sync(MANY)
    assert (report.count(RepoOutcome.PUBLISHED), workshop.commit(NAMES[3])) == (1, first)
    other.store.delete([refs_key(Repo.parse(NAMES[3]))])
    assert workshop.sync(MANY).count(RepoOutcome.PUBLISHED) == 1


def test_a_refs_json_that_changes_after_the_listing_is_not_taken_for_what_was_listed(
    hub: Hub, workshop: Workshop, bucket: Store, tmp_path: Path
) -> None:
    other = Workshop(hub.url, tmp_path / "other", store=bucket)
    other.sync(MANY)
    key = refs_key(Repo.parse(NAMES[3]))
    before = read_all(bucket, key, 1 << 20)

    class Slow(Watched):
        def list(self, prefix: str) -> Iterator[Stat]:
            found = list(super().list(prefix))
            if prefix.startswith("hub/"):
                hub.model(NAMES[3]).commit({"a": b"22"})
                other.sync(job(NAMES[3]))
            return iter(found)

    opened(workshop, bucket, Slow)
    workshop.sync(MANY)
    bucket.put(key, before, Sha256.of(before))  # out of a backup: what was listed stands there again
    opened(workshop, bucket)
    assert workshop.sync(MANY).count(RepoOutcome.PUBLISHED) == 1
    assert workshop.commit(NAMES[3]) == hub.model(NAMES[3]).head()


def test_a_few_repos_are_not_worth_a_listing(workshop: Workshop, bucket: Store) -> None:
    watched = opened(workshop, bucket)
    workshop.sync(job(*NAMES[:5]))
    watched.listed.clear()
    workshop.sync(job(*NAMES[:5]))
    assert watched.listed == []


def test_a_bucket_that_may_not_be_listed_is_read(workshop: Workshop, bucket: Store) -> None:
    watched = opened(workshop, bucket, Unlisted)
    workshop.sync(MANY)
    watched.read_keys.clear()
    assert workshop.sync(MANY).count(RepoOutcome.UNCHANGED) == len(NAMES)
    assert sorted(watched.read_keys) == sorted(refs_key(Repo.parse(name)) for name in NAMES)


def test_of_a_directory_refs_are_read_and_roots_are_not(hub: Hub, workshop: Workshop, tmp_path: Path) -> None:
    for name in NAMES:
        hub.model(name, license="mit").commit({"a": name})
    watched = opened(workshop, DirectoryStore(tmp_path / "folder"))
    workshop.sync(MANY)
    watched.read_keys.clear()
    assert workshop.sync(MANY).count(RepoOutcome.UNCHANGED) == len(NAMES)
    assert sorted(watched.read_keys) == sorted(refs_key(Repo.parse(name)) for name in NAMES)


def test_a_root_that_is_lost_is_missed_within_a_day(workshop: Workshop, bucket: Store) -> None:
    opened(workshop, bucket)
    workshop.sync(MANY)
    lost = workshop.refs(NAMES[0]).root_of("main")
    assert lost is not None
    workshop.store.delete([blob_key(lost)])
    workshop.ahead = timedelta(hours=11)
    assert workshop.sync(MANY).count(RepoOutcome.UNCHANGED) == len(NAMES), "a root that was read lately is believed"
    workshop.ahead = timedelta(days=1)
    assert workshop.sync(MANY).count(RepoOutcome.PUBLISHED) == 1
    assert workshop.root(NAMES[0]).files == 1


def test_what_was_read_while_the_clock_was_ahead_is_not_believed(workshop: Workshop, bucket: Store) -> None:
    opened(workshop, bucket)
    workshop.ahead = timedelta(days=3000)
    workshop.sync(MANY)
    workshop.ahead = timedelta(0)
    lost = workshop.refs(NAMES[0]).root_of("main")
    assert lost is not None
    workshop.store.delete([blob_key(lost)])
    assert workshop.sync(MANY).count(RepoOutcome.PUBLISHED) == 1


def test_a_changed_selection_is_seen_at_once(workshop: Workshop, bucket: Store) -> None:
    opened(workshop, bucket)
    workshop.sync(MANY)
    other = replace(MANY, selection=replace(MANY.selection, exclude=("b",)))
    assert workshop.sync(other).count(RepoOutcome.PUBLISHED) == len(NAMES)
    assert workshop.sync(other).count(RepoOutcome.UNCHANGED) == len(NAMES)


def test_a_memory_that_cannot_be_used_costs_reads_and_no_repo(workshop: Workshop, bucket: Store) -> None:
    opened(workshop, bucket)
    (workshop.folder / "state" / "looks.db").mkdir(parents=True)
    assert workshop.sync(MANY).ok
    assert workshop.sync(MANY).count(RepoOutcome.UNCHANGED) == len(NAMES)
