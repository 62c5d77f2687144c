"""A target of format 1 is read by everything, and stays as it is until what is new is published beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs, read_root
from mirror_sync.engine.upkeep.compare_snapshots import difference
from mirror_sync.errors import DocumentError, NewerFormat, StoreUnavailable
from tests.engine.machines import GRACE, HOUR, Clock, Machine, Shelf, Upstream, View, expect_complete, refs_of
from tests.engine.workshop import Workshop, job
from tests.formats import back_to_format_1, first_refs
from tests.standin import LFS, Hub

REPO = Repo.parse("acme/x")
SHORT = Retention(snapshots=1, age=timedelta(hours=1))


@pytest.fixture
def mirror(hub: Hub, workshop: Workshop) -> Workshop:
    """Two commits of acme/x, as a program of format 1 published them."""
    repo = hub.model("acme/x", license="mit")
    repo.commit({"a": b"1", "w": LFS(b"weights"), "left.bin": b"out"})
    workshop.sync(job("acme/x"))
    repo.commit({"b": b"2"})
    workshop.sync(job("acme/x"))
    back_to_format_1(workshop.store, REPO)
    return workshop


def formats(workshop: Workshop) -> dict[str, int]:
    refs = workshop.refs("acme/x")
    return {commit: read_root(workshop.store, root).format for commit, root in refs.snapshots.items()}


def test_it_is_verified_compared_and_planned_as_ever(hub: Hub, mirror: Workshop) -> None:
    report = mirror.verify()
    assert (report.ok, report.snapshots) == (True, 2)
    assert report.blobs == len(mirror.blobs()), "nothing that is there is passed over"
    assert [change.path for change in difference(mirror.store, REPO).changes] == ["b"]
    plan = mirror.plan_one(job("acme/x"))
    assert (plan.outcome, plan.fetch_files, plan.fetch_bytes) == ("unchanged", 0, 0)
    assert set(formats(mirror).values()) == {1}, "nothing of that writes"


def test_what_is_unchanged_stays_as_it_is_and_costs_the_look_alone(hub: Hub, mirror: Workshop) -> None:
    """To write it anew would make it look younger than it is: retention and readers go by that."""
    before, calls = mirror.refs("acme/x"), hub.calls()
    report = mirror.sync_one(job("acme/x"))
    assert (report.outcome, report.fetched_files, report.files) == ("unchanged", 0, 4)
    assert hub.calls() - calls == 1, "the look that every run takes"
    assert (mirror.store.written, mirror.refs("acme/x")) == ([], before)
    assert set(formats(mirror).values()) == {1}


def test_a_changed_commit_and_a_changed_selection_go_to_format_2_and_fetch_what_is_new_alone(
    hub: Hub, mirror: Workshop
) -> None:
    hub.model("acme/x").commit({"c": b"3"})
    report = mirror.sync_one(job("acme/x"))
    assert (report.fetched_files, report.reused_files) == (1, 4)
    back_to_format_1(mirror.store, REPO)
    fewer = mirror.sync_one(job("acme/x", selection=Selection(exclude=("*.bin",))))
    assert (fewer.outcome, fewer.fetched_files, fewer.files) == ("published", 0, 4)
    assert mirror.root("acme/x").format == 2


def test_a_name_that_moves_onto_a_snapshot_of_format_1_leaves_it_as_it_is(hub: Hub, mirror: Workshop) -> None:
    repo, older = hub.model("acme/x"), mirror.refs("acme/x")
    (first,) = set(older.snapshots) - {older.commit_of("main")}
    repo.tag("v1", first)
    report = mirror.sync_one(job("acme/x", revisions=("v1",)))
    assert (report.outcome, report.fetched_files) == ("published", 0)
    assert mirror.refs("acme/x").commit_of("v1") == first
    assert formats(mirror)[first] == 1
    assert mirror.verify().ok


def test_a_crash_before_refs_json_leaves_format_1_whole(hub: Hub, mirror: Workshop) -> None:
    def full(key: str) -> None:
        if key == refs_key(REPO):
            raise StoreUnavailable("no")

    hub.model("acme/x").commit({"c": b"3"})
    before, mirror.store.before_put = mirror.refs("acme/x"), full
    assert mirror.sync_one(job("acme/x")).outcome == "failed"
    assert (mirror.refs("acme/x"), mirror.verify().ok) == (before, True)
    mirror.store.before_put = lambda key: None
    assert (mirror.sync_one(job("acme/x")).outcome, mirror.root("acme/x").format) == ("published", 2)


def test_what_the_licence_rule_refuses_by_now_is_held_as_it_is(hub: Hub, mirror: Workshop) -> None:
    strict = job("acme/x", policy=replace(job("acme/x").policy, allow=frozenset({"apache-2.0"})))
    report = mirror.sync_one(strict)
    assert (report.outcome, report.code, set(formats(mirror).values())) == ("held", "license", {1})


def test_a_prune_over_both_formats_takes_what_nothing_names_and_nothing_else() -> None:
    clock = Clock()
    shelf, upstream = Shelf(clock), Upstream()
    machine, wanted = Machine(upstream, shelf), job("acme/x", workers=1, retention=SHORT)
    for number in range(3):
        clock.advance(1)
        upstream.commit("acme/x", {"same": b"0", "a": b"%d" % number})
        assert machine.sync(wanted).outcome == "published"
        back_to_format_1(View(shelf), REPO)
    clock.advance(GRACE.total_seconds() + HOUR)
    assert machine.prune(wanted).problems == ()
    assert len(refs_of(shelf, "acme/x").snapshots) == 1
    expect_complete(shelf)
    assert [(entry.by, entry.ref, entry.after) for entry in refs_of(shelf, "acme/x").log] == [("prune", None, None)] * 2
    report = machine.sync(wanted)
    assert (report.outcome, report.fetched_files) == ("unchanged", 0)
    assert len([key for key in shelf.objects if key.startswith("blobs/")]) == 6, "two files, and four documents"


def in_format_3(workshop: Workshop) -> Sha256:
    """Let the newest snapshot be what a program to come may write; its root's digest."""
    refs = workshop.refs("acme/x")
    commit = refs.commit_of("main")
    assert commit is not None
    document = {**json.loads(workshop.root("acme/x").encode().body), "format": 3, "more": []}
    body = json.dumps(document).encode()
    digest = Sha256.of(body)
    workshop.store.put(blob_key(digest), body, digest)
    body = replace(refs, snapshots={**refs.snapshots, commit: digest}).encode()
    workshop.store.put(refs_key(REPO), body, Sha256.of(body))
    return digest


