"""The index is a cache: whatever becomes of it, a repo is published; and other repos' damage is theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.digest import GitOid, Sha256
from mirror_sync.errors import StoreFull, StoreUnavailable
from tests.engine.machines import Index
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub

ALL = ("known", "told", "learn", "hear", "mark_complete")


class Broken(Index):
    """An index that fails in some of its verbs."""

    def __init__(self, *verbs: str) -> None:
        super().__init__()
        self._verbs = verbs

    def known(self, oids: Iterable[GitOid]) -> Mapping[GitOid, Sha256]:
        self._fail("known", StoreUnavailable)
        return super().known(oids)

    def learn(self, pairs: Mapping[GitOid, Sha256]) -> None:
        self._fail("learn", StoreFull)
        super().learn(pairs)

    def told(self, oids: Iterable[GitOid]) -> Mapping[GitOid, Sha256]:
        self._fail("told", StoreUnavailable)
        return super().told(oids)

    def hear(self, pairs: Mapping[GitOid, Sha256]) -> None:
        self._fail("hear", StoreFull)
        super().hear(pairs)

    def mark_complete(self) -> None:
        self._fail("mark_complete", StoreFull)

    def _fail(self, verb: str, error: Callable[[str], Exception]) -> None:
        if verb in self._verbs:
            raise error("the state disk")


def _use(workshop: Workshop, index: Index) -> None:
    workshop.site = replace(workshop.site, targets={"bucket": replace(workshop.site.targets["bucket"], index=index)})


@pytest.mark.parametrize("verbs", [("known",), ("told",), ("learn",), ("hear",), ("mark_complete",), ALL])
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
