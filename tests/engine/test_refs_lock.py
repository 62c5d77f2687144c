"""A repo has two locks on a machine: a long one of who brings or removes what it names, and in it a short one."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import mirror_sync
from mirror_sync.domain.audit_record import AuditRecord, Verb
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import PINNED, VERSIONS
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.outcome.report import RepoReport
from mirror_sync.domain.policy.scan_policy import ScanResult
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.context import Target
from mirror_sync.engine.inspection.inspection_memory import TurnedFile
from mirror_sync.engine.inspection.turned_notes import note_turned
from mirror_sync.engine.upkeep.move_names import Decide, history_of, move_name
from mirror_sync.engine.upkeep.take_down import let_come_back, take_down
from mirror_sync.engine.upkeep.verify import Scope, Verification
from mirror_sync.ports.audit import NoAudit
from mirror_sync.ports.byte_stream import ByteStream
from tests.engine.machines import HOUR, Clock, Machine, Shelf, Upstream, View, expect_complete, refs_of
from tests.engine.test_moved_names import REPO, X, back, to, unpin
from tests.waiting import PATIENCE

AT = "2026-01-01T06:00:00Z"


class Held(Upstream):
    """An upstream that answers for no file before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may = threading.Event(), threading.Event()
        self.may.set()

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        self.asked.set()
        assert self.may.wait(PATIENCE)
        return super().fetch(repo, commit, file, start, stop)

    def hold(self) -> None:
        self.asked.clear()
        self.may.clear()


class Locks:
    """Those of a machine's target: fails where who holds the inner lock of a repo takes any."""

    def __init__(self, machine: Machine) -> None:
        self._outer, self._inner = (defaultdict[Repo, threading.Lock](threading.Lock) for _ in range(2))
        self._mine = threading.local()
        self.written = list[str]()
        target = machine.context.targets["bucket"]
        self.target: Target = replace(target, lock=self.outer, refs_lock=self.inner)
        machine.context = replace(machine.context, targets={"bucket": self.target})
        machine.view.before = self._step

    def is_under_way(self, repo: Repo) -> bool:
        """Whether somebody has the long lock of a repo."""
        return self._outer[repo].locked()

    @property
    def holds(self) -> Repo | None:
        return getattr(self._mine, "holds", None)

    @contextmanager
    def outer(self, repo: Repo) -> Iterator[None]:
        assert self.holds is None, "the inner lock is the last"
        with self._outer[repo]:
            yield

    @contextmanager
    def inner(self, repo: Repo) -> Iterator[None]:
        assert self.holds is None, "the inner lock is the last"
        with self._inner[repo]:
            self._mine.holds = repo
            try:
                yield
            finally:
                self._mine.holds = None

    def _step(self, verb: str, key: str) -> None:
        if verb == "put" and key.endswith("refs.json"):
            assert self.holds is not None, "a refs.json is written under the inner lock"
            assert key == refs_key(self.holds)
            self.written.append(key)


class Site:
    """A machine whose locks are looked at, over a target that has two commits of x."""

    def __init__(self) -> None:
        self.upstream, self.shelf = Held(), Shelf(Clock())
        self.machine = Machine(self.upstream, self.shelf)
        self.locks = Locks(self.machine)
        self.commits = [self.sync(b"%d" % number) for number in range(2)]

    def sync(self, body: bytes) -> CommitId:
        commit = self.upstream.commit("acme/x", {"same": b"same", "f": body})
        assert self.machine.sync(X).outcome == "published"
        self.shelf.clock.advance(HOUR)
        return commit

    def move(self, decide: Decide) -> None:
        move_name(self.machine.context, self.locks.target, REPO, decide, wait=False)

    @property
    def history(self) -> list[str]:
        return [one.verb for one in history_of(View(self.shelf), refs_of(self.shelf, "acme/x"))]