def test_what_a_newer_program_wrote_is_neither_missing_nor_damaged_and_is_not_written_over(
    hub: Hub, mirror: Workshop
) -> None:
    digest = in_format_3(mirror)
    line = "a root document of format 3, this program reads 1 and 2: a newer mirror-sync wrote it"
    report = mirror.sync_one(job("acme/x"))
    assert (report.outcome, report.reason, mirror.store.written) == ("failed", line, [])
    hub.model("acme/x").commit({"c": b"3"})
    report = mirror.sync_one(job("acme/x"))
    assert (report.outcome, report.reason, mirror.store.written) == ("failed", line, [])
    assert line in {fault.problem for fault in mirror.verify().faults}
    (fault,) = mirror.verify(job("acme/x"), repair=True).faults
    assert (fault.sha256, fault.repair) == (digest, f"not repaired: {line}")
    assert digest in mirror.refs("acme/x").snapshots.values()
    with pytest.raises(NewerFormat, match="format 3"):
        difference(mirror.store, REPO)


def test_a_refs_json_of_a_newer_program_stops_a_sync_and_a_prune_before_anything_is_written(
    hub: Hub, mirror: Workshop
) -> None:
    body = json.dumps({**json.loads(mirror.refs("acme/x").encode()), "format": 3}).encode()
    mirror.store.put(refs_key(REPO), body, Sha256.of(body))
    line = "a refs.json of format 3, this program reads 1 and 2: a newer mirror-sync wrote it"
    report = mirror.sync_one(job("acme/x"))
    assert (report.outcome, report.reason, mirror.store.written) == ("failed", line, [])
    assert [fault.problem for fault in mirror.verify().faults] == [line]


def test_a_prune_beside_what_a_newer_program_wrote_removes_nothing() -> None:
    clock = Clock()
    shelf, upstream = Shelf(clock), Upstream()
    machine, wanted = Machine(upstream, shelf), job("acme/x", workers=1, retention=SHORT)
    upstream.commit("acme/x", {"a": b"1"})
    machine.sync(wanted)
    for key in [key for key in shelf.objects if key.endswith("refs.json")]:
        body = json.dumps({**json.loads(shelf.objects[key][0]), "format": 3}).encode()
        shelf.objects[key] = (body, clock.now)
    shelf.objects["blobs/sha256/00/" + "0" * 64] = (b"left over", clock.now)
    clock.advance(GRACE.total_seconds() + HOUR)
    before = {key for key in shelf.objects if key.startswith("blobs/")}
    (problem,) = machine.prune(wanted).problems
    assert "a refs.json of format 3, this program reads 1 and 2: a newer mirror-sync wrote it" in problem
    assert {key for key in shelf.objects if key.startswith("blobs/")} == before


def test_the_log_of_a_repo_says_what_its_runs_moved_and_who(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    workshop.sync(job("acme/x", name="models"))
    second = repo.commit({"a": b"2"})
    workshop.sync(job("acme/x", name="models"))
    told = [(one.ref, one.before, one.after, one.by) for one in workshop.refs("acme/x").log]
    assert told == [
        ("refs/heads/main", None, first, "sync models"),
        ("refs/heads/main", first, second, "sync models"),
    ]
    workshop.sync(job("acme/x", name="models"))
    assert len(workshop.refs("acme/x").log) == 2, "a run that changes nothing says nothing"


def test_channels_and_the_log_outlive_every_publication(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = CommitId(repo.commit({"a": b"1"}))
    workshop.sync(job("acme/x"))
    body = replace(workshop.refs("acme/x"), channels={"stable": first}).encode()
    workshop.store.put(refs_key(REPO), body, Sha256.of(body))
    repo.commit({"a": b"2"})
    workshop.sync(job("acme/x"))
    assert workshop.refs("acme/x").channels == {"stable": first}
    expired = SHORT.expired(workshop.refs("acme/x"), dict.fromkeys(workshop.refs("acme/x").snapshots, 0.0), (), 1e10)
    assert expired == (), "what a channel names is kept as what a branch names"


def test_a_stand_in_of_format_1_is_one(mirror: Workshop, tmp_path: Path) -> None:
    """What these tests stand on: the documents have none of what format 2 added."""
    refs = json.loads((tmp_path / "bucket" / refs_key(REPO)).read_bytes())
    assert refs.keys() == {"branches", "tags", "converts", "pullRequests", "snapshots"}
    assert first_refs(Refs.decode(json.dumps(refs).encode()), read_refs(mirror.store, REPO).snapshots) == (
        json.dumps(refs, separators=(",", ":")).encode()
    )
    for digest in refs["snapshots"].values():
        root = json.loads(mirror.path(Sha256(digest)).read_bytes())
        assert (root["format"], root["license"]["outcome"], "verdicts" in root) == (1, "allowed", False)
    with pytest.raises(DocumentError):
        Root.decode(b"{}")
