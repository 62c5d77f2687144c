"""A 404 of a call beside a repo's files says nothing of the repo: what can be done without is, the rest is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.job.job import Job
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.ports.store import read_all
from tests.engine.workshop import Workshop, job
from tests.standin import LFS, SIDE_CALLS, Hub, faults
from tests.standin.tree import FileLike

TREE: dict[str, FileLike] = {"a": b"1", "w": LFS(b"weights")}


@pytest.fixture
def plain(hub: Hub) -> Hub:
    """A hub without any side call."""
    hub.behaviour.lacks = SIDE_CALLS
    return hub


def moved_in_silence(hub: Hub, workshop: Workshop, wanted: Job) -> str:
    """Where the tag v1 of acme/x went after it was published, on a hub that has no side calls since."""
    repo = hub.model("acme/x", license="mit")
    repo.commit(TREE)
    repo.tag("v1")
    workshop.sync(wanted)
    hub.behaviour.lacks = SIDE_CALLS
    commit = repo.commit({"a": b"2"})
    repo.tag("v1")
    return commit


def test_a_repo_of_a_hub_without_side_calls_is_published_and_the_reason_says_what_lacks(
    plain: Hub, workshop: Workshop
) -> None:
    repo = plain.model("acme/x", license="mit")
    commit = repo.commit(TREE)
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.commit, report.committed) == (RepoOutcome.PUBLISHED, commit, None)
    assert report.reason.startswith(f"published without its history: {plain.url} tells no history of commits")
    assert workshop.files("acme/x") == {"a": b"1", "w": b"weights"}
    root = workshop.root("acme/x")
    assert root.last["id"] == commit
    (told,) = json.loads(read_all(workshop.store, blob_key(root.commits), 1 << 20))
    assert told["id"] == commit
    assert workshop.sync_one(job("acme/x")).outcome == RepoOutcome.UNCHANGED


@pytest.mark.parametrize("status", [404, 405, 501])
def test_whatever_a_server_says_that_knows_no_such_call(hub: Hub, workshop: Workshop, status: int) -> None:
    hub.model("acme/x", license="mit").commit(TREE)
    hub.faults.add(faults.status(status), "*/commits/*")
    assert workshop.sync_one(job("acme/x")).outcome == RepoOutcome.PUBLISHED


def test_an_upstream_that_cannot_tell_the_history_now_is_asked_again_before_any_file(
    hub: Hub, workshop: Workshop
) -> None:
    hub.model("acme/x", license="mit").commit(TREE)
    hub.faults.add(faults.status(503), "*/commits/*")
    report = workshop.sync_one(job("acme/x"))
    assert (report.outcome, report.code) == (RepoOutcome.FAILED, "unreachable")
    assert hub.calls("GET", "*/resolve/*") == 0
    hub.faults.clear()
    assert workshop.sync_one(job("acme/x")).outcome == RepoOutcome.PUBLISHED


def test_where_nobody_tells_of_access_the_files_do(plain: Hub, tmp_path: Path) -> None:
    plain.model("acme/shut", license="mit", gated="auto").commit(TREE)
    admitted = Workshop(plain.url, tmp_path / "in", plain.token("hf_in", approved=["acme/shut"]))
    assert admitted.sync_one(job("acme/shut")).outcome == RepoOutcome.PUBLISHED
    stranger = Workshop(plain.url, tmp_path / "out", plain.token("hf_out"))
    report = stranger.sync_one(job("acme/shut"))
    assert (report.outcome, report.code) == (RepoOutcome.FAILED, "gated")
    assert stranger.refs("acme/shut").snapshots == {}


def test_a_short_name_needs_the_list_of_names_and_a_full_one_does_not(plain: Hub, workshop: Workshop) -> None:
    repo = plain.model("acme/x", license="mit")
    commit = repo.commit(TREE)
    repo.tag("v1")
    report = workshop.sync_one(job("acme/x", revisions=("v1",)))
    assert (report.outcome, report.code) == (RepoOutcome.FAILED, "no-such-call")
    assert "write refs/heads/v1 or refs/tags/v1" in report.reason
    assert plain.calls("GET", "*/resolve/*") == 0
    assert workshop.sync_one(job("acme/x", revisions=("refs/tags/v1",))).outcome == RepoOutcome.PUBLISHED
    assert workshop.commit("acme/x", "v1") == commit


def test_a_name_that_is_published_keeps_its_kind_where_nobody_lists_names_any_more(
    hub: Hub, workshop: Workshop
) -> None:
    wanted = job("acme/x", revisions=("v1",))
    commit = moved_in_silence(hub, workshop, wanted)
    assert workshop.sync_one(wanted).outcome == RepoOutcome.PUBLISHED
    (ref,) = workshop.refs("acme/x").refs
    assert (ref.ref, ref.target) == ("refs/tags/v1", commit)


def test_a_glob_of_revisions_that_nobody_lists_fails_and_what_is_published_is_followed(
    hub: Hub, workshop: Workshop
) -> None:
    wanted = job("acme/x", revisions=("v*",))
    moved_in_silence(hub, workshop, wanted)
    found = {report.revision: report for report in workshop.sync(wanted).repos}
    assert found["v1"].outcome == RepoOutcome.PUBLISHED
    assert (found["v*"].outcome, found["v*"].code) == (RepoOutcome.FAILED, "no-such-call")
    assert "name the revisions one by one" in found["v*"].reason
    assert workshop.files("acme/x", "v1")["a"] == b"2"
