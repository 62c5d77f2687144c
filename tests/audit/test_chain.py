"""The journal of a machine and its chain in a target, over a directory and a bucket."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mirror_sync.domain.audit_record import (
    MAX_SEGMENT,
    Act,
    Actor,
    ActorKind,
    AuditHead,
    AuditRecord,
    ChainCheck,
    Verb,
    records_of,
)
from mirror_sync.domain.content.keys import AUDIT, refs_key, segment_key, segment_of, signature_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.events import AuditFailed, AuditPut, Event
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import NotRecorded, StoreDenied, StoreError, StoreUnavailable, Vanished
from mirror_sync.ports.store import Store, read_all
from mirror_sync.state.audit_chain import AuditPlace, ChainedAudit
from mirror_sync.state.audit_journal import AuditJournal
from mirror_sync.stores.directory.directory_store import DirectoryStore
from mirror_sync.stores.wrapped_store import WrappedStore
from tests.servers.bucket import S3Server
from tests.stores.places import Bucket, Folder, Place, answer, child, target_on
from tests.waiting import PATIENCE

MACHINE = "0123456789ab"
OTHER = "ba9876543210"
ALICE = Actor(ActorKind.USER, "alice@host")


@pytest.fixture(params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "directory":
        return Folder(tmp_path / "target")
    server: S3Server = request.getfixturevalue("moto")
    return Bucket(target_on(server))


def record(name: str) -> AuditRecord:
    return AuditRecord("2026-01-01T06:00:00Z", ALICE, Act(Verb.PUBLISH, "bucket", f"acme/{name}"))


class Refusing(WrappedStore):
    """A store that refuses to write below `audit/`, by one error or another, for as long as `error` is set."""

    error: StoreError | None = None

    def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
        if self.error is not None and key.startswith(AUDIT):
            raise self.error
        super().put(key, body, digest)


@dataclass
class Site:
    """One machine that writes to a target: what it told, and its audit, as often as it is opened."""

    folder: Path
    store: Store
    machine: str = MACHINE
    events: list[Event] = field(default_factory=list)
    now: float = 0.0
    sign: Callable[[bytes], bytes] | None = None

    def open(self) -> ChainedAudit:
        """As a new process does."""
        journal = AuditJournal(self.folder / "audit" / "place")
        where = AuditPlace(journal, self.folder / "locks" / "audit.lock", self.store, "bucket", lambda: self.machine)
        return ChainedAudit(where, self.events.append, self.sign, lambda: self.now)

    @property
    def journal(self) -> Path:
        return self.folder / "audit" / "place" / "journal.jsonl"

    def segments(self, machine: str | None = None) -> dict[int, bytes]:
        """By their numbers."""
        keys = [stat.key for stat in self.store.list(f"{AUDIT}{machine or self.machine}/")]
        named = {found[1]: key for key in keys if (found := segment_of(key)) is not None}
        return {seq: read_all(self.store, key, MAX_SEGMENT) for seq, key in sorted(named.items())}

    def repos(self, machine: str | None = None) -> list[list[str]]:
        """What is recorded, by segment."""
        return [[one.act.repo for one in records_of(body)[0]] for body in self.segments(machine).values()]

    def faults(self, head: AuditHead | None = None, machine: str | None = None) -> list[str]:
        check = ChainCheck(machine or self.machine)
        for seq, body in self.segments(machine).items():
            check.take(seq, body, None)
        check.expect(head)
        return check.faults


@pytest.fixture
def site(place: Place, tmp_path: Path) -> Site:
    return Site(tmp_path / "state", place.open())


def test_the_first_act_of_a_run_is_in_the_target_before_it_is_done_and_the_others_at_the_end(site: Site) -> None:
    audit = site.open()
    audit.record(record("a"))
    assert site.repos() == [["acme/a"]]
    audit.record(record("b"))
    audit.record(record("c"))
    assert site.repos() == [["acme/a"]]
    audit.seal()
    assert site.repos() == [["acme/a"], ["acme/b", "acme/c"]]
    assert site.faults(audit.head) == []
    assert [event for event in site.events if isinstance(event, AuditPut)] == [
        AuditPut("bucket", MACHINE, 1, 1, signed=False),
        AuditPut("bucket", MACHINE, 2, 2, signed=False),
    ]


def test_a_run_that_does_nothing_writes_nothing(site: Site) -> None:
    site.open().seal()
    assert site.segments() == {}
    assert not site.journal.parent.exists()


def test_the_head_is_the_newest_segment_that_the_target_has(site: Site) -> None:
    audit = site.open()
    assert audit.head is None
    audit.record(record("a"))
    head = AuditHead(MACHINE, 1, Sha256.of(site.segments()[1]))
    assert audit.head == head
    audit.record(record("b"))
    assert audit.head == head, "what waits on this machine is nothing that a statement may rely on"
    audit.seal()
    assert site.open().head == AuditHead(MACHINE, 2, Sha256.of(site.segments()[2]))


def test_a_thousand_acts_are_a_bounded_number_of_objects(site: Site) -> None:
    audit = site.open()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: audit.record(record(str(number))), range(1000)))
    audit.seal()
    assert len(list(site.store.list(AUDIT))) <= 3
    assert sorted(name for segment in site.repos() for name in segment) == sorted(f"acme/{one}" for one in range(1000))
    assert site.faults(audit.head) == []


def test_what_waits_for_long_goes_with_the_next_act(site: Site) -> None:
    audit = site.open()
    audit.record(record("a"))
    audit.record(record("b"))
    site.now += 3600
    audit.record(record("c"))
    assert site.repos() == [["acme/a"], ["acme/b", "acme/c"]]


def test_many_acts_at_once_are_recorded_in_their_order(site: Site) -> None:
    audit = site.open()
    audit.record(*(record(str(number)) for number in range(1200)))
    audit.seal()
    assert [name for segment in site.repos() for name in segment] == [f"acme/{number}" for number in range(1200)]


def test_what_a_process_left_that_was_killed_is_brought_by_the_next_one(site: Site) -> None:
    first = site.open()
    first.record(record("a"))
    first.record(record("b"))  # and no more of it
    second = site.open()
    second.seal()
    assert site.repos() == [["acme/a"], ["acme/b"]]
    assert site.faults(second.head) == []


def test_a_record_that_was_torn_by_a_power_cut_was_never_done_and_is_left_out(site: Site) -> None:
    audit = site.open()
    audit.record(record("a"))
    audit.record(record("b"))
    with site.journal.open("ab") as file:
        file.write(record("torn").encode()[:40])
    audit = site.open()
    audit.record(record("c"))
    audit.seal()
    assert [name for segment in site.repos() for name in segment] == ["acme/a", "acme/b", "acme/c"]
    assert site.faults(audit.head) == []


@pytest.mark.parametrize("there", [False, True], ids=["not put", "put"])
def test_a_segment_whose_process_was_killed_while_it_was_put_is_there_once(site: Site, there: bool) -> None:
    audit = site.open()
    audit.record(record("a"))
    audit.record(record("b"))
    body = AuditJournal(site.journal.parent).seal()
    if there:
        site.store.put(segment_key(MACHINE, 2), body, Sha256.of(body))
    audit = site.open()
    audit.record(record("c"))
    audit.seal()
    assert site.repos() == [["acme/a"], ["acme/b"], ["acme/c"]]
    assert site.faults(audit.head) == []


def test_a_chain_of_which_this_machine_forgot_the_end_goes_on_where_the_target_has_it(site: Site) -> None:
    audit = site.open()
    audit.record(record("a"))
    audit.seal()
    (site.journal.parent / "head.json").unlink()
    audit = site.open()
    audit.record(record("b"))
    assert site.repos() == [["acme/a"], ["acme/b"]]
    assert site.faults(audit.head) == []


def test_a_head_that_cannot_be_read_stops_every_act_and_says_what_to_do(site: Site) -> None:
    site.open().record(record("a"))
    (site.journal.parent / "head.json").write_text("{", encoding="utf-8")
    with pytest.raises(NotRecorded, match=r"head\.json cannot be read .*; remove it"):
        site.open().record(record("b"))
    assert site.repos() == [["acme/a"]]


def test_two_machines_have_two_chains(site: Site, tmp_path: Path) -> None:
    other = Site(tmp_path / "other", site.store, OTHER)
    for one in (site, other, site, other):
        audit = one.open()
        audit.record(record(one.machine))
        audit.seal()
    assert (site.repos(), other.repos()) == ([[f"acme/{MACHINE}"]] * 2, [[f"acme/{OTHER}"]] * 2)
    assert (site.faults(), other.faults()) == ([], [])


def test_a_copy_of_a_machine_writes_over_nothing_and_goes_on_under_a_name_of_its_own(
    site: Site, tmp_path: Path
) -> None:
    copy = Site(tmp_path / "copy", site.store)
    for name, one in (("first", site), ("theirs", copy)):  # both begin with nothing, and go by one name
        one.journal.parent.mkdir(parents=True)
        AuditJournal(one.journal.parent).begin(
            AuditHead(MACHINE, 0, Sha256("0" * 64)).next_header, [record(name).encode()]
        )
    site.open().seal()
    with pytest.raises(NotRecorded, match="already, with other acts: another machine goes by this one's name"):
        copy.open().record(record("more"))
    assert site.repos() == [["acme/first"]]
    copy.machine = OTHER
    audit = copy.open()
    audit.record(record("later"))
    audit.seal()
    acts = [(one.act.repo, one.failed) for body in copy.segments().values() for one in records_of(body)[0]]
    assert acts == [("acme/theirs", ""), ("acme/more", ""), ("acme/more", "not-recorded"), ("acme/later", "")]
    assert (site.faults(), copy.faults(audit.head)) == ([], [])


@pytest.mark.parametrize(
    ("error", "kind"), [(StoreDenied("AccessDenied"), NotRecorded), (StoreUnavailable("503"), StoreUnavailable)]
)
def test_an_act_that_the_target_does_not_take_the_record_of_is_stopped(
    site: Site, error: StoreError, kind: type[StoreError]
) -> None:
    store = site.store = Refusing(site.store)
    store.error = error
    audit = site.open()
    for name in ("a", "b", "c"):
        with pytest.raises(kind, match=rf"not done, since it cannot be recorded: .*{error}"):
            audit.record(record(name))
    assert site.segments() == {}
    audit.seal()
    assert [type(event) for event in site.events] == [AuditFailed]
    store.error = None
    audit = site.open()
    audit.record(record("d"))
    audit.seal()
    acts = [(one.act.repo, one.failed) for body in site.segments().values() for one in records_of(body)[0]]
    assert acts == [("acme/a", ""), ("acme/a", kind.code), ("acme/d", "")], "and nothing piled up meanwhile"
    assert site.faults(audit.head) == []


def test_an_act_that_cannot_be_written_down_on_this_machine_is_stopped(site: Site) -> None:
    site.journal.parent.parent.mkdir(parents=True)
    site.journal.parent.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(NotRecorded, match=r"not done, since it cannot be recorded: .*place"):
        site.open().record(record("a"))
    assert site.segments() == {}


def test_what_is_put_and_is_not_there_is_not_recorded(site: Site) -> None:
    class Losing(WrappedStore):
        def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
            """Says nothing, and stores nothing."""

    store, site.store = site.store, Losing(site.store)
    site.store.confirm = True
    with pytest.raises(NotRecorded, match="it was put, and is not there"):
        site.open().record(record("a"))
    site.store = store
    site.open().seal()
    assert site.faults() == []


def test_a_signature_lies_beside_each_segment_and_is_there_first(site: Site) -> None:
    written: list[str] = []

    class Watching(WrappedStore):
        def put(self, key: str, body: bytes | bytearray | memoryview, digest: Sha256) -> None:
            written.append(key)
            super().put(key, body, digest)

    site.store, site.sign = Watching(site.store), lambda body: b"signed " + Sha256.of(body).encode()
    site.open().record(record("a"))
    key = segment_key(MACHINE, 1)
    assert written == [signature_key(key), key]
    digest = Sha256.of(site.segments()[1])
    assert read_all(site.store, signature_key(key), 1000) == f"signed {digest}".encode()
    assert site.events == [AuditPut("bucket", MACHINE, 1, 1, signed=True)]


def test_what_cannot_be_signed_is_not_done(site: Site) -> None:
    def fail(body: bytes) -> bytes:
        raise StoreError("no key")

    site.sign = fail
    with pytest.raises(NotRecorded, match="no key"):
        site.open().record(record("a"))
    assert list(site.store.list(AUDIT)) == []


def publish(site: Site) -> None:
    site.store.put(refs_key(Repo.parse("acme/x")), b"{}", Sha256.of(b"{}"))


def test_nothing_is_written_into_a_target_that_lost_all_unless_it_was_emptied_on_purpose(site: Site) -> None:
    """It may be the folder below a mount."""
    publish(site)
    audit = site.open()
    audit.record(record("a"))
    audit.seal()
    site.store.delete([stat.key for stat in site.store.list("")])
    with pytest.raises(Vanished, match=r"holds nothing, and audit/.* was written there: is it mounted"):
        audit.record(record("b"))
    audit.seal()
    assert list(site.store.list("")) == []
    audit.begin_anew()
    audit.record(record("c"))
    assert site.repos() == [["acme/c"]]
    assert "is missing: the chain goes on with" in site.faults()[0]


def test_a_chain_whose_end_was_removed_goes_on_with_a_gap_and_that_is_told(site: Site) -> None:
    publish(site)
    audit = site.open()
    for name in ("a", "b"):
        audit.record(record(name))
        audit.seal()
    site.store.delete([segment_key(MACHINE, 2)])
    audit.record(record("c"))
    assert list(site.segments()) == [1, 3]
    assert [event.code for event in site.events if isinstance(event, AuditFailed)] == ["audit-cut"]
    assert "0000000002.jsonl is missing" in site.faults()[0]


def test_what_was_remembered_is_known_to_the_next_process_and_may_be_lost(site: Site) -> None:
    audit = site.open()
    audit.record(record("a"))
    audit.remember("x", "1")
    audit.remember("y", "2")
    assert (audit.state("x"), audit.state("z")) == ("1", "")
    other = site.open()
    other.remember("y", "3")
    audit.seal()
    other.seal()
    other.remember("x", "")
    other.seal()
    assert (site.open().state("x"), site.open().state("y")) == ("", "3")
    (site.journal.parent / "states.json").write_text("[", encoding="utf-8")
    assert site.open().state("y") == ""


def record_some(answers: Connection, place: Place, folder: Path, names: list[str]) -> None:
    """Records one act after the other in a process of its own, and ends as `kill -9` does: with no seal."""
    audit = Site(folder, place.open()).open()
    for name in names:
        audit.record(record(name))
    answers.send(os.getpid())


def test_processes_of_one_machine_share_one_chain_and_lose_nothing(place: Place, tmp_path: Path) -> None:
    site = Site(tmp_path / "state", place.open())
    names = [[f"{process}-{number}" for number in range(20)] for process in range(3)]
    done = threading.Barrier(3)

    def run(mine: list[str]) -> None:
        with child(record_some, place, tmp_path / "state", mine) as (_, answers):
            answer(answers)
            done.wait(PATIENCE)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(run, names))
    audit = site.open()
    audit.seal()
    found = [name for segment in site.repos() for name in segment]
    assert sorted(found) == sorted(f"acme/{name}" for mine in names for name in mine)
    assert site.faults(audit.head) == []


def test_the_journal_is_for_nobody_else(tmp_path: Path) -> None:
    site = Site(tmp_path / "state", DirectoryStore(tmp_path / "target"))
    audit = site.open()
    audit.record(record("a"))
    audit.record(record("b"))
    assert site.journal.parent.stat().st_mode & 0o077 == 0
    assert json.loads(site.journal.read_bytes().splitlines()[0]).keys() == {"machine", "seq", "prev"}
