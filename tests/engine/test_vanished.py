"""What a target is known to have published is looked for by name; a list that lacks it is not believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.keys import blob_key
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.verify import Verification
from mirror_sync.errors import Vanished
from mirror_sync.ports import Stat, Store
from tests.engine.machines import HOUR, Clock, Machine, Shelf, Upstream, View, blobs_of
from tests.engine.workshop import Recording, Workshop, job
from tests.standin import Hub

ACME = job("acme/*", workers=1)


class Forgetful(View):
    """From its list number `first` on it leaves out a repo that is there."""

    first = 1
    lists = 0

    def list(self, prefix: str) -> Iterator[Stat]:
        self.lists += prefix == "hub/"
        for stat in super().list(prefix):
            if self.lists < self.first or "acme--x" not in stat.key:
                yield stat


class Listing(Recording):
    """Remembers what was listed."""

    def __init__(self, store: Store, lists: list[str]) -> None:
        super().__init__(store)
        self._lists = lists

    def list(self, prefix: str) -> Iterator[Stat]:
        self._lists.append(prefix)
        return super().list(prefix)


def forgetful(first: int) -> tuple[Machine, Shelf]:
    clock, upstream = Clock(), Upstream()
    shelf = Shelf(clock)
    machine = Machine(upstream, shelf)
    for name in ("x", "y"):
        upstream.commit(f"acme/{name}", {"a": name.encode()})
        machine.sync(job(f"acme/{name}", workers=1))
    shelf.objects[blob_key(Sha256.of(b"unnamed"))] = (b"unnamed", clock.now)
    clock.advance(1000 * HOUR)
    store = Forgetful(shelf)
    store.first = first
    target = replace(machine.site.targets["bucket"], store=store)
    known = frozenset({Repo.parse("acme/x"), Repo.parse("acme/y")})
    machine.site = replace(machine.site, targets={"bucket": target}, remembered=lambda target: known)
    return machine, shelf


def test_no_list_of_a_prune_that_lacks_a_published_repo_is_believed() -> None:
    for first in (1, 2, 3, 4):
        machine, shelf = forgetful(first)
        before = blobs_of(shelf)
        (problem,) = machine.prune(ACME).problems
        assert "it lacks acme/x" in problem
        assert blobs_of(shelf) == before


def test_a_repo_that_a_list_leaves_out_is_verified_by_its_name() -> None:
    machine, _ = forgetful(1)
    report = Verification(machine.site, jobs=[ACME]).run()
    assert (report.ok, report.repos) == (True, 2)


def test_a_repo_that_goes_by_another_name_here_is_not_missed(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/old", license="mit").commit({"a": b"1"})
    hub.rename("acme/old", "acme/new")
    hub.model("BAAI/bge", license="mit").commit({"a": b"1"})
    workshop.sync(job("acme/old", "baai/bge"))
    known = frozenset({Repo.parse("acme/old"), Repo.parse("baai/bge"), Repo.parse("acme/lost")})
    workshop.site = replace(workshop.site, remembered=lambda target: known)
    assert [(fault.repo, fault.code) for fault in workshop.verify().faults] == [("acme/lost", Vanished.code)]


def test_nothing_is_published_into_an_emptied_target_which_is_listed_once(hub: Hub, workshop: Workshop) -> None:
    names = [f"acme/{name}" for name in "abc"]
    for name in names:
        hub.model(name, license="mit").commit({"a": b"1"})
    lists: list[str] = []
    workshop.use(Listing(workshop.store.store, lists))
    workshop.site = replace(workshop.site, remembered=lambda target: frozenset(map(Repo.parse, names[:2])))
    report = workshop.sync(job(*names))
    assert {repo.repo: repo.code for repo in report.repos} == dict.fromkeys(names, "vanished")
    assert lists == ["hub/"]
    assert workshop.store.written == []
    lists.clear()
    workshop.site = replace(workshop.site, remembered=lambda target: frozenset())
    assert workshop.sync(job(*names)).ok
    workshop.site = replace(workshop.site, remembered=lambda target: frozenset(map(Repo.parse, names)))
    lists.clear()
    assert workshop.sync(job(*names)).ok
    assert lists == [], "a run that finds everything makes no call more"
