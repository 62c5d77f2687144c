"""Stages beside the engine's own: one that judges the files of a snapshot, one that adds a document to it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.job.retention import Retention
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, Decisions, RuleKey
from mirror_sync.domain.policy.rules import Outcome, Verdict
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.domain.work import TaskResult
from mirror_sync.engine.published import put_refs
from mirror_sync.engine.stages import Change, MoreStages, Stage
from mirror_sync.engine.upkeep.compare_snapshots import difference
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.errors import DocumentError
from mirror_sync.ports.store import read_all, read_document
from tests.engine.machines import GRACE, HOUR, Clock, Machine, Shelf, Upstream, expect_complete, named
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, Hub

SUMS = "SHA256SUMS"
BAD = b"a body that this scan does not like"


def sums(change: Change) -> Change:
    """An attach stage: what `sha256sum` would write."""
    lines = (f"{file.sha256}  {path}\n" for path, file in sorted(change.manifest.items()))
    return change.attached(SUMS, "".join(lines).encode())


def scan(change: Change) -> Change | TaskResult:
    """An inspect stage: reads every file of the snapshot where it lies, and has a verdict on it."""
    for path, file in sorted(change.manifest.items()):
        if read_all(change.store, blob_key(file.sha256), 1 << 20) == BAD:
            return change.judged(Verdict("scan", Outcome.HELD, f"{path} is not liked", "scan-found"))
    return change.judged(Verdict("scan", Outcome.ALLOWED, "nothing found"))


def extended(workshop: Workshop, **more: tuple[Stage, ...]) -> Workshop:
    workshop.context = replace(workshop.context, stages=MoreStages(**more))
    return workshop


def test_a_verdict_of_an_inspection_holds_the_repo_and_what_was_published_stays(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    assert extended(workshop, inspect=(scan,)).sync_one(job("acme/x")).outcome == "published"
    assert [(one.rule, one.outcome) for one in workshop.root("acme/x").verdicts] == [
        ("licence", "allowed"),
        ("scan", "allowed"),
    ]
    repo.commit({"b": LFS(BAD)})
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("held", "scan-found")
    assert report.reason == "b is not liked; the snapshot published before stays"
    assert workshop.commit("acme/x") == first
    assert list(workshop.refs("acme/x").snapshots) == [first]
    assert list(workshop.refs("acme/x").attachments) == [f"held.{report.commit}"], "all that is written is a note"
    lifted = Decision(RepoPattern.parse("acme/x"), None, RuleKey.SCAN, DecisionOutcome.APPROVE, "Ada", "seen")
    decided = job("acme/x", decisions=Decisions((lifted,)))
    assert extended(workshop, inspect=(scan,)).sync_one(decided).outcome == "published"
    assert workshop.root("acme/x").verdicts[1].reason == "approved by Ada: seen (b is not liked)"


def test_what_an_inspection_holds_is_not_fetched_again_when_it_allows_it(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"b": LFS(BAD), "a": b"1"})
    held = extended(workshop, inspect=(scan,)).sync_one(job("acme/x"))
    assert (held.outcome, held.fetched_files, held.commit is not None) == ("held", 2, True)
    assert workshop.refs("acme/x").snapshots == {}
    report = extended(workshop, inspect=()).sync_one(job("acme/x"))
    assert (report.outcome, report.fetched_files, report.reused_files) == ("published", 0, 2)


def test_an_attachment_is_named_by_the_root_and_shared_and_verified_without_anybody_knowing_its_name(
    hub: Hub, workshop: Workshop
) -> None:
    repo = hub.model("acme/x", license="mit")
    first = repo.commit({"a": b"1"})
    assert extended(workshop, attach=(sums,)).sync_one(job("acme/x")).outcome == "published"
    root = workshop.root("acme/x")
    body = read_document(workshop.store, root.attachments[SUMS])
    assert body == f"{Sha256.of(b'1')}  a\n".encode()
    assert workshop.store.written[-2:] == [
        blob_key(workshop.refs("acme/x").snapshots[CommitId(first)]),
        "hub/models/acme--x/refs.json",
    ], "the root after all that it names, refs.json last"
    assert workshop.sync_one(job("acme/x")).outcome == "unchanged"
    report = workshop.verify()
    assert (report.ok, report.blobs) == (True, len(workshop.blobs()))
    workshop.path(root.attachments[SUMS]).write_bytes(body.replace(b"a", b"b"))
    (fault,) = workshop.verify().faults
    assert (fault.sha256, fault.repo, "holds other bytes" in fault.problem) == (root.attachments[SUMS], "acme/x", True)
    assert workshop.verify(job("acme/x"), repair=True).faults == ()
    assert read_document(workshop.store, root.attachments[SUMS]) == body
    repo.commit({"b": b"2"})
    workshop.sync_one(job("acme/x"))
    found = difference(workshop.store, Repo.parse("acme/x"))
    (change,) = json.loads(json.dumps(found.encode()))["attachments"]
    assert (change["name"], change["before"]) == (SUMS, root.attachments[SUMS])
    assert change["after"] == workshop.root("acme/x").attachments[SUMS]
    assert [one.path for one in found.changes] == ["b"]


def test_an_attachment_with_no_name_that_a_root_could_hold_publishes_nothing(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    report = extended(workshop, attach=(lambda change: change.attached("../x", b"1"),)).sync_one(job("acme/x"))
    assert (report.outcome, report.code) == ("failed", DocumentError.code)
    assert workshop.refs("acme/x").snapshots == {}


@pytest.mark.parametrize("stage", ["inspect", "attach"])
def test_a_stage_may_end_a_snapshot_by_itself(hub: Hub, workshop: Workshop, stage: str) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})

    def ends(change: Change) -> TaskResult:
        return TaskResult(RepoOutcome.HELD, change.resolved.commit, "not today", "tired")

    report = extended(workshop, **{stage: (ends,)}).sync_one(job("acme/x"))
    assert (report.outcome, report.reason, report.code) == ("held", "not today", "tired")
    assert workshop.refs("acme/x").snapshots == {}


def test_a_snapshot_that_is_there_under_another_name_goes_through_no_stage_again(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/x", license="mit")
    commit = repo.commit({"a": b"1"})
    extended(workshop, attach=(sums,)).sync_one(job("acme/x"))
    repo.tag("v1", commit)
    asked: list[str] = []

    def note(change: Change) -> Change:
        asked.append(change.task.revision)
        return change

    extended(workshop, inspect=(note,), attach=(note,)).sync(job("acme/x", revisions=("main", "v1")))
    assert asked == []
    assert workshop.refs("acme/x").commit_of("v1") == commit


def test_a_prune_never_takes_an_attachment_that_something_names_and_takes_it_with_its_snapshot() -> None:
    clock = Clock()
    shelf, upstream = Shelf(clock), Upstream()
    machine = Machine(upstream, shelf)
    machine.context = replace(machine.context, stages=MoreStages(attach=(sums,)))
    wanted = job("acme/x", workers=1, retention=Retention(snapshots=1, age=timedelta(hours=1)))
    for number in range(2):
        clock.advance(1)
        upstream.commit("acme/x", {"a": b"%d" % number})
        assert machine.sync(wanted).outcome == "published"
    bodies = [f"{Sha256.of(b'%d' % number)}  a\n".encode() for number in range(2)]
    old, new = (blob_key(Sha256.of(body)) for body in bodies)
    assert {old, new} <= named(shelf)
    clock.advance(GRACE.total_seconds() + HOUR)
    assert machine.prune(wanted).problems == ()
    assert old not in shelf.objects
    assert new in shelf.objects
    expect_complete(shelf)


def test_an_attachment_of_the_repo_as_a_whole_is_kept_by_prunes_and_proved_by_verify(
    hub: Hub, workshop: Workshop
) -> None:
    hub.model("acme/x", license="mit").commit({"a": b"1"})
    workshop.sync_one(job("acme/x"))
    body, repo = b"what this repo is\n", Repo.parse("acme/x")
    digest = Sha256.of(body)
    workshop.store.put(blob_key(digest), body, digest)
    put_refs(workshop.context.targets["bucket"], repo, replace(workshop.refs("acme/x"), attachments={"about": digest}))
    target = replace(workshop.context.targets["bucket"], grace=timedelta(0))
    Prune(replace(workshop.context, targets={"bucket": target}), [job("acme/x")]).run()
    assert read_document(workshop.store, digest) == body
    workshop.path(digest).write_bytes(body.upper())
    (fault,) = workshop.verify(job("acme/x"), repair=True).faults
    assert (fault.sha256, fault.repo, fault.commit) == (digest, "acme/x", "")
    assert "made anew when something of the repo is published" in fault.repair
