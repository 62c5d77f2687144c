"""The index is a cache: whatever becomes of it, a repo is published; and other repos' damage is theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.engine.known_contents import known_digests
from mirror_sync.errors import StoreFull, StoreUnavailable
from mirror_sync.ports.byte_stream import ByteStream
from tests.engine.machines import Index
from tests.engine.workshop import Recording, Workshop, job
from tests.standin import LFS, Hub
from tests.waiting import PATIENCE

ALL = ("known", "known-claimed", "remember", "remember-claimed", "mark_complete")


class Broken(Index):
    """An index that fails in some of its verbs."""

    def __init__(self, *verbs: str) -> None:
        super().__init__()
        self._verbs = verbs

    def known(self, oids: Iterable[GitOid], *, proved: bool) -> Mapping[GitOid, Sha256]:
        self._fail("known" if proved else "known-claimed", StoreUnavailable)
        return super().known(oids, proved=proved)

    def remember(self, pairs: Mapping[GitOid, Sha256], *, proved: bool) -> None:
        self._fail("remember" if proved else "remember-claimed", StoreFull)
        super().remember(pairs, proved=proved)

    def mark_complete(self) -> None:
        self._fail("mark_complete", StoreFull)

    def _fail(self, verb: str, error: Callable[[str], Exception]) -> None:
        if verb in self._verbs:
            raise error("the state disk")


def _use(workshop: Workshop, index: Index) -> None:
    workshop.context = replace(
        workshop.context, targets={"bucket": replace(workshop.context.targets["bucket"], index=index)}
    )


@pytest.mark.parametrize("verbs", [*((verb,) for verb in ALL), ALL])
def test_an_index_that_fails_costs_no_repo(hub: Hub, workshop: Workshop, verbs: tuple[str, ...]) -> None:
    hub.model("acme/other", license="mit").commit({"a": b"0"})
    workshop.sync(job("acme/other"))
    _use(workshop, Broken(*verbs))
    hub.model("acme/x", license="mit").commit({"a": b"1", "w": LFS(b"weights")})
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    assert workshop.files("acme/x") == {"a": b"1", "w": b"weights"}


def test_an_index_whose_file_cannot_be_opened_costs_no_repo(hub: Hub, workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "index.db").mkdir()
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    assert workshop.sync_one(job("acme/x")).outcome == "published"


@pytest.mark.parametrize("refs", [b"{}", b"\xff", b"[]"])
def test_a_damaged_refs_json_of_another_repo_costs_nobody_else(
    hub: Hub, workshop: Workshop, tmp_path: Path, refs: bytes
) -> None:
    damaged = tmp_path / "bucket/hub/models/acme--damaged/refs.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(refs)
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    assert workshop.index.complete


def test_what_landed_is_learned_even_where_its_repo_is_not_published(hub: Hub, workshop: Workshop) -> None:
    index = Index(complete=True)
    _use(workshop, index)
    hub.model("acme/x", license="mit").commit({"a": b"1"})

    def before(key: str) -> None:
        if key.startswith("hub/"):
            raise StoreUnavailable("503")

    workshop.store.before_put = before
    assert workshop.sync_one(job("acme/x")).outcome == "failed"
    assert index.pairs == {GitOid.of_blob(b"1"): Sha256.of(b"1")}
    workshop.store.before_put = lambda key: None
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.fetched_files) == ("published", 0)


@pytest.mark.parametrize(("first", "then"), [(LFS(b"hello"), b"hello"), (b"hello", LFS(b"hello"))])
def test_a_content_that_becomes_an_lfs_file_or_ceases_to_be_one_is_not_fetched_again(
    hub: Hub, workshop: Workshop, first: bytes | LFS, then: bytes | LFS
) -> None:
    repo = hub.model("acme/x", license="mit")
    repo.commit({"b": first})
    workshop.sync(job("acme/x"))
    commit = repo.commit({"b": then})
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.commit, report.fetched_files) == ("published", commit, 0)
    assert workshop.files("acme/x") == {"b": b"hello"}


REPOS = 4


class Asked(Index):
    """An empty index of which so many threads find at once that it is not complete, before any of them goes on."""

    def __init__(self, threads: int) -> None:
        self._left, self._all = threads, Barrier(threads, timeout=PATIENCE)
        super().__init__()

    @property
    def complete(self) -> bool:
        if self._left > 0:
            self._all.wait()
            self._left = 0
        return self._complete

    @complete.setter
    def complete(self, value: bool) -> None:
        self._complete = value


def _publish(hub: Hub, workshop: Workshop) -> None:
    for number in range(REPOS):
        hub.model(f"acme/r{number}", license="mit").commit({"a": b"%d" % number})
    assert workshop.sync(job("acme/*")).ok


def _ask(workshop: Workshop, number: int = 0) -> int:
    oid = GitOid.of_blob(b"%d" % number)
    return len(known_digests(workshop.context.targets["bucket"], [oid], workshop.context.go_on).claimed)


def test_an_index_is_filled_by_one_walk_however_many_repos_ask_at_once(hub: Hub, workshop: Workshop) -> None:
    _publish(hub, workshop)
    _use(workshop, Asked(REPOS))
    workshop.store.reads.clear()
    with ThreadPoolExecutor(REPOS) as repos:
        assert list(repos.map(lambda number: _ask(workshop, number), range(REPOS))) == [1] * REPOS
    assert set(Counter(workshop.store.reads).values()) == {1}


class Hiccup(Recording):
    """A target of which the read of one key fails, so many times."""

    def __init__(self, store: Recording, key: str, times: int = 1) -> None:
        super().__init__(store.store)
        self._key, self._times = key, times

    def read(self, key: str, start: int = 0, stop: int | None = None) -> AbstractContextManager[ByteStream]:
        if key == self._key and self._times:
            self._times -= 1
            raise StoreUnavailable("503")
        return super().read(key, start, stop)


def test_a_walk_that_a_hiccup_ended_is_gone_on_with(hub: Hub, workshop: Workshop) -> None:
    _publish(hub, workshop)
    workshop.use(Hiccup(workshop.store, f"hub/models/acme--r{REPOS - 1}/refs.json"))
    _use(workshop, Index())
    assert _ask(workshop) == 1
    assert not workshop.context.targets["bucket"].index.complete
    assert _ask(workshop, REPOS - 1) == 1
    assert workshop.context.targets["bucket"].index.complete
    assert set(Counter(workshop.store.reads).values()) == {1}


def test_who_waited_for_a_walk_that_failed_goes_on_without_one(hub: Hub, workshop: Workshop) -> None:
    """Else each repo of a run would wait for the failures of all before it."""
    _publish(hub, workshop)
    workshop.use(Hiccup(workshop.store, "hub/models/acme--r0/refs.json"))
    _use(workshop, Asked(REPOS))
    with ThreadPoolExecutor(REPOS) as repos:
        assert list(repos.map(lambda number: _ask(workshop, number), range(REPOS))) == [0] * REPOS
    assert workshop.store.reads == []


def test_an_index_that_is_lost_is_filled_again_by_the_same_process(hub: Hub, workshop: Workshop) -> None:
    _publish(hub, workshop)
    for _ in range(2):
        _use(workshop, Index())
        assert [_ask(workshop, number) for number in range(REPOS)] == [1] * REPOS
