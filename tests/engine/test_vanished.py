"""What a target is known to have published is looked for by name; a list that lacks it is not believed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest

from mirror_sync.domain.content.keys import alias_key, blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.engine.upkeep.verify import Verification
from mirror_sync.engine.vanished import Presence
from mirror_sync.errors import Vanished
from mirror_sync.ports.store import Stat, Store
from mirror_sync.state.target_memory import SqliteReadCache
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
    target = replace(machine.context.targets["bucket"], store=store)
    known = frozenset({Repo.parse("acme/x"), Repo.parse("acme/y")})
    machine.context = replace(machine.context, targets={"bucket": target}, remembered=lambda target: known)
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
    report = Verification(machine.context, jobs=[ACME]).run()
    assert (report.ok, report.repos) == (True, 2)


def test_a_repo_that_goes_by_another_name_here_is_not_missed(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/old", license="mit").commit({"a": b"1"})
    hub.rename("acme/old", "acme/new")
    hub.model("BAAI/bge", license="mit").commit({"a": b"1"})
    workshop.sync(job("acme/old", "baai/bge"))
    known = frozenset({Repo.parse("acme/old"), Repo.parse("baai/bge"), Repo.parse("acme/lost")})
    workshop.context = replace(workshop.context, remembered=lambda target: known)
    assert [(fault.repo, fault.code) for fault in workshop.verify().faults] == [("acme/lost", Vanished.code)]


def test_nothing_is_published_into_an_emptied_target_which_is_listed_once(hub: Hub, workshop: Workshop) -> None:
    names = [f"acme/{name}" for name in "abc"]
    for name in names:
        hub.model(name, license="mit").commit({"a": b"1"})
    lists: list[str] = []
    workshop.use(Listing(workshop.store.store, lists))
    workshop.context = replace(workshop.context, remembered=lambda target: frozenset(map(Repo.parse, names[:2])))
    report = workshop.sync(job(*names))
    assert {repo.repo: repo.code for repo in report.repos} == dict.fromkeys(names, "vanished")
    assert lists == ["trust/withdrawn/", "hub/"], "the first once for a process"
    assert workshop.store.written == []
    lists.clear()
    workshop.context = replace(workshop.context, remembered=lambda target: frozenset())
    assert workshop.sync(job(*names)).ok
    workshop.context = replace(workshop.context, remembered=lambda target: frozenset(map(Repo.parse, names)))
    lists.clear()
    assert workshop.sync(job(*names)).ok
    assert lists == [], "a run that finds everything makes no call more"


def published_by_former_names(hub: Hub, workshop: Workshop, names: Collection[str]) -> list[str]:
    """Jobs know the repos by former names alone; that machine remembers what it wrote. Returns the keys of aliases."""
    for name in names:
        hub.model(f"acme/{name}", license="mit").commit({"a": name.encode()})
        hub.rename(f"acme/{name}", f"acme/{name}-now")
    looks = SqliteReadCache(workshop.folder / "looks.db", "bucket")
    target = replace(workshop.context.targets["bucket"], read_cache=looks)
    known = frozenset(Repo.parse(f"acme/{name}") for name in names)
    workshop.context = replace(workshop.context, targets={"bucket": target})
    assert workshop.sync(*jobs_of(names)).ok
    workshop.context = replace(workshop.context, remembered=lambda target: known)
    return [alias_key(repo) for repo in sorted(known)]


def jobs_of(names: Collection[str]) -> list[Job]:
    return [job(*(f"acme/{name}" for name in sorted(names)))]


@pytest.mark.parametrize("names", ["a", "ab"])
def test_a_lost_alias_of_a_former_name_is_written_by_the_next_sync(hub: Hub, workshop: Workshop, names: str) -> None:
    """As in a bucket that was restored without them: the repos are there, and all that jobs call them leads nowhere."""
    aliases = published_by_former_names(hub, workshop, names)
    workshop.store.delete(aliases)
    assert {fault.code for fault in workshop.verify().faults} == {Vanished.code}
    assert {plan.outcome for plan in workshop.plan(*jobs_of(names)).repos} == {RepoOutcome.UNCHANGED}
    report = workshop.sync(*jobs_of(names))
    assert {repo.outcome for repo in report.repos} == {RepoOutcome.UNCHANGED}
    assert sorted(workshop.store.written) == aliases
    assert workshop.verify().ok
    assert Prune(workshop.context, jobs_of(names)).run().problems == ()
    assert workshop.sync(*jobs_of(names)).ok
    assert workshop.store.written == []


def test_a_target_of_former_names_that_lost_everything_is_emptied(hub: Hub, workshop: Workshop) -> None:
    published_by_former_names(hub, workshop, "ab")
    workshop.store.delete([stat.key for prefix in ("hub/", "blobs/") for stat in workshop.store.list(prefix)])
    assert {repo.code for repo in workshop.sync(*jobs_of("ab")).repos} == {Vanished.code}
    assert workshop.store.written == []


def test_a_run_in_which_nothing_is_missing_never_asks_what_was_published(hub: Hub, workshop: Workshop) -> None:
    """It is the whole history, which each job would wait for."""
    published_by_former_names(hub, workshop, "ab")
    known, asked = workshop.context.remembered("bucket"), list[str]()

    def remembered(target: str) -> frozenset[Repo]:
        asked.append(target)
        return known

    workshop.context = replace(workshop.context, remembered=remembered)
    assert workshop.sync(*jobs_of("ab")).ok
    assert {plan.outcome for plan in workshop.plan(*jobs_of("ab")).repos} == {RepoOutcome.UNCHANGED}
    assert asked == []
    hub.model("acme/new", license="mit").commit({"a": b"new"})
    assert workshop.sync(job("acme/new")).ok
    assert asked == ["bucket"]


def test_a_prune_reads_each_alias_once_for_all_its_lists(hub: Hub, workshop: Workshop) -> None:
    aliases = published_by_former_names(hub, workshop, "ab")
    lists: list[str] = []
    workshop.use(Listing(workshop.store.store, lists))
    assert Prune(workshop.context, jobs_of("ab")).run().problems == ()
    assert lists.count("hub/") > 1
    assert sorted(key for key in workshop.store.reads if key.endswith("/alias.json")) == aliases


@pytest.mark.parametrize(("names", "lost"), [("a", "what was"), ("ab", "the 2 repos that were")])
def test_what_an_emptied_target_lacks_is_said_in_one_sentence(workshop: Workshop, names: str, lost: str) -> None:
    known = frozenset(Repo.parse(f"acme/{name}") for name in names)
    workshop.context = replace(workshop.context, remembered=lambda target: known)
    with pytest.raises(Vanished, match=f"target bucket holds nothing of {lost} published there: is it mounted"):
        Presence(workshop.context, workshop.context.targets["bucket"]).expect()
