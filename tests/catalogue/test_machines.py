"""Several machines publish one catalogue, and hear of each other by status.json, which anybody may have written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from mirror_sync.catalogue.local_knowledge import KnownJob
from mirror_sync.domain.outcome.report import RepoState
from tests.catalogue.shelves import ALWAYS, Machine, Memory, filled, job, line, status


def test_two_machines_with_different_jobs_write_the_same_pages_and_come_to_rest(store: Memory) -> None:
    filled(store)
    one = Machine(store, "one", (job("a", "one"),), (line("acme/m0", job="a"), line("acme/x", RepoState.REFUSED, "a")))
    two = Machine(store, "two", (job("b", "two"),), (line("acme/m1", RepoState.FAILED, "b", code="unreachable"),))
    for machine in (one, two, one, two):
        machine.publish()
    for machine in (one, two):
        store.put_keys.clear()
        machine.publish()
        assert set(store.put_keys) <= ALWAYS
    jobs = status(store)["jobs"]
    assert isinstance(jobs, list)
    assert [entry["name"] for entry in jobs] == ["a", "b"]
    assert "models/acme--x.html" in store.site


def test_a_job_that_jobs_yaml_names_no_more_goes_and_that_of_a_machine_that_fell_silent_a_month_later() -> None:
    store = Memory()
    one = Machine(store, "one", (job("a", "one"), job("old", "one")), (line("acme/x", RepoState.REFUSED, "old"),))
    one.publish()
    Machine(store, "two", (job("b", "two"),)).publish()
    one.jobs, one.lines = (job("a", "one"),), ()
    one.publish()
    names = [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]]
    assert names == ["a", "b"]
    assert "models/acme--x.html" not in store.site
    one.at = one.at.replace(year=2027)
    one.publish()
    assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == ["a"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"format":1}', b'{"format":1,"jobs":[{}],"repos":[]}', b"\xff"])
def test_a_status_that_cannot_be_read_is_written_anew(store: Memory, body: bytes) -> None:
    store.objects["site/status.json"] = body, 1.0
    Machine(store).publish()
    assert status(store)["format"] == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [("reason", "\ud800"), ("lag_seconds", float("nan")), ("published", "<b>"), ("state", "x"), ("files", [])],
)
def test_what_no_machine_has_said_and_no_page_can_hold_is_not_believed(store: Memory, key: str, value: object) -> None:
    lines = (line("acme/b", RepoState.FAILED, "b"), line("acme/c", RepoState.FAILED, "b"))
    Machine(store, "two", (job("b", "two"),), lines).publish()
    said = json.loads(store.site["status.json"])
    said["repos"][0][key] = value
    store.objects["site/status.json"] = json.dumps(said).encode(), 1.0
    Machine(store, "one").publish()
    assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == ["all", "b"]
    assert [entry["repo"] for entry in json.loads(store.site["status.json"])["repos"]] == ["acme/c"]


def ran(last: str | None, machine: str) -> KnownJob:
    """The job `all`, as a machine knows it where its last run began and ended at `last`."""
    known, state = job("all", machine), "failed" if last else ""
    shown = replace(known.shown, last_started=last, last_finished=last, last_state=state)
    return replace(known, shown=shown, succeeded=None)


@pytest.mark.parametrize("last", [None, "2026-11-19T07:00:00Z", "2099-01-01T00:00:00Z", "2026-11-20T08:59:59"])
def test_of_a_job_that_two_machines_have_the_word_of_the_one_that_ran_it_last_stands(
    store: Memory, last: str | None
) -> None:
    """A clock that is wrong, and one without a zone, say nothing."""
    filled(store, 1)
    told = (
        line("acme/m0", RepoState.FAILED, code="unreachable"),
        line("acme/no", RepoState.REFUSED, reason="licence gpl"),
    )
    Machine(store, "daemon", (ran("2026-11-20T07:00:00Z", "daemon"),), told).publish()
    idle = Machine(
        store, "laptop", (ran(last, "laptop"),), (line("acme/m0", RepoState.NEVER), line("acme/no", RepoState.NEVER))
    )
    idle.publish()
    found = json.loads(store.site["status.json"])
    assert {entry["repo"]: entry["state"] for entry in found["repos"]} == {"acme/m0": "failed", "acme/no": "refused"}
    assert [(entry["machine"], entry["last_state"]) for entry in found["jobs"]] == [("daemon", "failed")]
    idle.jobs = (ran("2026-11-20T07:59:00Z", "laptop"),)
    idle.publish()
    found = json.loads(store.site["status.json"])
    assert [entry["machine"] for entry in found["jobs"]] == ["laptop"]
    assert {entry["repo"]: entry["state"] for entry in found["repos"]} == {"acme/m0": "published", "acme/no": "never"}


def test_who_speaks_from_the_future_is_forgotten_a_month_after_it_was_heard() -> None:
    store = Memory()
    Machine(
        store, "two", (job("b", "two", at="2099-01-01T00:00:00Z"),), (line("acme/x", RepoState.REFUSED, "b"),)
    ).publish()
    one = Machine(store, "one", (job("a", "one"),))
    for days, names in ((0, ["a", "b"]), (29, ["a", "b"]), (2, ["a"])):
        one.at += timedelta(days=days)
        one.publish()
        assert [entry["name"] for entry in json.loads(store.site["status.json"])["jobs"]] == names
