"""A repo is published under the upstream's own id, whatever a job calls it, and its other names lead there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import RepoOutcome
from mirror_sync.domain.policy.gone import OnGone
from mirror_sync.domain.policy.licences import Approval, LicensePolicy
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.engine.upkeep.prune import Prune
from mirror_sync.ports.store import read_all
from tests.engine.workshop import Workshop, job
from tests.standin import Hub

TREE = {"a": b"1"}
REFS, ALIAS = "hub/models/BAAI--bge/refs.json", "hub/models/baai--bge/alias.json"


def led(workshop: Workshop, key: str) -> str:
    """The id that an alias leads to."""
    return str(json.loads(read_all(workshop.store.store, key, 4096))["id"])


def test_a_name_in_other_letters_is_published_under_the_true_id_and_the_alias_comes_last(
    hub: Hub, workshop: Workshop
) -> None:
    commit = hub.model("BAAI/bge", license="mit").commit(TREE)
    report = workshop.sync_one(job("baai/bge"))
    assert (report.outcome, report.repo, report.commit) == (RepoOutcome.PUBLISHED, "baai/bge", commit)
    assert report.reason == "goes by BAAI/bge here"
    assert workshop.store.written[-2:] == [REFS, ALIAS]
    assert led(workshop, ALIAS) == "BAAI/bge"
    assert workshop.files("BAAI/bge") == TREE
    assert workshop.root("BAAI/bge").repo == "BAAI/bge"
    assert workshop.refs("baai/bge").snapshots == {}


def test_a_former_name_leads_to_the_present_one(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/old", license="mit").commit(TREE)
    hub.rename("acme/old", "acme/new")
    assert workshop.sync_one(job("acme/old")).outcome == RepoOutcome.PUBLISHED
    assert workshop.files("acme/new") == TREE
    assert led(workshop, "hub/models/acme--old/alias.json") == "acme/new"


def test_an_id_in_small_letters_needs_no_alias(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/x", license="mit").commit(TREE)
    workshop.sync(job("acme/x"))
    assert not any(key.endswith("alias.json") for key in workshop.store.written)


@pytest.mark.parametrize("name", ["baai/bge", "BAAI/bge"])
def test_a_second_look_costs_one_call_and_writes_nothing(hub: Hub, workshop: Workshop, name: str) -> None:
    hub.model("BAAI/bge", license="mit").commit(TREE)
    workshop.sync(job(name))
    hub.log.clear()
    assert workshop.sync_one(job(name)).outcome == RepoOutcome.UNCHANGED
    assert [record.path for record in hub.log] == ["/api/models/BAAI/bge/revision/main"]
    assert workshop.store.written == []


def test_a_lost_alias_is_written_again(hub: Hub, workshop: Workshop) -> None:
    hub.model("BAAI/bge", license="mit").commit(TREE)
    workshop.sync(job("BAAI/bge"))
    workshop.store.delete([ALIAS])
    assert workshop.sync_one(job("BAAI/bge")).outcome == RepoOutcome.UNCHANGED
    assert workshop.store.written == [ALIAS]


def test_what_is_published_under_a_name_stays_there_and_the_new_name_leads_to_it(hub: Hub, workshop: Workshop) -> None:
    repo = hub.model("acme/old", license="mit")
    repo.commit(TREE)
    workshop.sync(job("acme/old"))
    hub.rename("acme/old", "acme/new")
    commit = repo.commit({"a": b"2"})
    report = workshop.sync_one(job("acme/old"))
    assert (report.outcome, report.reason) == (RepoOutcome.PUBLISHED, "renamed upstream to acme/new")
    assert workshop.commit("acme/old") == commit
    assert led(workshop, "hub/models/acme--new/alias.json") == "acme/old"


def test_another_repo_under_a_former_name_is_not_followed(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/old", license="mit").commit(TREE)
    hub.rename("acme/old", "acme/new")
    workshop.sync(job("acme/old"))
    later = datetime(2026, 6, 1, tzinfo=UTC)
    hub.model("acme/old", license="mit", created=later).commit({"a": b"other"}, author="mallory")
    assert workshop.sync_one(job("acme/old")).outcome == RepoOutcome.UNCHANGED
    assert workshop.refs("acme/old").snapshots == {}
    assert workshop.sync(job("acme/*")).count(RepoOutcome.UNCHANGED) == 2
    assert workshop.refs("acme/old").snapshots == {}


def test_what_the_job_says_holds_under_the_true_id(hub: Hub, workshop: Workshop) -> None:
    """on_gone, retention and approvals are written beside the name that the job has."""
    repo = hub.model("BAAI/bge", license="llama3")
    repo.commit(TREE)
    policy = LicensePolicy(review=frozenset({"llama3"}), approved=(Approval(Repo.parse("baai/bge"), "Ada", "read"),))
    wanted = job("baai/bge", policy=policy, on_gone=OnGone.WITHDRAW)
    assert workshop.sync_one(wanted).outcome == RepoOutcome.PUBLISHED
    repo.set(disabled=True)
    for ahead in (timedelta(0), timedelta(days=2)):
        workshop.ahead = ahead
        assert workshop.sync_one(wanted).code == "disabled"
    assert workshop.refs("BAAI/bge").snapshots == {}


def test_two_spellings_with_other_files_are_rivals(hub: Hub, workshop: Workshop) -> None:
    hub.model("BAAI/bge", license="mit").commit({"a": b"1", "b": b"2"})
    one, two = job("baai/bge", name="one"), job("BAAI/bge", name="two", selection=Selection(include=("a",)))
    assert {report.code for report in workshop.sync(one, two).repos} == {"selection-conflict"}


def test_whoever_walks_a_target_takes_an_alias_for_no_repo(hub: Hub, workshop: Workshop) -> None:
    hub.model("BAAI/bge", license="mit").commit(TREE)
    wanted = job("baai/bge")
    workshop.sync(wanted)
    assert workshop.verify(wanted).ok
    pruned = Prune(workshop.context, [wanted]).run()
    assert pruned.problems == ()
    assert led(workshop, ALIAS) == "BAAI/bge"
    assert workshop.files("BAAI/bge") == TREE


def test_plan_says_the_same_and_writes_nothing(hub: Hub, workshop: Workshop) -> None:
    hub.model("BAAI/bge", license="mit").commit(TREE)
    plan = workshop.plan_one(job("baai/bge"))
    assert (plan.outcome, plan.repo) == ("published", "baai/bge")
    assert workshop.store.written == []
    workshop.sync(job("baai/bge"))
    assert workshop.plan_one(job("baai/bge")).outcome == "unchanged"


def test_what_is_denied_is_denied_by_whatever_name_a_job_asks_for_it(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/old", license="mit").commit(TREE)
    hub.rename("acme/old", "acme/new")
    report = workshop.sync_one(job("acme/old", denied=(RepoPattern.parse("acme/new"),)))
    assert (report.outcome, report.code) == (RepoOutcome.REFUSED, "denied")
    assert workshop.refs("acme/new").snapshots == {}


FORMER = "hub/models/acme--old/alias.json"


def _renamed_and_damaged(hub: Hub, workshop: Workshop) -> None:
    hub.model("acme/old", license="mit").commit(TREE)
    hub.rename("acme/old", "acme/new")
    workshop.sync(job("acme/old"))
    workshop.store.store.put(FORMER, b"{}", Sha256.of(b"{}"))


def test_a_damaged_alias_is_written_anew_where_the_upstream_leads_to_what_is_published(
    hub: Hub, workshop: Workshop
) -> None:
    _renamed_and_damaged(hub, workshop)
    assert workshop.sync_one(job("acme/old")).outcome == RepoOutcome.UNCHANGED
    assert workshop.store.written == [FORMER]
    assert led(workshop, FORMER) == "acme/new"


def test_behind_a_damaged_alias_nothing_of_another_repo_is_published(hub: Hub, workshop: Workshop) -> None:
    _renamed_and_damaged(hub, workshop)
    later = datetime(2026, 6, 1, tzinfo=UTC)
    hub.model("acme/old", license="mit", created=later).commit({"a": b"other"}, author="mallory")
    for wanted in (job("acme/old"), job("acme/*")):
        reports = {report.repo: report for report in workshop.sync(wanted).repos}
        assert (reports["acme/old"].outcome, reports["acme/old"].code) == (RepoOutcome.FAILED, "document")
        assert f"{FORMER} is damaged" in reports["acme/old"].reason
        assert "delete that key" in reports["acme/old"].reason
    assert workshop.refs("acme/old").snapshots == {}