def test_names_move_while_a_sync_of_the_repo_is_in_the_midst_of_its_transfer_and_it_publishes_beside_them() -> None:
    site = Site()
    first = site.commits[0]
    third = site.upstream.commit("acme/x", {"same": b"same", "f": b"third"})
    site.upstream.hold()
    reports = list[RepoReport]()
    syncing = threading.Thread(target=lambda: reports.append(site.machine.sync(X)))
    syncing.start()
    assert site.upstream.asked.wait(PATIENCE)
    assert site.locks.is_under_way(REPO)
    site.move(to("stable", first, "me"))
    site.move(back(first))
    refs = refs_of(site.shelf, "acme/x")
    assert (refs.commit_of("main"), refs.channels, third in refs.snapshots) == (first, {"stable": first}, False)
    site.upstream.may.set()
    syncing.join(PATIENCE)
    refs = refs_of(site.shelf, "acme/x")
    assert [report.outcome for report in reports] == ["published"]
    assert (refs.commit_of("main"), PINNED in refs.attachments, third in refs.snapshots) == (first, True, True)
    assert site.history == ["promote", "rollback"]
    expect_complete(site.shelf)


def test_a_prune_lets_nothing_go_that_a_name_was_moved_to_since_it_had_decided() -> None:
    """On one machine: the move comes between its decision and its PUT, and waits for nothing."""
    site = Site()
    first = site.commits[0]
    site.shelf.clock.advance(100 * HOUR)
    moved = list[AuditRecord]()

    class Meanwhile(NoAudit):
        """A prune has decided what goes when it records that."""

        def record(self, *records: AuditRecord) -> None:
            if not moved:
                assert (records[0].act.verb, records[0].act.commit) == (Verb.PRUNE, first)
                moved.extend(records)
                assert site.locks.is_under_way(REPO)
                site.move(to("stable", first, "me"))

    machine = site.machine
    machine.context = replace(machine.context, targets={"bucket": replace(site.locks.target, audit=Meanwhile())})
    report = machine.prune(replace(X, retention=Retention(0, timedelta(0))))
    assert (report.ok, [one.snapshots for one in report.repos], len(moved)) == (True, [()], 1)
    assert refs_of(site.shelf, "acme/x").channels == {"stable": first}
    expect_complete(site.shelf)


def test_every_write_of_a_refs_json_is_under_the_inner_lock_and_who_holds_that_takes_none() -> None:
    site = Site()
    target, context = site.locks.target, site.machine.context
    first, second = site.commits
    site.move(to("stable", first, "me"))
    site.move(back(first))
    third = site.sync(b"third")
    site.move(unpin)
    assert site.machine.sync(X).outcome == "published"
    turned = TurnedFile("f", Sha256.of(b"third"), "picklescan", ScanResult.DANGEROUS, "bad", AT)
    with target.lock(REPO):
        note_turned(target, REPO, [turned], (AT, "rescan"), more=False)
    site.shelf.clock.advance(200 * HOUR)
    assert site.machine.prune(replace(X, retention=Retention(0, timedelta(0)))).ok
    refs = refs_of(site.shelf, "acme/x")
    assert set(refs.snapshots) == {first, third}, second
    lost = refs.attachments[VERSIONS], refs.snapshots[third]
    for digest in lost:
        del site.shelf.objects[f"blobs/sha256/{digest[:2]}/{digest}"]
    assert not Verification(context, Scope(repair=True), [X]).run().faults
    assert VERSIONS not in refs_of(site.shelf, "acme/x").attachments
    expect_complete(site.shelf)
    take_down(context, target, REPO, Tombstone(AT, "jane", "why"))
    assert let_come_back(context, target, REPO, "again")
    assert site.machine.sync(X).outcome == "published"
    assert len(site.locks.written) > 10
    expect_complete(site.shelf)


def test_whatever_changes_a_refs_json_goes_by_one_function() -> None:
    package = Path(mirror_sync.__file__).parent
    calls = {
        path.relative_to(package).as_posix(): len(found)
        for path in package.rglob("*.py")
        if (found := re.findall(r"(?<!def )\bput_refs\(", path.read_text(encoding="utf-8")))
    }
    assert calls == {"engine/published.py": 1}
    direct = [path for path in package.rglob("*.py") if re.search(r"\.put\(refs_key\(", path.read_text("utf-8"))]
    assert [path.name for path in direct] == ["published.py"]


def test_many_threads_that_change_one_refs_json_lose_nothing_of_each_other() -> None:
    site = Site()
    first = site.commits[0]
    names = [f"v{number}" for number in range(8)]
    threads = [threading.Thread(target=site.move, args=(to(name, first, name),)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    refs = refs_of(site.shelf, "acme/x")
    assert set(refs.channels) == set(names)
    assert sorted(one.by for one in history_of(View(site.shelf), refs)) == names
